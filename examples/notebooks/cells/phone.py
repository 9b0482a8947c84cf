# %% [markdown]
# # Export to a phone
#
# Adapt a model to your classes, write it as one LiteRT file that carries its class names, in
# float32 and in 8-bit integers, and see what the small one costs in accuracy and saves in size.
#
# It runs as it is on the miniature world. For your own photos set `RECORDS` to a folder that
# `duet prepare --folder photos --out records/mine` made, and `MODEL` to `"clip-vit-base-patch32"`
# or to a network such as `"mobilenet-v3-small"` with `METHOD = "full"`.

# %% parameters
MODEL = "shapes-tiny"
METHOD = "linear-probe"
RECORDS = None  # a folder of records; None makes one of the miniature world
LIMIT = 2000  # images of each split of the miniature world

# %%
from pipelines.__main__ import main


def duet(*words):
    """Run a command of Duet, as a terminal does; stop here if it fails."""
    assert main([str(word) for word in words]) == 0, "see the line above"


if RECORDS is None:
    RECORDS = "records/shapes-wild"
    duet("prepare", "--dataset", "shapes-wild", "--limit", LIMIT, "--out", RECORDS)

# %%
duet(
    *("finetune", "--data", RECORDS, "--model", MODEL, "--method", METHOD),
    *("--out", "runs/phone"),
)

# %% [markdown]
# Each file is compared with the Keras model before it is written. `--int8` is measured on the test
# images: the last lines say what it costs.

# %%
export = ["export", "--model", "runs/phone", "--format", "litert", "--data", RECORDS]
duet(*export, "--out", "phone")
duet(*export, "--int8", "--out", "phone-int8")

# %%
from pathlib import Path

for folder in ("phone", "phone-int8"):
    print(f"{folder:12}{Path(folder, 'model.tflite').stat().st_size / 1e6:6.2f} MB")

# %% [markdown]
# What an app does with the file: class names from its metadata, pixels in, probabilities out. This
# cell needs nothing of Duet but the test image.

# %%
import json
import warnings
import zipfile

import numpy as np
import tensorflow as tf

import tfrecords

with zipfile.ZipFile("phone-int8/model.tflite") as file:
    names = file.read("labels.txt").decode().splitlines()
    about = json.loads(file.read("preprocessing.json"))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # on a phone it is ai_edge_litert's, the same class
    interpreter = tf.lite.Interpreter("phone-int8/model.tflite")
run = interpreter.get_signature_runner("serving_default")

example = next(iter(tfrecords.examples(RECORDS, "test")))
pixels = tfrecords.read_image(example.image, **about["preprocessing"])
(probabilities,) = run(pixels=pixels[None]).values()
for row in np.argsort(-probabilities[0])[:3]:
    print(f"{probabilities[0, row]:6.1%}  {names[row]}")
print("it is:", example.class_name)
