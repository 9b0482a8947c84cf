"""Download files of a hub repository into the shared cache, and upload folders.

Cache, token, endpoint and offline mode are where huggingface_hub looks for them: HF_HOME, HF_TOKEN,
HF_ENDPOINT, HF_HUB_OFFLINE.
"""

import errno
import fnmatch
import glob
import hashlib
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dual_encoder.checkpoints.hub.cache import names_in, remember, snapshot, store
from dual_encoder.checkpoints.hub.errors import in_one_line, listed
from dual_encoder.checkpoints.hub.listing import ask, check_name

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling


# Names and globs of files, or what gives them for the names of all that there are.
Patterns = Sequence[str] | Callable[[list[str]], Sequence[str]]


def files(repository: str, revision: str | None = None) -> list[str]:
    """Names of the files of a repository; offline, of those in the cache.

    Raises:
        ValueError: not a name like `org/repo`.
        FileNotFoundError: no such repository or revision, or a private one.
        PermissionError: access is not granted.
        ConnectionError: the hub cannot be asked and the cache has nothing of this revision.
    """
    try:
        return sorted(sibling.rfilename for sibling in ask(repository, revision).siblings or [])
    except ConnectionError as error:
        folder = snapshot(repository, revision)
        names = names_in(folder) if folder else []
        if not names:
            raise _also_not_cached(error, repository, wanted="any file") from error
        return names


def fetch(repository: str, patterns: Patterns, *, revision: str | None = None) -> Path:
    """Fetch files into the cache, those that are not there, and check what was downloaded.

    With everything in the cache this asks the hub once what the revision is, and nothing where
    `revision` is a commit and `patterns` are names. If the hub cannot be asked the cache will do.

    Args:
        repository: `org/repo`.
        patterns: names of files, all of which must exist, and globs like `*.safetensors`, which
            may match nothing as long as there is a file in all; or a function that gives them for
            the names of all files, and raises FileNotFoundError where what is needed is not there.
        revision: a branch, a tag or a commit; the main branch where left out.

    Returns:
        The folder of this revision. It may hold more files, of earlier calls.

    Raises:
        ValueError: not a name like `org/repo`, or a download with another checksum than the hub
            states; it is deleted.
        FileNotFoundError: no such repository, revision or file, or a private repository; what a
            function of the names raises.
        PermissionError: access is not granted.
        ConnectionError: the hub cannot be asked and the cache lacks files, or a download broke off.
        OSError: the disk is full or the cache cannot be written.
    """
    check_name(repository)
    if revision is not None and not callable(patterns):
        folder = store(repository) / "snapshots" / revision
        if folder.is_dir() and all((folder / pattern).is_file() for pattern in patterns):
            return folder  # a commit never changes
    try:
        info = ask(repository, revision)
    except ConnectionError as error:
        return _from_cache(repository, patterns, revision=revision, error=error)
    assert info.sha is not None  # every answer of the hub has it
    stated = {sibling.rfilename: sibling for sibling in info.siblings or []}
    patterns = patterns(sorted(stated)) if callable(patterns) else patterns
    chosen = _chosen(repository, patterns, names=list(stated))
    folder = store(repository) / "snapshots" / info.sha
    missing = [stated[name] for name in chosen if not (folder / name).is_file()]
    if missing:
        _download(repository, missing, folder=folder)
    remember(folder, revision)
    return folder


