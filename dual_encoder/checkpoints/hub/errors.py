"""Errors of the hub in one line: the repository, and what to do."""

import contextlib
import errno
from collections.abc import Iterator, Sequence

from duet import exception_summary

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def in_one_line(
    repository: str,
    *,
    revision: str | None = None,
    wanted: Sequence[str] = (),
    writing: bool = False,
) -> Iterator[None]:
    """Turn the errors of huggingface_hub into built-in ones with a line that a user can act on.

    Args:
        repository: what the line begins with.
        revision: that was asked for.
        wanted: files to download, where it is a download.
        writing: whether it is an upload.

    Raises:
        FileNotFoundError: no such repository, revision or file, or a private repository.
        PermissionError: access is not granted.
        ConnectionError: the hub is away, offline mode is on, or the transfer broke off.
        ValueError: huggingface_hub does not take the name.
        OSError: the disk is full, the cache cannot be written or the upload cannot be read.
    """
    from huggingface_hub.errors import HTTPError  # of the HTTP library that huggingface_hub is on

    try:
        yield
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        cause = _innermost(error)
        kind, line = (
            _answer(cause, revision, writing=writing)
            or _disk(cause, writing=writing)
            or _network(cause, wanted, writing=writing)
        )
        raise kind(f"{repository}: {line}") from error


def _innermost(error: BaseException) -> BaseException:
    """The reason behind wrappers like "cannot find it in the cache either"."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while isinstance(error, LocalEntryNotFoundError | RuntimeError) and error.__cause__:
        error = error.__cause__
    return error


def _answer(
    error: BaseException, revision: str | None, *, writing: bool
) -> tuple[type[OSError], str] | None:
    """Kind and line for what the hub answered; None where it was not asked or did not answer."""
    from huggingface_hub import errors

    if not isinstance(error, errors.HfHubHTTPError):
        return None
    response = error.response
    status = response.status_code
    if isinstance(error, errors.RevisionNotFoundError):
        return FileNotFoundError, (
            f"no revision {revision!r} on the hub; expected a branch, a tag or a commit of it"
        )
    if isinstance(error, errors.RemoteEntryNotFoundError):
        file = response.request.url.path.rpartition("/resolve/")[2].partition("/")[2]
        return FileNotFoundError, f"no file {file} on the hub; has the repository just changed?"
    if status in (401, 403, 404) and writing:
        return PermissionError, (
            f"the hub refuses the upload ({status}); set HF_TOKEN to a token that may write there"
        )
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return PermissionError, (
            f"the hub refuses access ({status}); ask for it on the repository's page, then set "
            "HF_TOKEN to a token of that account"
        )
    if status in (401, 404):
        return FileNotFoundError, (
            f"no such repository on the hub, or a private one ({status}); check the name, and for "
            "a private one set HF_TOKEN to a token that may read it"
        )
    reason = f"{status} {response.reason_phrase}".strip()
    return ConnectionError, f"the hub is unavailable ({reason}); try again later"


def _disk(error: BaseException, *, writing: bool) -> tuple[type[OSError], str] | None:
    """Kind and line for what this machine's disk did not do; None where it was not the disk."""
    from huggingface_hub import constants

    number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or exception_summary.first_line(error)
    elsewhere = "or set HF_HOME to a folder elsewhere"
    if writing and number:
        return OSError, f"cannot read what to upload ({reason})"
    if number in DISK_FULL or "No space left" in reason:
        return OSError, (
            f"the disk of the cache is full ({reason}); make room in {constants.HF_HUB_CACHE}, "
            f"{elsewhere}"
        )
    if number:
        return OSError, (
            f"cannot write to the cache ({reason}); make {constants.HF_HUB_CACHE} writable, "
            f"{elsewhere}"
        )
    return None


def _network(
    error: BaseException, wanted: Sequence[str], *, writing: bool
) -> tuple[type[Exception], str]:
    """Kind and line for what happened before an answer came, or while it came."""
    from huggingface_hub import errors

    reason = exception_summary.first_line(error)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return ConnectionError, "HF_HUB_OFFLINE is set; unset it, or fetch the files beforehand"
    if isinstance(error, errors.HFValidationError):
        return ValueError, f"not a name that the hub takes ({reason})"
    if isinstance(error, ValueError):
        return ConnectionError, f"what answered is not the hub ({reason}); is HF_ENDPOINT right?"
    if writing:
        return ConnectionError, f"the upload broke off ({reason}); try again"
    if wanted:
        names = listed(wanted)
        return ConnectionError, f"the download of {names} broke off ({reason}); try again"
    return ConnectionError, (
        f"the hub cannot be reached ({reason}); check the network, HF_ENDPOINT and proxies, or "
        "fetch it where there is a network (hf download REPOSITORY --local-dir DIR) and give DIR"
    )


def listed(names: Sequence[str]) -> str:
    """The first names with commas, dots where there are more."""
    return ", ".join([*names[:8], *["..."] * (len(names) > 8)])
