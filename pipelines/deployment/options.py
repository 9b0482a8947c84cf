"""The options of `export`, and which of them go together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipelines.runs import option_parsing

if TYPE_CHECKING:
    from tfrecords import Manifest


@dataclass(frozen=True)
class Options:
    """Export any result as a classifier that runs without Duet.

    Args:
        model: a .keras file, the folder of a run, or a checkpoint's name.
        out: folder; created if missing, never overwritten.
        format: saved-model maps JPEG or PNG files to names and probabilities; litert is a .tflite
            file that takes uint8 pixels and carries the names as metadata; so are onnx (extra
            `onnx`) and openvino (extra `openvino`).
        data: folder of records, with class names and templates for a dual encoder, and images to
            compare the export on.
        split: of the records, for comparing and measuring.
        class_names: names, or one file: a name per line, JSON (a list) or a CSV; for a dual
            encoder, or a model without.
        allow_equal_names: accept several classes with the same name, as in published lists.
        templates: prompts with {} for the class name, or one file with a prompt per line, or JSON
            or CSV with prompts of each class.
        domain: what the classes are, such as food, for prompts that say so, in place of templates.
        prompts: file of learnt prompts, written by the command prompt.
        top_k: number of names that a SavedModel returns.
        int8: 8-bit integers, in litert, onnx or openvino; what they lose is measured on the split.
        calibration_split: of the records, by which the ranges of 8-bit integers are measured.
        calibration_images: how many of them.
        results: results.json or a run's folder, whose results the model card shows; default: those
            beside the model.
        batch_size: images per batch while measuring.
    """

    model: str
    out: str
    format: Literal["saved-model", "litert", "onnx", "openvino"] = "saved-model"
    data: str | None = None
    split: str = "test"
    class_names: list[str] | None = None
    allow_equal_names: bool = False
    templates: list[str] | None = None
    domain: str | None = None
    prompts: str | None = None
    top_k: int = 5
    int8: bool = False
    calibration_split: str = "train"
    calibration_images: int = 200
    results: str | None = None
    batch_size: int = 32


OF_NAMES = {"top_k": 5}  # of the formats that give names

OF_INT8 = {"calibration_split": "train", "calibration_images": 200, "batch_size": 32}

RANGES: dict[str, tuple[str, ...]] = {
    "[1, inf)": ("top_k",),
    "[1, 65536]": ("batch_size", "calibration_images"),
}


def check(options: Options, manifest: "Manifest | None") -> None:
    """Raises ValueError for options that do not go together."""
    if options.format != "saved-model":
        option_parsing.refuse_without(options, OF_NAMES, other="--format saved-model")
    if not options.int8:
        option_parsing.refuse_without(options, OF_INT8, other="--int8")
    if options.int8 and options.format == "saved-model":
        raise ValueError("--int8 goes with --format litert, onnx or openvino; got saved-model")
    if options.int8 and manifest is None:
        raise ValueError("--int8: expected --data, whose images show the ranges of activations")
    if manifest is None:
        option_parsing.refuse_without(options, {"split": "test"}, other="--data")
        return
    measured = manifest.split(options.split)
    if options.int8:
        manifest.split(options.calibration_split)
        if not measured.labels:
            raise ValueError(
                f"--int8: split {options.split!r} has no labels to measure its loss by"
            )