def push(
    folder: Path,
    repository: str,
    *,
    private: bool = False,
    message: str = "Upload a Duet model",
    replaced: Sequence[str] = (),
) -> str:
    """Upload a folder in one commit, into a new repository if there is none of this name.

    Args:
        folder: all of its files go, those that the hub has unchanged excepted.
        repository: `org/repo`.
        private: of a new repository; an old one stays what it is.
        message: of the commit.
        replaced: globs of files that go in the same commit unless the folder has them.

    Returns:
        The address of the commit.

    Raises:
        ValueError: not a name like `org/repo`, or an empty folder.
        FileNotFoundError: no such folder.
        PermissionError: no token, or one that may not write here.
        ConnectionError: the hub cannot be reached, or the upload broke off.
    """
    check_name(repository)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder to upload")
    if not any(path.is_file() for path in folder.rglob("*")):
        raise ValueError(f"{folder}: expected files to upload; the folder is empty")
    from huggingface_hub import HfApi

    with in_one_line(repository, writing=True):
        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=message,
            delete_patterns=list(replaced) or None,
        )
        return str(commit.commit_url)


def _chosen(repository: str, patterns: Sequence[str], *, names: list[str]) -> list[str]:
    found = {pattern: fnmatch.filter(names, pattern) for pattern in patterns}
    found |= {pattern: [pattern] for pattern in patterns if pattern in names}
    lacking = [p for p in patterns if not found[p] and p == glob.escape(p)]
    if not lacking and not any(found.values()):
        lacking = list(patterns)
    if lacking:
        there = listed(names) or "none: the repository is empty"
        raise FileNotFoundError(f"{repository}: no file {listed(lacking)}; expected one of {there}")
    return sorted({name for matches in found.values() for name in matches})


def _download(repository: str, wanted: "list[RepoSibling]", *, folder: Path) -> None:
    from huggingface_hub import constants, snapshot_download

    needed = sum(sibling.size or 0 for sibling in wanted)
    names = [sibling.rfilename for sibling in wanted]
    patterns = [glob.escape(name) for name in names]
    with in_one_line(repository, wanted=names):
        store(repository).mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(store(repository)).free
        if needed > free:
            raise OSError(errno.ENOSPC, f"{needed / 1e6:,.0f} MB wanted, {free / 1e6:,.0f} MB free")
        try:
            snapshot_download(repository, revision=folder.name, allow_patterns=patterns)
        finally:
            wrong = [sibling.rfilename for sibling in wanted if _spoilt(sibling, folder)]
    if wrong:
        raise ValueError(
            f"{repository}: wrong checksum of {listed(wrong)}; deleted from the cache "
            f"({constants.HF_HUB_CACHE}), fetch it again"
        )
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:  # where the folder is there, snapshot_download takes a failed listing for offline
        raise ConnectionError(
            f"{repository}: the hub did not send {listed(absent)}; try again later"
        )


def _spoilt(sibling: "RepoSibling", folder: Path) -> bool:
    """Whether a new file has another checksum than stated; if so it is gone from the cache."""
    path = folder / sibling.rfilename
    if sibling.lfs is None or not path.is_file():
        return False
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == sibling.lfs.sha256:
            return False
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink()
    return True


def _from_cache(
    repository: str, patterns: Patterns, *, revision: str | None, error: ConnectionError
) -> Path:
    """The cached folder of a revision if it is known to hold all that the patterns match."""
    from huggingface_hub import constants, snapshot_download

    folder = snapshot(repository, revision)
    wanted = "what is needed" if callable(patterns) else f"all of {listed(patterns)}"
    absent = _also_not_cached(error, repository, wanted=wanted)
    if folder is None:
        raise absent from error
    try:
        names = names_in(folder)
        patterns = patterns(names) if callable(patterns) else patterns
        _chosen(repository, patterns, names=names)
        snapshot_download(
            repository, revision=folder.name, allow_patterns=list(patterns), local_files_only=True
        )
    except FileNotFoundError:
        raise absent from error
    if not constants.is_offline_mode():
        warnings.warn(f"{error}; using the copy in the cache", stacklevel=3)
    return folder


def _also_not_cached(error: ConnectionError, repository: str, *, wanted: str) -> ConnectionError:
    reason = str(error).removeprefix(f"{repository}: ")
    return ConnectionError(f"{repository}: the cache has not {wanted}, and {reason}")
