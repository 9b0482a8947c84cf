"""Save a model as a `transformers` folder or a hub repository."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from dual_encoder.checkpoints.hub import download_upload
from dual_encoder.checkpoints.hub.listing import NAME
from dual_encoder.checkpoints.huggingface.write import Layout, NoLayout, layout_of
from dual_encoder.checkpoints.model_card import model_card, read_results
from dual_encoder.checkpoints.tokenizers.write import write_tokenizer
from duet import atomic_files

KERAS = "model.keras"

# Of a model that was in the repository before, by any layout: `load` would take it for the new one.
REPLACED = (
    "*.keras", "*.safetensors", "*.safetensors.index.json", "*config.json", "tokenizer*.json",
    "vocab.*", "merges.txt", "special_tokens_map.json",
)  # fmt: skip


def save_pretrained(model: keras.Model, folder: str | Path) -> None:
    """Write a model as `transformers` publishes it; both libraries load it with the same outputs.

    CLIP and SigLIP dual encoders, ViT image encoders and BERT, RoBERTa and XLM-R text encoders:
    config.json, model.safetensors in float32, preprocessor_config.json and the tokenizer. Any other
    model goes into a file of its own with `model.save("x.keras")`.

    Args:
        model: a `DualEncoder`, an `ImageEncoder` or a `TextEncoder`.
        folder: new or empty. It is there with all of its files, or not at all.

    Raises:
        ValueError: `transformers` has no architecture for the model; says what is different.
        FileExistsError: `folder` has files already, or is a file.

    Example:
        >>> dual_encoder.save_pretrained(model, "clip-of-mine")
        >>> transformers.CLIPModel.from_pretrained("clip-of-mine")
    """
    folder = Path(folder).resolve()
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise FileExistsError(f"{folder}: expected a new or an empty folder")
    if not model.built:
        model.build()
    layout = layout_of(model)
    with atomic_files.atomic(folder) as unfinished:
        unfinished.mkdir()
        _write(layout, model, unfinished)


def push_to_hub(
    model: keras.Model,
    repository: str,
    *,
    results: str | Path | Mapping[str, Any] | None = None,
    licence: str | None = None,
    private: bool = False,
    message: str = "Upload a Duet model",
) -> str:
    """Upload a model with a model card, into a new repository if there is none of this name.

    In the layout of `transformers` where it has the architecture, else as `model.keras`;
    `dual_encoder.load("hf://org/repo")` reads both. A model that is there already is replaced.

    Args:
        model: a `DualEncoder`, an `ImageEncoder` or a `TextEncoder`.
        repository: `org/repo`.
        results: what the card reports: a run's `results.json`, its folder, or what it holds.
        licence: as the hub spells it, such as `"apache-2.0"`.
        private: of a new repository; an old one stays what it is.
        message: of the commit.

    Returns:
        The address of the commit.

    Raises:
        ValueError: not a name like `org/repo`, or results that are no results.
        FileNotFoundError: no such results.
        PermissionError: no token, or one that may not write here.
        ConnectionError: the hub cannot be reached, or the upload broke off.
    """
    if not NAME.fullmatch(repository):
        raise ValueError(f"expected a repository of the form 'org/repo'; got {repository!r}")
    found = read_results(results)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        architecture = _save(model, folder)
        card = model_card(
            model, repository, results=found, licence=licence, architecture=architecture
        )
        (folder / "README.md").write_text(card, encoding="utf-8")
        return download_upload.push(
            folder, repository, private=private, message=message, replaced=REPLACED
        )


def _save(model: keras.Model, folder: Path) -> str | None:
    """Write the model; the class of `transformers` that reads it, if there is one."""
    try:
        save_pretrained(model, folder)
    except NoLayout:
        folder.mkdir()
        model.save(folder / KERAS)
        return None
    return json.loads((folder / "config.json").read_text("utf-8"))["architectures"][0]


def _write(layout: Layout, model: Any, folder: Path) -> None:
    from safetensors.numpy import save_file

    for name, document in {"config.json": layout.config, **layout.documents}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
    if getattr(model, "tokenizer", None) is not None:
        # SigLIP's text tower reads the last position, padding or not.
        masked = layout.config["model_type"] != "siglip"
        write_tokenizer(model.tokenizer, folder, masked=masked)
    save_file(layout.tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
