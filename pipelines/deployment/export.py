"""Export a classifier, compare it with the Keras model, and print how to run it.

`export.json`, schema 2: format, model, created, class_names, templates, multi_label,
preprocessing, bytes, `agreement` (`max_abs_difference` of probabilities over `images` and
`same_answer`, a fraction), `int8` (see `quantization_loss.measure`), config, versions; of a model
that was trained here `certainty`, its temperature and thresholds (see
`metrics.calibration_conformal_rejection`), or `thresholds` of several labels.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duet import json_validation
from pipelines.deployment import litert, model_card, onnx_openvino, quantization_loss, saved_model
from pipelines.deployment.load_classifier import Deployable
from pipelines.metrics import multilabel
from pipelines.runs import finite_answers, folder, models, results

if TYPE_CHECKING:
    from tfrecords import Manifest


CARD, ABOUT, LITERT = "README.md", "export.json", "model.tflite"

ONNX, OPENVINO = "model.onnx", "model.xml"

FILES = {
    "saved-model": ("saved_model.pb", "variables", "assets", "fingerprint.pb"),
    "litert": (LITERT,),
    "onnx": (ONNX,),
    "openvino": (OPENVINO, "model.bin"),
}

# `predict` reads an export before all else, and would no longer ask the run in the same folder.
OF_A_RUN = (models.MODEL, folder.CONFIG, results.FILE)

# A flatbuffer and a protobuf, of which OpenVINO's files are made, have no more bytes.
LARGEST = dict.fromkeys(("litert", "onnx", "openvino"), 2**31)

TOLERANCE = 1e-4  # of probabilities

COMPARED = 16  # images

Reader = Callable[[Any], Any]  # of an export: pixels, or files, to probabilities [b, c]


def files(format: str) -> tuple[str, ...]:
    """Returns the names of files that an export may write."""
    return (*FILES[format], CARD, ABOUT)


def finished(options: Any) -> dict[str, Any] | None:
    """Returns the content of `export.json` if the same command has written it, and nothing that it
    reads has changed since; takes away what it left where it was killed as it ended."""
    out = Path(options.out)
    folder.tidy(out)
    try:
        document = json_validation.read(out / ABOUT)
    except (OSError, ValueError):  # there is none, or it is damaged
        return None
    is_same = document.get("config") == _given(options)
    return document if is_same and not folder.changed_since(out / ABOUT, options) else None


def _given(options: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(options).items() if key != "out"}


def export(
    options: Any,
    deployable: Deployable,
    manifest: "Manifest | None",
    *,
    out: Path,
    results: dict[str, Any] | None,
) -> dict[str, Any]:
    """Write all files to `out` at once. Returns the content of `export.json`.

    Raises:
        RuntimeError: predictions differ from the Keras model's for a reason other than 8-bit
            quantization; a file of the format cannot hold the weights.
        ValueError: `--int8` on records whose labels are not those of the model.
    """
    size = sum(4 * math.prod(weight.shape) for weight in deployable.model.weights)
    if size >= (most := LARGEST.get(options.format, math.inf)):
        raise RuntimeError(
            f"{deployable.name} has weights of {size / 1e9:.1f} GB; {options.format} holds less "
            f"than {most / 1e9:.1f} GB: give --format saved-model"
        )
    classes = None
    if options.int8 and manifest is not None:
        classes = quantization_loss.places(options, deployable, manifest)
    with folder.filled_at_once(out) as staging:
        images = compared_images(options, manifest)
        read, pixels = (
            WRITERS[options.format](options, deployable, staging),
            pixels_of(images, deployable),
        )
        given = images if options.format == "saved-model" else pixels
        found = agreement(read(given), np.asarray(deployable.probabilities(pixels)))
        document = _document(options, deployable, staging, agreement=found)
        if results and results.get("certainty"):
            document["certainty"] = results["certainty"]
        if thresholds := multilabel.thresholds_in(results):
            document["thresholds"] = thresholds
        if classes is not None and manifest is not None:
            document["int8"] = quantization_loss.measure(
                options, deployable, manifest, read, classes=classes
            )
        elif found["max_abs_difference"] > TOLERANCE:
            raise RuntimeError(
                f"the export's probabilities differ from those of {deployable.name} by up to "
                f"{found['max_abs_difference']:.2g}; expected at most {TOLERANCE:g}"
            )
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        (staging / ABOUT).write_text(text + "\n", encoding="utf-8")
        card = model_card.card(document, results=results)
        (staging / CARD).write_text(card, encoding="utf-8")
    return document


def compared_images(options: Any, manifest: "Manifest | None") -> list[bytes]:
    """Returns image files for the comparison: the first of the split, or synthetic ones."""
    import tfrecords

    if manifest is not None:
        examples = tfrecords.examples(options.data, options.split)
        return [example.image for example in islice(examples, COMPARED)]
    return [drawn_image(seed) for seed in range(COMPARED)]


def drawn_image(seed: int) -> bytes:
    """Returns a non-square PNG of coloured waves, different for each seed."""
    import io

    from PIL import Image

    rng, side = np.random.default_rng(seed), 96
    height, width = rng.integers(side // 2, 2 * side, 2)
    down, across = np.mgrid[:height, :width, :3][:2] / side
    (a, b, c) = rng.uniform(-12, 12, (3, 1, 1, 3))
    buffer = io.BytesIO()
    waves = 127.5 + 127 * np.sin(a * down + b * across + c)
    Image.fromarray(waves.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def pixels_of(files: list[bytes], deployable: Deployable) -> np.ndarray:
    """Preprocesses files as in evaluation of the Keras model, uint8 [b, s, s, 3]."""
    import tfrecords

    return np.stack([tfrecords.read_image(file, **deployable.preprocessing) for file in files])


def agreement(found: np.ndarray, expected: np.ndarray) -> dict[str, Any]:
    """Compares probabilities [b, c] with those of the Keras model.

    Raises RuntimeError where those are NaN.
    """
    finite_answers.checked(expected)
    return {
        "images": len(found),
        "max_abs_difference": float(np.abs(found - expected).max()),
        "same_answer": float(np.mean(found.argmax(axis=1) == expected.argmax(axis=1))),
    }


def summary(document: dict[str, Any]) -> str:
    """Returns a summary of the export for a terminal."""
    found, int8 = document["agreement"], document.get("int8")
    lines = [
        f"{document['format']}: {len(document['class_names'])} classes, "
        f"{document['bytes'] / 1e6:,.1f} MB",
        f"against the Keras model: probabilities differ by {found['max_abs_difference']:.1g} at "
        f"most, on {found['images']} images",
    ]
    if int8:
        lines.append(quantization_loss.sentence(int8))
    return "\n".join(lines)


def _calibration(options: Any, deployable: Deployable) -> np.ndarray | None:
    """Returns the images that show the ranges of 8-bit integers; None without `--int8`."""
    import tfrecords

    if not options.int8:
        return None
    chosen = tfrecords.examples(options.data, options.calibration_split)
    files = [example.image for example in islice(chosen, options.calibration_images)]
    return pixels_of(files, deployable)


def _write_saved_model(options: Any, deployable: Deployable, staging: Path) -> Reader:
    saved_model.write(deployable, staging, top=options.top_k)
    return saved_model.reader(staging)


def _write_litert(options: Any, deployable: Deployable, staging: Path) -> Reader:
    data = litert.convert(deployable, examples=_calibration(options, deployable))
    (staging / LITERT).write_bytes(data)
    return litert.reader(data)


def _write_onnx(options: Any, deployable: Deployable, staging: Path) -> Reader:
    path = staging / FILES[options.format][0]
    write = onnx_openvino.write if options.format == "onnx" else onnx_openvino.write_openvino
    write(deployable, path, examples=_calibration(options, deployable))
    _, reader = onnx_openvino.READERS[options.format]
    return reader(path)


WRITERS = {
    "saved-model": _write_saved_model,
    "litert": _write_litert,
    "onnx": _write_onnx,
    "openvino": _write_onnx,
}


def _document(
    options: Any, deployable: Deployable, staging: Path, *, agreement: dict[str, Any]
) -> dict[str, Any]:
    written = (path for path in staging.rglob("*") if path.is_file())
    return {
        "schema": 2,
        "command": "export",
        "format": options.format,
        "model": deployable.name,
        "created": results.now(),
        "class_names": list(deployable.class_names),
        "templates": list(deployable.templates),
        "multi_label": deployable.multi_label,
        "preprocessing": deployable.preprocessing,
        "bytes": sum(path.stat().st_size for path in written),
        "top_k": min(options.top_k, len(deployable.class_names)),
        "agreement": agreement,
        "config": _given(options),
        "versions": results.versions(),
    }
