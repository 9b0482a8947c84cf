"""A classifier as a LiteRT file (`.tflite`): uint8 pixels in, probabilities out, for a phone."""

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pipelines.runs import litert_metadata
from pipelines.runs.deployable import Deployable

SIGNATURE = "serving_default"


def convert(deployable: Deployable, *, examples: Iterable[np.ndarray] | None = None) -> bytes:
    """The file, with its metadata (see `litert_metadata`).

    Its signature `serving_default` takes `pixels`, uint8 [b, s, s, 3] with b = 1 unless the input
    is resized, and gives `probabilities`, float32 [b, c]; normalising is inside.

    Args:
        deployable: the classifier.
        examples: pictures uint8 [s, s, 3] by which ranges are measured; with them, weights and
            activations become 8-bit integers wherever there are kernels for that.

    Raises:
        RuntimeError: the model has an operation that LiteRT does not.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder, _quiet():
        _write_plain(deployable, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        if examples is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                (SIGNATURE, {"pixels": picture[None]}) for picture in examples
            )
        try:
            data = converter.convert()
        except Exception as error:  # of the compiler: nothing in common
            reason = str(error).strip().split("\n")[0]
            raise RuntimeError(
                f"{deployable.name} cannot be converted to LiteRT: {reason}"
            ) from error
    return litert_metadata.add(data, deployable)


def reader(data: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """What a LiteRT file says of pixels uint8 [b, s, s, 3]: probabilities float32 [b, c]."""
    import tensorflow as tf

    with _quiet():
        interpreter: Any = tf.lite.Interpreter(model_content=data)
    run = interpreter.get_signature_runner(SIGNATURE)
    return lambda pixels: run(pixels=pixels)["probabilities"]


def _write_plain(deployable: Deployable, folder: str) -> None:
    """The part that is converted, without files and names."""
    import keras
    import tensorflow as tf

    side = deployable.image_size
    archive = keras.export.ExportArchive()
    archive.track(deployable.model)
    archive.add_endpoint(
        SIGNATURE,
        lambda pixels: {"probabilities": deployable.probabilities(pixels)},
        input_signature=[tf.TensorSpec([None, side, side, 3], tf.uint8, name="pixels")],
    )
    archive.write_out(folder, verbose=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without TensorFlow's word that its interpreter moves to a package of its own some day, and
    what that package's forerunner does with modules that lack a spec."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")
        warnings.filterwarnings("ignore", message=".*representative_dataset.*")
        yield
