"""Save and load learnt prompts, and find the words nearest to their vectors."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dual_encoder.fingerprint import fingerprint
from dual_encoder.model import DualEncoder
from dual_encoder.prompts.cocoop import CoCoOp
from dual_encoder.prompts.coop import CoOp
from duet import array_checksums, atomic_files, json_validation

FORMAT = 1

METHODS = {"coop": CoOp, "cocoop": CoCoOp}

TABLE = {
    "format": json_validation.one_of(FORMAT),
    "method": json_validation.one_of(*METHODS),
    "class_names": [str],
    "n_ctx": json_validation.up_to(1 << 10),
    "position": str,
    "class_specific": bool,
    "words": (None, str),
    "template": (None, str),
    "backbone": str,
    "fingerprint": str,
}


def save_prompts(prompts: CoOp, path: str | Path, *, backbone: str, **more: Any) -> None:
    """Write the learnt vectors and their settings, without the dual encoder.

    Args:
        prompts: `CoOp` or `CoCoOp`.
        path: of the safetensors file; replaced atomically.
        backbone: the model's name, for messages; the fingerprint identifies it.
        more: further JSON-able facts to store.
    """
    path = Path(path)
    about = {
        "format": FORMAT,
        "method": prompts.method,
        "class_names": prompts.class_names,
        "n_ctx": prompts.n_ctx,
        "position": prompts.position,
        "class_specific": prompts.class_specific,
        "words": prompts.words,
        "template": prompts.frames.template,
        "backbone": backbone,
        "fingerprint": fingerprint(prompts.model),
        **more,
    }
    tensors = {name: ops.convert_to_numpy(weight) for name, weight in _named(prompts).items()}
    text = json.dumps(about, ensure_ascii=False)
    with atomic_files.atomic(path) as unfinished:
        metadata = {"duet": text, **array_checksums.metadata(tensors, text)}
        save_file(tensors, unfinished, metadata=metadata)


def describe_prompts(path: str | Path) -> dict[str, Any]:
    """Returns the facts that `save_prompts` stored with the vectors.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it does not hold prompts.
    """
    return _read(path)[0]


def load_prompts(
    path: str | Path,
    model: DualEncoder,
    *,
    class_names: Sequence[str] | None = None,
    backbone: str = "this model",
) -> CoOp:
    """Loads the prompts of a file for the model they were learnt with.

    Args:
        path: of a file written by `save_prompts`.
        model: the dual encoder.
        class_names: required class names, in order; None for any.
        backbone: the model's name, for messages.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it does not hold prompts, or belongs to another model or other class names.
    """
    about, tensors = _read(path)
    expected = fingerprint(model)
    if about["fingerprint"] != expected:
        raise ValueError(
            f"{path}: learnt with {about['backbone']} (fingerprint {about['fingerprint'][:8]}), "
            f"and means nothing to another text tower; got {backbone} (fingerprint {expected[:8]})"
        )
    if class_names is not None:
        _check_names(path, about["class_names"], list(class_names))
    options = {key: about[key] for key in ("n_ctx", "position", "words")}
    if about["class_specific"]:
        options["class_specific"] = True
    prompts = METHODS[about["method"]](model, about["class_names"], **options)
    weights = _named(prompts)
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    if shapes != {name: value.shape for name, value in tensors.items()}:
        raise ValueError(f"{path}: expected tensors {shapes}; got others")
    for name, value in tensors.items():
        weights[name].assign(value)
    return prompts


def nearest_words(prompts: CoOp, count: int = 5) -> list[list[tuple[str, float]]]:
    """Returns for each vector the `count` nearest tokens and their distances.

    Euclidean distances, as in CoOp's appendix. Class-specific vectors follow class by class. Tokens
    without text are left out.
    """
    table = ops.convert_to_numpy(prompts.model.text_tower.token_embedding)
    vectors = ops.convert_to_numpy(prompts.context).reshape(-1, table.shape[1]).astype("float64")
    lengths = (table**2).sum(axis=1)
    decode, found = prompts.model.tokenizer.decode, []
    for vector in vectors:
        squared = np.maximum(lengths - 2 * table @ vector + vector @ vector, 0)
        named = ((decode([i]).strip(), float(squared[i] ** 0.5)) for i in np.argsort(squared))
        words = (pair for pair in named if pair[0])
        found.append([pair for pair, _ in zip(words, range(count), strict=False)])
    return found


def _named(prompts: CoOp) -> dict[str, Any]:
    """Returns weights by name: `context`, `meta_hidden/kernel`."""
    return {weight.path.split("/", 1)[1]: weight for weight in prompts.weights}


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no prompts at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            kept = file.metadata() or {}
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: expected a safetensors file of prompts ({error})") from None
    if "duet" not in kept:
        raise ValueError(f"{path}: holds no learnt prompts, as `python -m pipelines prompt` writes")
    if not array_checksums.fit(kept, tensors, kept["duet"]):
        raise ValueError(f"{path} is damaged (its checksum is another)")
    about = json_validation.parse(kept["duet"], TABLE, name=f"{path}: its metadata")
    if about["n_ctx"] != tensors.get("context", np.empty((0, 0))).shape[-2]:
        raise ValueError(f"{path}: expected n_ctx vectors of each context; got others")
    if not all(np.isfinite(value).all() for value in tensors.values()):
        raise ValueError(f"{path}: NaN or infinite values among the vectors")
    return about, tensors


def _check_names(path: str | Path, learnt: list[str], wanted: list[str]) -> None:
    if len(learnt) != len(wanted):
        raise ValueError(
            f"{path}: learnt for {len(learnt)} class names, not for these {len(wanted)}"
        )
    for number, (one, other) in enumerate(zip(learnt, wanted, strict=True)):
        if one != other:
            raise ValueError(
                f"{path}: learnt for other class names: class {number} is {one!r}, not {other!r}"
            )
