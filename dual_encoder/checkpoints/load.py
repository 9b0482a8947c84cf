"""Load a model by checkpoint name, hub repository, folder or `.keras` file."""

import contextlib
import gc
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dual_encoder.checkpoints import Checkpoint, load_error_messages, load_packed
from dual_encoder.checkpoints.catalog_row_check import contradictions
from dual_encoder.checkpoints.fetch_by_name import (
    HUB,
    KERAS,
    fetch_model,
    row_named,
    with_revision,
)
from dual_encoder.checkpoints.hub.cache import names_in
from dual_encoder.checkpoints.huggingface import read as huggingface_read
from dual_encoder.checkpoints.keras_hub import fetch as keras_hub_fetch
from dual_encoder.checkpoints.keras_hub import read as keras_hub_read
from dual_encoder.checkpoints.open_clip import read as open_clip_read
from dual_encoder.checkpoints.open_clip.tags import Tag, open_clip_tags
from dual_encoder.checkpoints.weights.load_keras_archive import read_keras
from dual_encoder.checkpoints.weights.weight_files import CONFIGS, find
from dual_encoder.model import DualEncoder
from dual_encoder.single_tower_models import ImageEncoder, TextEncoder

ADAPTER = "adapter_config.json"  # of PEFT; `transformers` loads what it changes with the weights


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
            training run. What the hub has may be followed by `@` and a revision:
            `hf://org/repo@refs/pr/2`.
        image_size: pixels, of a published checkpoint; the position table is interpolated as the
            library of its layout does it.
        revision: of a repository: a branch, a tag or a commit.

    Returns:
        A `DualEncoder`, or an `ImageEncoder` or `TextEncoder` where the checkpoint has one tower.
        Of a `.keras` file also a classifier; whatever class it holds has to be registered with
        Keras, those of Duet are imported by themselves. A `.keras` file keeps the precision that it
        was saved with, as in plain Keras; all others take `keras.config.dtype_policy`.

    Raises:
        FileNotFoundError: no such checkpoint, repository, file or folder, or one without what its
            layout needs.
        ConnectionError: the hub cannot be reached and the cache does not have it.
        ValueError: weights that do not match the configuration, a configuration that contradicts
            the table, a damaged or a foreign file.

    Example:
        >>> model = dual_encoder.load("shapes-tiny")
        >>> model.encode_text(model.tokenizer(["a red star"])).shape
        (1, 128)
    """
    if image_size is not None and (not isinstance(image_size, int) or image_size < 1):
        raise ValueError(f"image_size: expected a whole number above 0; got {image_size!r}")
    if not isinstance(name, str | os.PathLike):
        raise ValueError(
            f"name: expected a text or a path, as `python -m pipelines models` lists them; got "
            f"{name!r:.80}"
        )
    name, revision = with_revision(name, revision)
    row = row_named(str(name))
    if row is not None and row.file is not None:
        _refuse(name, image_size=image_size, revision=revision)
        return load_packed(row.file)
    if row is not None:
        return _published(row, image_size=image_size, revision=revision or row.revision)
    if str(name) in open_clip_tags() and not Path(name).exists():
        return _tagged(open_clip_tags()[str(name)], image_size=image_size, revision=revision)
    path = _path(name, revision=revision)
    if path.is_dir() and not (path / KERAS).is_file():
        return read_folder(path, image_size=image_size)
    _refuse(name, image_size=image_size)
    return read_keras(path / KERAS if path.is_dir() else path)


def _path(name: str | Path, *, revision: str | None) -> Path:
    """The folder or file of a name that is in no table, fetched where it is on a hub."""
    if str(name).startswith(HUB):
        return fetch_model(str(name).removeprefix(HUB), revision=revision)
    _refuse(name, revision=revision)
    if not Path(name).exists() and (handle := keras_hub_fetch.handle(str(name))):
        if kind := keras_hub_fetch.kind(handle):
            keras_hub_read.check_kind(name, kind)  # before gigabytes are fetched
        return keras_hub_fetch.fetch(str(name), handle)
    if not name or not Path(name).exists():
        raise FileNotFoundError(load_error_messages.no_model(str(name)))
    return Path(name)


def read_folder(
    folder: Path, *, image_size: int | None = None, layout: str | None = None
) -> DualEncoder | ImageEncoder | TextEncoder:
    """The model of a folder in a published layout.

    Raises:
        FileNotFoundError: the folder has no layout that is known, or not all of it.
        ValueError: as `load`.
    """
    if (folder / ADAPTER).is_file():
        raise ValueError(load_error_messages.adapter(folder))
    layout = layout or _layout(folder)
    if layout is None:
        raise FileNotFoundError(load_error_messages.no_layout(folder, names_in(folder)))
    with _collecting_nothing(), understood(folder):
        return READERS[layout](folder, image_size=image_size)


def _layout(folder: Path) -> str | None:
    """The layout of a folder, None where it has none that is known."""
    if keras_hub_read.is_preset(folder):
        return "keras_hub"
    names = names_in(folder)
    weights = find(names)
    return weights.layout if weights else next((n for n in CONFIGS if CONFIGS[n] in names), None)


@contextlib.contextmanager
def understood(folder: Path) -> Iterator[None]:
    """Names the folder where settings that no table knows lead its reader astray."""
    try:
        yield
    except (
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        StopIteration,
        RecursionError,
    ) as error:
        raise ValueError(f"{folder}: its settings are not understood ({error!r:.300})") from error
    except ValueError as error:
        if str(folder) in str(error):
            raise
        raise ValueError(f"{folder}: {' '.join(str(error).split()):.300}") from error


@contextlib.contextmanager
def _collecting_nothing() -> Iterator[None]:
    """Pauses garbage collection, which takes a third of the time for 100,000 new objects."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _published(
    row: Checkpoint, *, image_size: int | None, revision: str | None
) -> DualEncoder | ImageEncoder | TextEncoder:
    folder = fetch_model(str(row.repository), layout=row.layout, revision=revision)
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
    folder = fetch_model(tag.repository, layout="open_clip", revision=revision)
    return read_folder(folder, image_size=image_size, layout="open_clip")


def _refuse(name: str | Path, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{str(name)!r} takes no {option}; got {option}={value!r}")


READERS: Mapping[str, Callable[..., Any]] = {
    "open_clip": open_clip_read.read,
    "keras_hub": keras_hub_read.read,
    "transformers": huggingface_read.read,
}
