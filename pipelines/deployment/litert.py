"""Convert a classifier to LiteRT (`.tflite`): uint8 pixels in, probabilities out."""

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from duet import cpu_cores, keras_private_api, silenced_stderr
from pipelines.deployment import litert_metadata
from pipelines.deployment.load_classifier import Deployable

SIGNATURE = "serving_default"

# What the converter makes of a layer norm, and what is computed with the same numbers.
NORM = ("MEAN", "SQUARED_DIFFERENCE", "RSQRT")

AROUND_NORMS = ("NEG", "MUL", "ADD", "SUB", "SOFTMAX")


def convert(deployable: Deployable, *, examples: Iterable[np.ndarray] | None = None) -> bytes:
    """The file, with its metadata (see `litert_metadata`).

    Its signature `serving_default` takes `pixels`, uint8 [b, s, s, 3] with b = 1 unless the input
    is resized, and gives `probabilities`, float32 [b, c]; normalising is inside.

    Args:
        deployable: the classifier.
        examples: images uint8 [s, s, 3] by which ranges are measured; with them, weights and
            activations become 8-bit integers wherever there are kernels for that. In networks
            with layer norms these, and what they are added to, stay as they are: of `shapes-tiny`
            8 bits there take 4.5 points of accuracy, and everywhere else none.

    Raises:
        RuntimeError: the model has an operation that LiteRT does not.
    """
    seen = None if examples is None else list(examples)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        _write_plain(deployable, folder)
        try:
            data = _converter(folder).convert() if seen is None else _eight_bits(folder, seen)
        except Exception as error:  # compiler errors have no common type
            reason = str(error).strip().split("\n")[0]
            raise RuntimeError(
                f"{deployable.name} cannot be converted to LiteRT: {reason}"
            ) from error
    return litert_metadata.add(data, deployable)


def reader(data: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a LiteRT file's function from pixels uint8 [b, s, s, 3] to probabilities [b, c]."""
    import tensorflow as tf

    with _quiet():
        interpreter: Any = tf.lite.Interpreter(model_content=data, num_threads=cpu_cores.usable())
        interpreter.allocate_tensors()
    run = interpreter.get_signature_runner(SIGNATURE)
    return lambda pixels: run(pixels=pixels)["probabilities"]


def _converter(folder: str) -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])


def _eight_bits(folder: str, examples: list[np.ndarray]) -> bytes:
    """Returns the file with 8-bit integers, except for layer norms."""
    import tensorflow as tf

    _, flatbuffer_utils = keras_private_api.litert_schema()
    converter = _converter(folder)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        (SIGNATURE, {"pixels": image[None]}) for image in examples
    )
    data = converter.convert()
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
    codes = {flatbuffer_utils.opcode_to_name(model, i) for i in range(len(model.operatorCodes))}
    if not set(NORM) <= codes:
        return data
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter,
        debug_dataset=lambda: ({"pixels": image[None]} for image in examples),
        debug_options=tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=[*NORM, *AROUND_NORMS]
        ),
    )
    return debugger.get_nondebug_quantized_model()


def _write_plain(deployable: Deployable, folder: str) -> None:
    """Writes the part to convert, without file decoding and class names."""
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
    """Silences TensorFlow's deprecation warning, a missing-spec warning, and what C++ says of its
    settings and of XNNPACK."""
    with warnings.catch_warnings(), silenced_stderr.silenced():
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")
        warnings.filterwarnings("ignore", message=".*representative_dataset.*")
        yield
