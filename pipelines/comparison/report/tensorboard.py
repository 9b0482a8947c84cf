"""TensorBoard logs of a comparison: a run per method.

Beside the curves that the runs themselves have written: `tensorboard --logdir OUT`.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evaluation import plots as evaluation_plots
from pipelines.metrics import confusion

FIGURES = ("seen", "unseen", "unseen_among_all", "generalized", "harmonic_mean", "seconds")

SIDE = 96  # pixels of an image of a mistake

OPTIONS = ("epochs", "batch_size", "learning_rate")


def write(directory: Path, document: dict[str, Any], mistakes: list[dict[str, Any]]) -> None:
    """A folder of events for every method that has finished.

    Args:
        directory: `tensorboard` in the folder of the comparison; rewritten.
        document: of `results_document.document`.
        mistakes: of `mistakes.rows`.
    """
    import shutil

    import tensorflow as tf
    from tensorboard.plugins.hparams import api as hparams

    shutil.rmtree(directory, ignore_errors=True)
    wrong = {row["text"]: row for row in mistakes}
    for row in document["rows"]:
        if row["error"] is not None:
            continue
        writer = tf.summary.create_file_writer(str(directory / row["method"]))
        with writer.as_default(step=0):
            hparams.hparams(_options(row, document), trial_id=row["method"])
            for name in FIGURES:
                if row[name] is not None:
                    tf.summary.scalar(name, row[name])
            if row["confusion_matrix"] and not document.get("multi_label"):
                tf.summary.image("confusion matrix", _image(_confusion(row)))
            if row["method"] in wrong:
                tf.summary.image("mistakes", _images(wrong[row["method"]]), max_outputs=12)
        writer.close()


def _options(row: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    config = document["config"]
    chosen = {name: config[name] for name in OPTIONS} | {"shots": max(config["shots"])}
    return {"method": row["method"], "family": row["family"], "model": document["model"], **chosen}


def _confusion(row: dict[str, Any]) -> bytes:
    matrix = np.array(row["confusion_matrix"])
    order = confusion.similar_order(matrix)
    names = [row["per_class"][i]["name"] for i in order]
    return evaluation_plots.confusion_matrix(
        matrix[np.ix_(order, order)], names, labels=len(names) <= 30
    )


def _image(png: bytes) -> np.ndarray:
    """PNG bytes as pixels uint8 [1, h, w, 3]."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))[None]


def _images(row: dict[str, Any]) -> np.ndarray:
    """The thumbnails of a row of mistakes as pixels uint8 [n, s, s, 3], white around them."""
    import base64

    from PIL import Image

    sheet = np.full((len(row["thumbnails"]), SIDE, SIDE, 3), 255, np.uint8)
    for place, thumbnail in zip(sheet, row["thumbnails"], strict=True):
        image = Image.open(io.BytesIO(base64.b64decode(thumbnail["uri"].split(",", 1)[1])))
        image.thumbnail((SIDE, SIDE))
        pixels = np.asarray(image.convert("RGB"))
        place[: pixels.shape[0], : pixels.shape[1]] = pixels
    return sheet
