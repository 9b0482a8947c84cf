"""List a hub repository: its commit, its files, and the tensor shapes of a safetensors file."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dual_encoder.checkpoints.hub.errors import in_one_line

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def look(repository: str, revision: str | None = None) -> tuple[str, dict[str, int | None]]:
    """The commit of a revision, and the bytes of its files by name; asks the hub, not the cache.

    Raises:
        ValueError: not a name like `org/repo`.
        FileNotFoundError: no such repository or revision, or a private one.
        PermissionError: access is not granted.
        ConnectionError: the hub cannot be asked.
    """
    info = ask(repository, revision)
    return str(info.sha), {each.rfilename: each.size for each in info.siblings or []}


def headers(
    repository: str, filenames: Sequence[str], *, revision: str
) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in files of safetensors, by name; their first bytes are fetched alone.

    Raises:
        ConnectionError: the hub cannot be reached.
        ValueError: a file is no safetensors.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import SafetensorsParsingError

    shapes: dict[str, tuple[int, ...]] = {}
    for name in filenames:
        try:
            with in_one_line(repository, wanted=[name]):
                found = HfApi().parse_safetensors_file_metadata(repository, name, revision=revision)
        except SafetensorsParsingError as error:
            raise ValueError(f"{repository}: {name} is no readable safetensors file") from error
        shapes |= {key: tuple(tensor.shape) for key, tensor in found.tensors.items()}
    return shapes


def ask(repository: str, revision: str | None) -> "ModelInfo":
    """Commit and files of a revision, with the sizes and checksums of the large ones."""
    check_name(repository)
    from huggingface_hub import HfApi, constants

    with in_one_line(repository, revision=revision):
        return HfApi().model_info(
            repository,
            revision=revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )


def check_name(repository: str) -> None:
    """Raise a ValueError for what is no `org/repo`."""
    if not NAME.fullmatch(repository):
        raise ValueError(f"expected a repository of the form 'org/repo'; got {repository!r}")
