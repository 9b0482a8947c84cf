"""Images of a few colours as records, and `finetune` on them with a tiny CLIP."""

import contextlib
import io
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from pipelines.__main__ import main
from tfrecords.schema import RawExample

COLOURS = ((220, 30, 30), (30, 200, 30), (30, 30, 220), (220, 220, 30), (20, 20, 20), (230,) * 3)
NAMES = ("red cat", "green cat", "blue cat", "dog", "black cat", "white cat")
SETTINGS = ("--batch-size", "16", "--epochs", "2", "--bootstrap", "20", "--crop-scale", "1")
RATE = ("--learning-rate", "0.003", "--weight-decay", "0")


@dataclass(frozen=True)
class Colours:
    """Images of one colour each, with noise; six classes."""

    name = "colours"
    class_names = NAMES
    templates = ("a photo of a {}.",)
    metric = "top1"
    lossless = False
    splits = {"train": 90, "test": 36}  # noqa: RUF012  as sources have it

    def describe(self):
        return {"kind": "colours"}

    def read(self, split, start, stop):
        for i in range(start, stop):
            yield RawExample(f"{split}/{i}.png", partial(image, split, i), label=i % 6)


def image(split, i):
    rng = np.random.default_rng([i, len(split)])
    pixels = np.array(COLOURS[i % 6]) + rng.normal(0, 25, (20, 20, 3))
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, "png")
    return file.getvalue()


def finetune(home, out, *more, model="clip.keras"):
    """Exit status, output and complaints."""
    output, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
        arguments = ["--data", str(home / "records"), "--model", str(home / model)]
        status = main(["finetune", *arguments, "--out", str(home / out), *SETTINGS, *more])
    return status, output.getvalue(), error.getvalue()
