"""Recipes as the commands in their heads, and files to run them on."""

import importlib
import io
import shlex
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.runs import option_parsing

CLIP = Path(__file__).parent / "fixtures" / "pretrained" / "clip_gelu_bfloat16"


def commands(recipe):
    """The commands in the comment that a recipe begins with, as lists of words."""
    lines = recipe.read_text().replace("\\\n#", " ").splitlines()
    typed = [line.strip("# ") for line in lines if line.startswith("#   python -m pipelines ")]
    return [shlex.split(line)[3:] for line in typed]


def options(command, *argv):
    module = importlib.import_module(f"pipelines.{command}")
    return option_parsing.parse(module.Options, command=command, argv=list(argv))


def recipe(name):
    return option_parsing.RECIPES / f"{name}.yaml"


def jpeg(number):
    pixels = np.random.default_rng(number).integers(256, size=(6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((40, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
