"""The precision that images are embedded in: the one asked for, or the fastest on this machine.

`auto` is float32 for what is done in a minute, and where the hardware multiplies nothing else. For
more the model is timed once in each precision, and the cache folder keeps what was found. The
fastest is taken whose embeddings are no further than `FURTHEST` from those in float32. Texts stay
float32.
"""

import contextlib
import json
import platform
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from duet import (
    atomic_files,
    cache_folder,
    cpu_cores,
    disk_errors,
    json_validation,
    keras_private_api,
)
from pipelines.runs import runtime

HALF = ("mixed_bfloat16", "mixed_float16")

LEAST = 10**11  # images times weights: 1,100 of a ViT-B, a minute or two, or 300,000 of shapes-tiny

FURTHEST = 1e-2  # cosine distance

_FOUND = {"seconds": json_validation.POSITIVE, "distance": json_validation.NUMBER}

MEASURED = {"*": {"float32": _FOUND, "*": _FOUND}}  # by model and precision

FASTER = 1.25  # times as fast as float32, at least; less is not worth other figures

FILE = "precision.json"  # in `duet.cache_folder`

TRIED = 16  # images of a measurement


def load(name: str, asked: str, *, images: int, read: Callable[[str], Any]) -> Any:
    """Loads a model in the precision asked for, which is Keras' global one from here on.

    Args:
        name: of the model.
        asked: float32, mixed_bfloat16, mixed_float16 or auto.
        images: how many are to be embedded.
        read: loads the model of a name.
    """
    import keras

    keras.config.set_dtype_policy("float32" if asked == "auto" else asked)
    if line := runtime.precision_in_words(asked):
        print(line)
    model = read(name)
    if asked != "auto" or len(candidates()) == 1 or images * weights(model) < LEAST:
        return model
    chosen = fastest(name, read)
    keras.config.set_dtype_policy(chosen)
    if chosen != "float32":
        print(runtime.precision_in_words(chosen) or f"precision: {chosen}")
        model = read(name)
        texts_in_float32(model)
    return model


def weights(model: Any) -> int:
    """How many the image tower has, by which its time for an image goes."""
    tower = getattr(model, "image_tower", model)
    return sum(int(np.prod(weight.shape)) for weight in tower.weights)


def texts_in_float32(model: Any) -> None:
    """Has texts embedded in float32: they are few, and every image is compared with them."""
    parts = [getattr(model, part, None) for part in ("text_tower", "text_projection")]
    for layer in (layer for part in parts if part for layer in keras_private_api.layers_of(part)):
        layer.dtype_policy = "float32"


def policy_of(model: Any) -> str:
    """Of its image tower; a file of Keras keeps the one that it was saved with."""
    return getattr(model, "image_tower", model).dtype_policy.name


def candidates() -> list[str]:
    """What this machine may be fast in; float32 first."""
    from dual_encoder.towers import cpu_bfloat16_instructions, xla_policy

    if xla_policy.on_accelerator():
        return ["float32", *HALF]
    return ["float32", *HALF[:1]] if cpu_bfloat16_instructions.names() else ["float32"]


def fastest(name: str, read: Callable[[str], Any]) -> str:
    """The fastest precision of a model that is near enough, measured or kept from before."""
    folder, key = cache_folder.path(), _key(name)
    path = folder / FILE if folder else None
    kept: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        kept = json_validation.read(path, MEASURED) if path else {}
    if key not in kept:
        kept = {**kept, key: _measured(name, read)}
        if path:
            with contextlib.suppress(disk_errors.CannotWriteError):  # measured again next time
                atomic_files.write(path, json.dumps(kept, indent=1))
    return best_of(kept[key])


def best_of(measured: dict[str, dict[str, float]]) -> str:
    """Of `seconds` and cosine `distance` in each precision."""
    if "float32" not in measured:
        return next(iter(measured), "float32")
    limit = measured["float32"]["seconds"] / FASTER
    near = [name for name, found in measured.items() if found["distance"] <= FURTHEST]
    quickest = min(near, key=lambda name: measured[name]["seconds"])
    return quickest if measured[quickest]["seconds"] <= limit else "float32"


def _key(name: str) -> str:
    """What the measurement depends on."""
    import tensorflow as tf

    from dual_encoder.towers import cpu_bfloat16_instructions

    cards = [
        str(tf.config.experimental.get_device_details(card).get("device_name"))
        for card in tf.config.list_physical_devices("GPU")
    ]
    path = Path(name)
    model = f"{path.resolve()} {path.stat().st_mtime_ns}" if path.exists() else name
    machine = [
        platform.machine(),
        cpu_bfloat16_instructions.names(),
        f"{cpu_cores.usable()} cores",
        *cards,
    ]
    return "; ".join([model, *machine, f"tensorflow {tf.__version__}"])


def _measured(name: str, read: Callable[[str], Any]) -> dict[str, dict[str, float]]:
    """Seconds for `TRIED` images, the best of four, and the largest cosine distance to float32."""
    import keras

    from duet import unit_rows

    drawn = random.getstate()  # by which Keras seeds what it initialises
    found: dict[str, dict[str, float]] = {}
    exact: np.ndarray | None = None
    for policy in candidates():
        keras.config.set_dtype_policy(policy)
        model = read(name)
        if policy_of(model) != policy:  # a file of Keras keeps its own
            continue
        images, seconds = _images(model.image_size), []
        for _ in range(5):
            begun = time.perf_counter()
            embeddings = unit_rows.unit(np.asarray(model.encode_image(images), np.float32))
            seconds.append(time.perf_counter() - begun)
        if exact is None:
            exact = embeddings
        distance = 1 - (embeddings * exact).sum(axis=1).min()
        found[policy] = {"seconds": min(seconds[1:]), "distance": float(distance)}
    random.setstate(drawn)
    print(
        f"precision: {best_of(found)}, the fastest here for {name} ("
        + ", ".join(f"{TRIED / each['seconds']:.1f} images/s in {p}" for p, each in found.items())
        + ")"
    )
    return found


def _images(size: int) -> np.ndarray:
    """Coarse coloured squares, [TRIED, size, size, 3]."""
    squares = np.random.default_rng(0).integers(0, 256, (TRIED, 8, 8, 3)).astype(np.uint8)
    places = np.arange(size) * 8 // size
    return squares[:, places][:, :, places]
