"""Find files in the shared cache of huggingface_hub.

`refs/BRANCH` names a commit, `snapshots/COMMIT/` has that commit's files as links into `blobs/`.
"""

import contextlib
from pathlib import Path

from duet import atomic_files

BRANCH = "main"


def store(repository: str) -> Path:
    """The folder of a repository in the cache, whether or not it is there."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def snapshot(repository: str, revision: str | None) -> Path | None:
    """The folder of a branch, tag or commit, of the main branch where None, if it is there."""
    reference = store(repository) / "refs" / (revision or BRANCH)
    commit = reference.read_text() if reference.is_file() else revision or BRANCH
    folder = store(repository) / "snapshots" / commit
    return folder if folder.is_dir() else None


def names_in(folder: Path) -> list[str]:
    """Names of the files of a snapshot, with slashes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def remember(folder: Path, revision: str | None) -> None:
    """Note of which commit a branch or tag is, as huggingface_hub does, for when the hub is away.

    Call it after a complete download: until then the commit before serves.
    """
    reference = folder.parents[1] / "refs" / (revision or BRANCH)
    if revision == folder.name or (reference.is_file() and reference.read_text() == folder.name):
        return
    with contextlib.suppress(OSError):  # a cache that is only read
        atomic_files.write(reference, folder.name)
