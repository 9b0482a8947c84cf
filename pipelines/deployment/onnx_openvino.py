"""Export a classifier as ONNX, or as OpenVINO's files: pixels in, probabilities out."""

import importlib.util
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dual_encoder import onnx_postprocessing
from duet import extras
from pipelines.deployment import onnx_int8
from pipelines.deployment.load_classifier import Deployable

# ONNX Runtime would send what it is used for to Microsoft, and keep an id for that in ~/.cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

PIXELS, PROBABILITIES = "pixels", "probabilities"

FACTS = ("class_names", "templates", "multi_label", "preprocessing")  # in a file's metadata

#: Packages that a format is made with; the last is what runs it.
NEEDS = {
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "openvino": ("tf2onnx", "onnx", "onnxruntime", "openvino"),
}


def check_packages(format: str, *, to_run: bool = False) -> None:
    """Raises RuntimeError that names the extra, if what makes or runs a format is not installed."""
    needed = list(NEEDS.get(format, ()))
    missing = [
        name
        for name in (needed[-1:] if to_run else needed)
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise RuntimeError(extras.missing(f"{format} ({', '.join(missing)})", format))


def write(deployable: Deployable, path: Path, *, examples: np.ndarray | None = None) -> None:
    """Write the ONNX file; with examples, images uint8 [n, s, s, 3], in 8-bit integers.

    It takes `pixels`, uint8 [batch, s, s, 3], and gives `probabilities`, float32 [batch, c];
    normalising is inside. Its metadata has `class_names`, `templates`, `multi_label` and
    `preprocessing`, each as JSON.

    Raises:
        RuntimeError: the model has an operation that ONNX has not.
    """
    import keras

    side = deployable.image_size

    class Served(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = deployable.model

        def call(self, pixels: Any) -> Any:
            return deployable.probabilities(pixels)

    model = Served()
    model.build((None, side, side, 3))
    signature = [keras.InputSpec(shape=(None, side, side, 3), dtype="uint8", name=PIXELS)]
    with onnx_postprocessing.exporting():
        model.export(str(path), format="onnx", verbose=False, input_signature=signature)
    onnx_postprocessing.finish(path, output=PROBABILITIES, metadata=_metadata(deployable))
    if examples is not None:
        onnx_int8.quantise(path, {PIXELS: examples})


def reader(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Returns an ONNX file's function from pixels uint8 [b, s, s, 3] to probabilities [b, c]."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda pixels: session.run([PROBABILITIES], {PIXELS: pixels})[0]


def about(path: Path) -> dict[str, Any]:
    """What the metadata of an ONNX file says, by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.get_modelmeta().custom_metadata_map
    return {key: json.loads(found[key]) for key in FACTS}


def write_openvino(
    deployable: Deployable, path: Path, *, examples: np.ndarray | None = None
) -> None:
    """Write `path`, an .xml, and the .bin beside it; inputs, outputs and examples as in ONNX.

    The same texts are in the file as runtime information, under `duet`.
    """
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "model.onnx"
        write(deployable, exported)
        if examples is not None:
            onnx_int8.quantise(exported, {PIXELS: examples}, measured=True)
        model = openvino.Core().read_model(str(exported))
        for key, text in _metadata(deployable).items():
            model.set_rt_info(text, ["duet", key])
        openvino.save_model(model, str(path), compress_to_fp16=False)


def openvino_reader(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """As `reader`, of OpenVINO's files on the CPU, in float32 where they are not in integers."""
    import openvino

    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # on some CPUs it would be bfloat16
    compiled = openvino.Core().compile_model(str(path), "CPU", exact)
    return lambda pixels: compiled({PIXELS: pixels})[PROBABILITIES]


def openvino_about(path: Path) -> dict[str, Any]:
    """As `about`, of OpenVINO's files."""
    import openvino

    model = openvino.Core().read_model(str(path))
    return {key: json.loads(model.get_rt_info(["duet", key]).astype(str)) for key in FACTS}


def _metadata(deployable: Deployable) -> dict[str, str]:
    return {key: json.dumps(getattr(deployable, key), ensure_ascii=False) for key in FACTS}


#: Of each format, what reads a file's metadata, and what its function.
READERS = {"onnx": (about, reader), "openvino": (openvino_about, openvino_reader)}
