"""Check on the hub whether a checkpoint can be loaded, without fetching its weights."""

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from dual_encoder.checkpoints.catalog_entry import Checkpoint
from dual_encoder.checkpoints.catalog_row_check import contradictions
from dual_encoder.checkpoints.fetch_by_name import (
    HUB,
    KERAS,
    row_named,
    settings,
    with_revision,
)
from dual_encoder.checkpoints.hub import download_upload, listing
from dual_encoder.checkpoints.huggingface import read as huggingface_read
from dual_encoder.checkpoints.json_schemas import CONFIG, WEIGHT_MAP, read_json
from dual_encoder.checkpoints.load import understood
from dual_encoder.checkpoints.load_error_messages import hint
from dual_encoder.checkpoints.open_clip import read as open_clip_read
from dual_encoder.checkpoints.open_clip import weights as open_clip_weights
from dual_encoder.checkpoints.open_clip.tags import open_clip_tags
from dual_encoder.checkpoints.weights.safetensors_mmap import Tensors
from dual_encoder.checkpoints.weights.weight_files import (
    INDEX,
    KERAS_HUB,
    Weights,
    find,
    nothing_found,
)
from dual_encoder.checkpoints.weights.weight_mapping import check
from dual_encoder.variable_names import named_variables


@dataclass(frozen=True)
class Availability:
    """What the hub has of a checkpoint.

    Attributes:
        name: as it was asked for.
        repository, commit: where it is; None of what ships with Duet.
        weights: the file that would be loaded, or its index; None where there is none.
        size: bytes to fetch, None where they are not known.
        problem: why it cannot be loaded, in one line; None where nothing is in the way.
    """

    name: str
    repository: str | None = None
    commit: str | None = None
    weights: str | None = None
    size: int | None = None
    problem: str | None = None


def availability(name: str) -> Availability:
    """Ask the hub for a checkpoint's files, read its settings and compare both with the table.

    Its configuration has to be understood, agree with the table, and fit the names and shapes of
    its tensors, which safetensors files have in their first bytes. Of files of torch only the name
    is known. Keras' global state is cleared afterwards.

    Args:
        name: a name of the table, a tag of OpenCLIP's, or `hf://org/repo`; with `@` and a revision
            behind it, or without.

    Raises:
        ValueError: no such name.
        ConnectionError: the hub cannot be asked.
    """
    plain, revision = with_revision(name, None)
    row, tag = row_named(str(plain)), open_clip_tags().get(str(plain))
    if row is None and tag is None and not str(plain).startswith(HUB):
        raise ValueError(
            f"no checkpoint {name!r}; expected {HUB}org/repo, or a name that "
            f"`python -m pipelines models` lists{hint(name)}"
        )
    if row is not None and row.file is not None:
        return Availability(name, weights=row.file.name, size=row.file.stat().st_size)
    source = row or tag
    repository = str(source.repository) if source else str(plain).removeprefix(HUB)
    if row is None and tag is not None and tag.refusal:
        return Availability(name, repository, problem=f"Duet has no such model ({tag.refusal})")
    try:
        commit, sizes = listing.look(repository, revision or (row.revision if row else None))
    except (FileNotFoundError, PermissionError) as error:
        return Availability(name, repository, problem=str(error))
    layout = row.layout if row else "open_clip" if tag else None
    if layout is None and (own := _in_keras(sizes)):
        size = _bytes([sizes[file] for file in own])
        return Availability(name, repository, commit, own[0], size)
    weights = find(sizes, layout)
    if weights is None:
        problem = nothing_found(repository, sizes, layout)
        return Availability(name, repository, commit, problem=problem)
    return Availability(
        name,
        repository,
        commit,
        weights.file,
        _bytes([sizes[file] for file in fnmatch.filter(sizes, weights.pattern)]),
        _problem(repository, commit, weights, row),
    )


def _in_keras(names: Iterable[str]) -> list[str]:
    """The files of a model that Keras or KerasHub wrote, of which only the names are looked at."""
    names = sorted(names)
    return fnmatch.filter(names, KERAS) or fnmatch.filter(names, KERAS_HUB)


def _bytes(sizes: list[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _problem(repository: str, commit: str, weights: Weights, row: Checkpoint | None) -> str | None:
    """Why the weights of a commit cannot be loaded, None where nothing is in the way."""
    try:
        folder = download_upload.fetch(repository, settings, revision=commit)
        tensors = _tensors(repository, commit, weights, folder)
        with keras.StatelessScope(initialize_variables=False), understood(folder):
            model = _fitting(folder, weights, tensors)
        found = contradictions(model, row) if row else []
    except (ValueError, FileNotFoundError) as error:
        return " ".join(str(error).split())
    finally:
        keras.utils.clear_session()  # or Keras gives them their weights at the next occasion
    return f"it contradicts the table: {'; '.join(found)}" if found else None


def _tensors(repository: str, commit: str, weights: Weights, folder: Path) -> Tensors:
    """Arrays without numbers by name; of files of torch the few that say which head there is."""
    if weights.is_torch:
        return _heads(folder)
    files = [weights.file]
    if weights.file.endswith(INDEX):
        index = read_json(folder, weights.file, WEIGHT_MAP)
        files = sorted(set(index["weight_map"].values()))
    shapes = listing.headers(repository, files, revision=commit)
    return {name: np.broadcast_to(np.float16(0), shape) for name, shape in shapes.items()}


def _heads(folder: Path) -> Tensors:
    """What a configuration of `transformers` lets one expect beside its towers."""
    config = read_json(folder, "config.json", CONFIG) if (folder / "config.json").is_file() else {}
    wide = config.get("hidden_size", 1)
    if any("Classification" in name for name in config.get("architectures") or ()):
        return {
            "classifier.weight": np.zeros((len(config.get("id2label") or (0, 1)), wide), "int8")
        }
    return {"pooler.dense.weight": np.zeros((wide, wide), "int8")}


def _fitting(folder: Path, weights: Weights, tensors: Tensors) -> keras.Model:
    """The model of a configuration, after its tensors were found to fit."""
    if weights.layout == "open_clip":
        model: keras.Model = open_clip_read.build(folder)
        entries, ignored = open_clip_weights.entries(model, tensors), open_clip_read.IGNORED
    else:
        renamed = {huggingface_read.names.modern(name): array for name, array in tensors.items()}
        family, model = huggingface_read.build(folder, renamed)
        entries, ignored = family.entries(model, renamed), family.ignored
        ignored, tensors = ("*.position_ids", *ignored), renamed
    if not weights.is_torch:
        check(named_variables(model), entries, tensors, ignored=ignored)
    return model
