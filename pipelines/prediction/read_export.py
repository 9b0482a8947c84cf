"""Read what `export` wrote as a predictor: SavedModel, LiteRT, ONNX, OpenVINO."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from duet import exception_summary, json_validation
from pipelines.deployment import export as deployment_export
from pipelines.deployment import (
    litert,
    litert_metadata,
    load_classifier,
    onnx_openvino,
    saved_model,
)
from pipelines.prediction.predictor import Predictor
from pipelines.runs import resume_check

SAVED_MODEL = "saved_model.pb"


def reader_of(path: Path) -> Callable[[], Predictor] | None:
    """What reads an export; None where the path is none."""
    for name, read in ONE_FILE.items():
        file = path if path.is_file() and path.suffix == Path(name).suffix else path / name
        if file.is_file():
            return partial(read, file)
    if (path / SAVED_MODEL).is_file():
        return lambda: _of_saved_model(path)
    return None


def _of_litert(path: Path) -> Predictor:
    data = path.read_bytes()
    try:
        text = litert_metadata.read(data)[litert_metadata.PREPROCESSING]
        facts = json_validation.parse(text, load_classifier.FACTS, name="its metadata")
        read = litert.reader(data)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"--model: {path} is no LiteRT file that export wrote ({error})") from None
    return _of_facts(facts, read, path)


def _of_onnx(path: Path) -> Predictor:
    """Of an ONNX file, or of OpenVINO's .xml."""
    format = "onnx" if path.suffix == ".onnx" else "openvino"
    onnx_openvino.check_packages(format, to_run=True)
    about, read = onnx_openvino.READERS[format]
    try:
        facts = about(path)
        json_validation.check(facts, load_classifier.FACTS)
        function = read(path)
    except Exception as error:  # of either library: nothing in common
        reason = exception_summary.first_line(error)
        raise ValueError(f"--model: {path} is no file that export wrote ({reason})") from error
    return _of_facts(facts, function, path)


def _of_saved_model(folder: Path) -> Predictor:
    try:
        about, probabilities = saved_model.pixels_reader(folder)
    except Exception as error:  # of TensorFlow: nothing in common
        reason = exception_summary.first_line(error)
        raise ValueError(
            f"--model: {folder} is no SavedModel that export wrote ({reason})"
        ) from error
    beside = folder / deployment_export.ABOUT
    more = json_validation.read(beside, {"multi_label?": bool}) if beside.is_file() else {}
    facts = {**about, "multi_label": more.get("multi_label", False)}
    json_validation.check(facts, load_classifier.FACTS, where=str(folder))
    return _of_facts(facts, probabilities, folder)


def _of_facts(
    facts: dict[str, Any], read: Callable[[np.ndarray], np.ndarray], path: Path
) -> Predictor:
    """Of what an export says of itself, checked against `FACTS`."""
    return Predictor(
        tuple(facts["class_names"]),
        facts["multi_label"],
        facts["preprocessing"],
        read,
        str(path),
        checksum=partial(resume_check.fingerprint, path),
    )


#: What reads an export of one file, by the name that it has in the export's folder.
ONE_FILE = {
    deployment_export.LITERT: _of_litert,
    deployment_export.ONNX: _of_onnx,
    deployment_export.OPENVINO: _of_onnx,
}
