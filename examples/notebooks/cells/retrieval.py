# %% [markdown]
# # Find images by words or by an image
#
# A folder of images is embedded once; then any sentence or image finds the nearest ones.
#
# It runs as it is on drawn images. For your own set `IMAGES` to your folder and `MODEL` to
# `"clip-vit-base-patch32"` (605 MB).

# %% parameters
IMAGES = None  # a folder; None draws one
MODEL = "shapes-tiny"
DRAWN = 1000
QUERY = "a picture of the purple star"

# %%
from pathlib import Path

from tfrecords.sources.shapes.source import ShapesSource

if IMAGES is None:
    IMAGES = "images"
    Path(IMAGES).mkdir(exist_ok=True)
    world = ShapesSource("shapes", counts={"test": DRAWN})
    for example in world.read("test", 0, DRAWN):
        Path(IMAGES, Path(example.filename).name).write_bytes(example.load())

# %% [markdown]
# `duet` runs a command as a terminal does. `--build` embeds what is new or has changed, and drops
# what is gone; run it again whenever the folder has changed.

# %%
from pipelines.__main__ import main


def duet(*words):
    """Run a command of Duet; stop here if it fails."""
    assert main([str(word) for word in words]) == 0, "see the line above"


duet("retrieve", "--build", "--folder", IMAGES, "--model", MODEL, "--index", "index")

# %% [markdown]
# A query, and a page with the images found.

# %%
duet("retrieve", "--index", "index", "--query", QUERY, "-k", 5, "--html", "sheet.html")

# %% [markdown]
# The same in Python: an index is a matrix of embeddings, a search a product with it.

# %%
import matplotlib.pyplot as plt
from PIL import Image

import dual_encoder

model = dual_encoder.load(MODEL)
index = dual_encoder.Index.open("index", fingerprint=dual_encoder.fingerprint(model))


def show(embedding, k=6):
    """The k nearest images of one embedding [1, e]."""
    hits = index.search(embedding, k)
    _, axes = plt.subplots(1, k, figsize=(2 * k, 2.3))
    for axis, row, score in zip(axes, hits.rows[0], hits.scores[0], strict=True):
        axis.imshow(Image.open(Path(IMAGES, index.id(row))))
        axis.set_title(f"{score:.2f}")
        axis.axis("off")
    return [index.id(row) for row in hits.rows[0]]


by_words = show(model.encode_text(QUERY).numpy())

# %% [markdown]
# By an image: the first one found, which is its own nearest.

# %%
by_image = show(model.encode_image(Path(IMAGES, by_words[0])).numpy())
assert by_image[0] == by_words[0]

# %% [markdown]
# On your own computer `duet serve --index index` opens a page that does both. Beyond a million
# images `--search hnsw` finds approximately, and says what it misses.
