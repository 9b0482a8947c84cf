"""One way in: a checkpoint's name, a repository, a folder or a `.keras` file to a model."""

import contextlib
import difflib
import gc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from dual_encoder.checkpoints import CHECKPOINTS, Checkpoint, load_packed
from dual_encoder.checkpoints.consistency import contradictions
from dual_encoder.checkpoints.hub import fetch
from dual_encoder.checkpoints.huggingface import read as huggingface_read
from dual_encoder.checkpoints.keras_hub import fetch as keras_hub_fetch
from dual_encoder.checkpoints.keras_hub import read as keras_hub_read
from dual_encoder.checkpoints.open_clip import read as open_clip_read
from dual_encoder.checkpoints.open_clip.tags import Tag, open_clip_tags
from dual_encoder.checkpoints.safetensors_files import PICKLED
from dual_encoder.model import DualEncoder
from dual_encoder.single_tower import ImageEncoder, TextEncoder

HUB = "hf://"

KERAS = "model.keras"  # of a run's folder, or a repository

# What is fetched of a repository. Weights in other formats would have to be unpickled.
SETTINGS = ("*.json", "*.txt")  # of folders inside as well

WEIGHTS = {"transformers": "model*.safetensors", "open_clip": "open_clip_model*.safetensors"}


def load(
    name: str | Path, *, image_size: int | None = None, revision: str | None = None
) -> DualEncoder | ImageEncoder | TextEncoder:
    """Load a model with its tokenizer and pixel statistics, ready to encode or to compile.

    A published checkpoint is downloaded once, into the cache of the hub's own library, whose
    environment variables (`HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`) hold here too. What was made of
    its weights is kept in the folder `DUET_CACHE`, `~/.cache/duet` without, and mapped into memory
    the next time; where that variable is empty, or the disk nearly full, nothing is kept. The
    optimizer of a training run is left behind; `keras.saving.load_model` has it.

    Args:
        name: a name of the checkpoint table (`shapes-tiny`, `clip-vit-base-patch32`), a model and
            tag of OpenCLIP's own (`ViT-B-16-SigLIP2/webli`; see `open_clip_tags`),
            `hf://org/repo`, a preset of KerasHub by its name or as `kaggle://...`, a folder in the
            layout of `transformers`, `open_clip` or KerasHub, a `.keras` file, or the folder of a
            training run.
        image_size: pixels, of a published checkpoint; the position table is interpolated as the
            library of its layout does it.
        revision: of a repository: a branch, a tag or a commit.

    Returns:
        A `DualEncoder`, or an `ImageEncoder` or `TextEncoder` where the checkpoint has one tower.
        Of a `.keras` file also a classifier, once `classifiers` has been imported.

    Raises:
        FileNotFoundError: no such checkpoint, repository, file or folder, or one without what its
            layout needs.
        ConnectionError: the hub cannot be reached and the cache does not have it.
        ValueError: weights that do not match the configuration, a configuration that contradicts
            the table, weights that would have to be unpickled, a damaged or a foreign file.

    Example:
        >>> model = dual_encoder.load("shapes-tiny")
        >>> model.encode_text(model.tokenizer(["a red star"])).shape
        (1, 128)
    """
    row = _row(str(name))
    if row is not None and row.file is not None:
        _refuse(name, image_size=image_size, revision=revision)
        return load_packed(row.file)
    if row is not None:
        return _published(row, image_size=image_size, revision=revision or row.revision)
    if str(name) in open_clip_tags() and not Path(name).exists():
        return _tagged(open_clip_tags()[str(name)], image_size=image_size, revision=revision)
    if str(name).startswith(HUB):
        path = _fetch(str(name).removeprefix(HUB), revision=revision)
    elif not Path(name).exists() and (handle := keras_hub_fetch.handle(str(name))):
        _refuse(name, revision=revision)
        path = keras_hub_fetch.fetch(str(name), handle)
    else:
        path = Path(name)
        _refuse(name, revision=revision)
    if path.is_dir() and not (path / KERAS).is_file():
        return read_folder(path, image_size=image_size)
    _refuse(name, image_size=image_size)
    return _read_keras(path / KERAS if path.is_dir() else path)


def bytes_here(row: Checkpoint) -> int | None:
    """Size of a checkpoint's weights if they are on this machine, shipped or in the cache."""
    if row.file is not None:
        return row.file.stat().st_size if row.file.is_file() else None
    weights = WEIGHTS[row.layout].replace("*", "")
    return fetch.cached_bytes(str(row.repository), [weights], revision=row.revision)


