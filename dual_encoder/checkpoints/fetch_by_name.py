"""Names of models on the hub: their rows, revisions and files, fetched or in the cache."""

import fnmatch
from collections.abc import Sequence
from pathlib import Path

from dual_encoder.checkpoints import CHECKPOINTS, Checkpoint
from dual_encoder.checkpoints.hub import download_upload
from dual_encoder.checkpoints.hub.cache import names_in, snapshot
from dual_encoder.checkpoints.open_clip.tags import open_clip_tags
from dual_encoder.checkpoints.tokenizers.sentencepiece_model import FILES as SENTENCE_PIECES
from dual_encoder.checkpoints.weights.shards import shards
from dual_encoder.checkpoints.weights.weight_files import INDEX, KERAS_HUB, find, nothing_found

HUB = "hf://"

KERAS = "model.keras"  # of a run's folder, or a repository

AT = "@"  # between a name and a revision

# What is fetched of a repository beside the weights.
SETTINGS = ("*.json", "*.txt")  # of folders inside as well

KERAS_HUB_FILES = (*SETTINGS, KERAS_HUB, "assets/*")


def row_named(name: str) -> Checkpoint | None:
    """The row of a name or of OpenCLIP's tag, None where there is none."""
    by_tag = {row.tag: row for row in CHECKPOINTS.values() if row.tag}
    return CHECKPOINTS.get(name) or by_tag.get(name)


def with_revision(name: str | Path, revision: str | None) -> tuple[str | Path, str | None]:
    """A name of the table or the hub without the revision after it, and that revision."""
    plain, at, after = str(name).partition(AT)
    known = plain.startswith(HUB) or row_named(plain) or plain in open_clip_tags()
    if not at or not known:
        return name, revision
    if not after or revision is not None:
        raise ValueError(
            f"{str(name)!r}: expected one revision after {AT}; got {revision or after!r}"
        )
    return plain, after


def fetch_model(repository: str, *, layout: str | None = None, revision: str | None = None) -> Path:
    """The folder of a repository with its settings and one format of its weights."""

    def wanted(names: list[str]) -> Sequence[str]:
        if layout is None and KERAS in names:
            return [KERAS]
        if layout is None and fnmatch.filter(names, KERAS_HUB):
            return KERAS_HUB_FILES
        weights = find(names, layout)
        if weights is None:
            raise FileNotFoundError(nothing_found(repository, names, layout))
        return (*settings(names), weights.pattern)

    return download_upload.fetch(repository, wanted, revision=revision)


def settings(names: Sequence[str]) -> Sequence[str]:
    """What is fetched beside the weights, of a repository with these files."""
    pieces = [name for name in SENTENCE_PIECES if name in names]
    return SETTINGS if "tokenizer.json" in names else (*SETTINGS, *pieces)


def bytes_here(row: Checkpoint) -> int | None:
    """Size of a checkpoint's weights if they are on this machine, shipped or in the cache."""
    if row.file is not None:
        return row.file.stat().st_size if row.file.is_file() else None
    folder = snapshot(str(row.repository), row.revision)
    names = names_in(folder) if folder else []
    weights = find(names, row.layout)
    if folder is None or weights is None:
        return None
    files = [folder / name for name in fnmatch.filter(names, weights.pattern)]
    if weights.file.endswith(INDEX):
        try:
            files = list(shards(folder / weights.file))
        except (FileNotFoundError, ValueError):
            return None
    return sum(file.stat().st_size for file in files)
