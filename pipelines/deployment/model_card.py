"""The model card (README.md) of an export: usage and measured results."""

from pathlib import Path, PurePath
from typing import Any

from dual_encoder.checkpoints import model_card
from pipelines.deployment import quantization_loss
from tfrecords import Preprocessing

CODE = {
    "saved-model": """import tensorflow as tf

model = tf.saved_model.load(".")
answer = model.signatures["serving_default"](
    image_bytes=tf.constant([open("image.jpg", "rb").read()])
)
answer["top_names"], answer["top_probabilities"], answer["probabilities"]
model.signatures["about"]()["class_names"]""",
    "litert": """import zipfile

import numpy as np
import tensorflow as tf  # or ai_edge_litert.interpreter, which has the same Interpreter
from PIL import Image, ImageOps

interpreter = tf.lite.Interpreter("model.tflite")
run = interpreter.get_signature_runner("serving_default")
{pixels}
probabilities = run(pixels=pixels)["probabilities"]  # [1, {classes}]
names = zipfile.ZipFile("model.tflite").read("labels.txt").decode().splitlines()""",
    "onnx": """import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
{pixels}
(probabilities,) = session.run(["probabilities"], {{"pixels": pixels}})  # [1, {classes}]
names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])""",
    "openvino": """import json

import numpy as np
import openvino
from PIL import Image, ImageOps

model = openvino.Core().read_model("model.xml")
run = openvino.compile_model(model, "CPU")
{pixels}
probabilities = run({{"pixels": pixels}})["probabilities"]  # [1, {classes}]
names = json.loads(model.get_rt_info(["duet", "class_names"]).astype(str))""",
}

PIXELS_IN = (
    "It takes RGB pixels 0-255, uint8 [b, {side}, {side}, 3], and gives the probabilities of all "
    "{classes} classes. Normalising is inside; "
)

IN_AND_OUT = {
    "saved-model": "It takes JPEG and PNG files of any size, turned as their EXIF says, and gives "
    "the first {top_k} names with their probabilities, and the probabilities of all {classes} "
    "classes. Decoding, resizing and normalising are inside. TensorFlow runs it; nothing of Duet "
    "has to be installed.",
    "litert": PIXELS_IN + "`labels.txt`, `templates.txt` and `preprocessing.json` are in the file "
    "as TFLite metadata.",
    "onnx": PIXELS_IN + "`class_names`, `templates` and `preprocessing` are in its metadata, "
    "as JSON.",
    "openvino": PIXELS_IN + "`class_names`, `templates` and `preprocessing` are in its "
    "runtime information under `duet`, as JSON.",
}


def card(document: dict[str, Any], *, results: dict[str, Any] | None) -> str:
    """Returns the card as Markdown.

    Args:
        document: of `export.export`.
        results: of a run; None if nothing was measured.
    """
    side, classes = document["preprocessing"]["image_size"], len(document["class_names"])
    facts = {"side": side, "classes": f"{classes:,}", "top_k": document["top_k"]}
    pixels = pixels_code(Preprocessing(**document["preprocessing"]))
    code = CODE[document["format"]].format(pixels=pixels, **facts)
    sections = [
        f"# {_title(document, results)}",
        f"A classifier of images, exported with Duet. {IN_AND_OUT[document['format']]}".format(
            **facts
        ),
        f"## Use\n\n```python\n{code}\n```",
        _description(document, results),
        _export(document),
        model_card.results_section(results) if results else "## Results\n\nNothing was measured.",
        model_card.versions_section(results),
    ]
    return "\n\n".join(sections) + "\n"


def pixels_code(asked: Preprocessing) -> str:
    """Code with Pillow from "image.jpg" to `pixels`, as `tfrecords.read_image` to 2 of 255."""
    side, resized = asked.image_size, asked.resized_side
    size = f"({resized}, {resized})"
    lines = ['image = ImageOps.exif_transpose(Image.open("image.jpg")).convert("RGB")']
    if asked.resize == "crop":
        size = f"[n * {resized} // min(image.size) for n in image.size]"
    lines.append(f"image = image.resize({size}, Image.Resampling.{asked.interpolation.upper()})")
    if asked.resize == "crop" or resized > side:
        lines += [
            f"left, top = ((n - {side}) // 2 for n in image.size)",
            f"image = image.crop((left, top, left + {side}, top + {side}))",
        ]
    lines.append(f"pixels = np.asarray(image)[None]  # RGB, uint8 [1, {side}, {side}, 3]")
    return "\n".join(lines)


def _title(document: dict[str, Any], results: dict[str, Any] | None) -> str:
    """The folder of a run of a comparison, `seed-1`, says nothing."""
    if results and results.get("method"):
        return f"{results['dataset']}: {_base(results)}, {results['method']}"
    return PurePath(document["model"].partition("@")[0]).name


def _base(results: dict[str, Any]) -> str:
    """The model that a run began with; of a path the last part, which others understand."""
    model = str(results["config"].get("model") or results["model"])
    return Path(model).name if Path(model).exists() else model


def _description(document: dict[str, Any], results: dict[str, Any] | None) -> str:
    asked = Preprocessing(**document["preprocessing"])
    sides = {"crop": "shorter side", "squash": "both sides"}[asked.resize]
    cut = asked.resize == "crop" or asked.resized_side > asked.image_size
    how = f"{sides} to {asked.resized_side}" + (", centre cut out" if cut else "")
    rows = [
        ("Pixels of a side", str(asked.image_size)),
        ("Resizing", f"{how}; {asked.interpolation}, antialiased"),
        ("Classes", ", ".join(document["class_names"])),
        ("Probabilities", "of each class separately" if document["multi_label"] else "add up to 1"),
    ]
    if results and results.get("method"):
        rows = [("Made from", _base(results)), ("Method", results["method"]), *rows]
    if document["templates"]:
        rows.append(("Read as", "; ".join(document["templates"])))
    return f"## Model\n\n{model_card.table(('', ''), rows)}"


def _export(document: dict[str, Any]) -> str:
    found = document["agreement"]
    lines = [
        f"Against the Keras model, on {found['images']} images: probabilities differ by "
        f"{found['max_abs_difference']:.1g} at most. {document['bytes'] / 1e6:,.1f} MB on disk."
    ]
    if "int8" in document:
        lines.append(quantization_loss.sentence(document["int8"]) + ".")
    return "## Export\n\n" + "\n\n".join(lines)