def read_folder(
    folder: Path, *, image_size: int | None = None, layout: str | None = None
) -> DualEncoder | ImageEncoder | TextEncoder:
    """The model of a folder in a published layout.

    Raises:
        FileNotFoundError: the folder has no layout that is known, or not all of it.
        ValueError: as `load`.
    """
    read = READERS.get(layout or "") or next(
        (read for name, read in READERS.items() if DETECT[name](folder)), None
    )
    if read is None:
        raise FileNotFoundError(
            f"{folder}: no model.keras in this folder (has the run finished?), and no config.json "
            "or open_clip_config.json as published checkpoints have them"
        )
    with _collecting_nothing():
        return read(folder, image_size=image_size)


@contextlib.contextmanager
def _collecting_nothing() -> Iterator[None]:
    """A model is a hundred thousand new objects: to look for those in vain takes a third of it."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _row(name: str) -> Checkpoint | None:
    by_tag = {row.tag: row for row in CHECKPOINTS.values() if row.tag}
    return CHECKPOINTS.get(name) or by_tag.get(name)


def _published(
    row: Checkpoint, *, image_size: int | None, revision: str | None
) -> DualEncoder | ImageEncoder | TextEncoder:
    folder = _fetch(str(row.repository), layout=row.layout, revision=revision)
    model = read_folder(folder, image_size=image_size, layout=row.layout)
    found = contradictions(model, row, ignore_size=image_size is not None)
    if found:
        raise ValueError(
            f"{row.repository}: its configuration contradicts the table of checkpoints: "
            + "; ".join(found)
        )
    return model


def _tagged(tag: Tag, *, image_size: int | None, revision: str | None) -> DualEncoder:
    """Of OpenCLIP's table, which has every model, also those that Duet has not."""
    if tag.refusal:
        raise ValueError(f"{tag.name}: Duet has no such model ({tag.refusal})")
    folder = _fetch(tag.repository, layout="open_clip", revision=revision)
    return read_folder(folder, image_size=image_size, layout="open_clip")


def _fetch(repository: str, *, layout: str | None = None, revision: str | None = None) -> Path:
    """The folder of a repository with its settings and one format of its weights."""
    if layout is None:
        names = fetch.files(repository, revision)
        if KERAS in names:
            return fetch.fetch(repository, [KERAS], revision=revision)
        if any(name.endswith(".weights.h5") for name in names):
            preset = (*SETTINGS, *keras_hub_fetch.FILES)
            return fetch.fetch(repository, preset, revision=revision)
        layout = "open_clip" if open_clip_read.CONFIG in names else "transformers"
        if layout == "open_clip" and not any(n.startswith("open_clip_model") for n in names):
            return fetch.fetch(repository, (*SETTINGS, "model*.safetensors"), revision=revision)
    patterns = (*SETTINGS, WEIGHTS[layout])
    folder = fetch.fetch(repository, patterns, revision=revision)
    if not any(folder.glob(WEIGHTS[layout])):
        names = fetch.files(repository, revision)
        pickled = [name for name in names if Path(name).suffix in PICKLED]
        message = f"{repository}: expected {WEIGHTS[layout]} among its files"
        if pickled:
            message += f"; {pickled[0]} would have to be unpickled, which can run any code"
        raise ValueError(message)
    return folder


def _read_keras(path: Path) -> Any:
    """Any model that says how it wants its images, or reads texts; its class is imported."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no model {str(path)!r}; expected a .keras file, a folder, {HUB}org/repo, or a name "
            f"of the table of checkpoints such as {', '.join(_similar(str(path)))}"
        )
    if path.suffix != ".keras":
        raise ValueError(f"{path}: expected a .keras file; got {path.suffix or 'no suffix'!r}")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # of zip, JSON, HDF5 and Keras: nothing in common
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"{path}: not a readable .keras file ({reason})") from error
    if not (hasattr(model, "preprocessing") or isinstance(model, TextEncoder)):
        raise ValueError(
            f"{path}: expected a dual encoder, a tower or a classifier; got a "
            f"{type(model).__name__}"
        )
    return model


def _similar(name: str) -> list[str]:
    return difflib.get_close_matches(name, CHECKPOINTS, n=3) or list(CHECKPOINTS)[:3]


def _refuse(name: str | Path, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{str(name)!r} takes no {option}; got {option}={value!r}")


READERS: Mapping[str, Callable[..., Any]] = {
    "open_clip": open_clip_read.read,
    "keras_hub": keras_hub_read.read,
    "transformers": huggingface_read.read,
}

DETECT: Mapping[str, Callable[[Path], bool]] = {
    "open_clip": lambda folder: (folder / open_clip_read.CONFIG).is_file(),
    "keras_hub": keras_hub_read.is_preset,
    "transformers": lambda folder: (folder / "config.json").is_file(),
}
