# %% [markdown]
# # Your own photos in ten cells
#
# From a folder per class to a model that names new photos, with a measured answer to *which way of
# adapting a pretrained model should I use?*
#
# It runs as it is on drawn images of the miniature world, with the small model that ships with
# Duet, without any download. For photos of your own set `PHOTOS` to your folder
# (`photos/cat/1.jpg`, `photos/dog/1.jpg`, ...) and `MODEL` to `"clip-vit-base-patch32"` (605 MB).

# %% parameters
PHOTOS = None  # a folder with a folder per class; None draws one
MODEL = "shapes-tiny"
METHODS = ["zero-shot", "linear-probe", "tip-adapter", "auto"]
DRAWN = 4000  # images of the miniature world to look through, of which a twentieth is taken
EPOCHS = 4  # of the methods that train
HELD_OUT = 1  # classes that are not trained on, to measure what is lost on new names

# %% [markdown]
# Five classes of the miniature world, in the place of your photos.

# %%
from pathlib import Path

from tfrecords.sources.shapes.source import ShapesSource

if PHOTOS is None:
    PHOTOS = "photos"
    classes = ["red star", "red ring", "blue star", "blue ring", "green square"]
    world = ShapesSource("shapes-wild", counts={"validation": DRAWN})
    for example in world.read("validation", 0, DRAWN):
        name = world.class_names[example.label]
        if name in classes:
            path = Path(PHOTOS, name, Path(example.filename).name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(example.load())

# %% [markdown]
# One image of each class.

# %%
import matplotlib.pyplot as plt
from PIL import Image

folders = sorted(folder for folder in Path(PHOTOS).iterdir() if folder.is_dir())
_, axes = plt.subplots(1, len(folders), figsize=(2 * len(folders), 2.3))
for axis, folder in zip(axes, folders, strict=True):
    axis.imshow(Image.open(sorted(folder.iterdir())[0]))
    axis.set_title(folder.name)
    axis.axis("off")

# %% [markdown]
# `duet` runs a command as a terminal does: `duet prepare --folder photos --out records/photos`.
# `prepare` reads every image once, lists what it cannot read, and divides the images into splits.

# %%
from pipelines.__main__ import main


def duet(*words):
    """Run a command of Duet; stop here if it fails."""
    assert main([str(word) for word in words]) == 0, "see the line above"


duet("prepare", "--folder", PHOTOS, "--out", "records/photos")

# %% [markdown]
# `compare` trains and measures each method on the same division of the images. It says which one
# to use, and how sure that is. Stopped at any point, the same cell goes on.

# %%
compare = ["compare", "--data", "records/photos", "--model", MODEL, "--out", "runs/photos"]
compare += ["--methods", *METHODS, "--epochs", EPOCHS, "--held-out", HELD_OUT]
compare += ["--seeds", 1, "--serving-seconds", 0]
if MODEL == "shapes-tiny":
    compare += ["--learning-rate", 0.001]  # a small model wants a higher one than CLIP
duet(*compare)

# %% [markdown]
# The whole report, with the classes that get mixed up and the images that went wrong.

# %%
import html

from IPython.display import HTML


def show(path):
    """A page in this one."""
    page = html.escape(Path(path).read_text())
    return HTML(f'<iframe srcdoc="{page}" width="100%" height="600"></iframe>')


show("runs/photos/report.html")

# %% [markdown]
# Put the recommended method to work on images that nobody has labelled (here: the same folder).
# `--sheet` makes a page to look through, `--sort-into DIR` copies the images into class folders.

# %%
duet(
    *("predict", "--model", "runs/photos", "--images", PHOTOS),
    *("--out", "predictions.csv", "--sheet", "predictions.html"),
)

# %%
print("".join(Path("predictions.csv").read_text().splitlines(keepends=True)[:6]))

# %%
show("predictions.html")

# %% [markdown]
# Next: `duet export --model runs/photos --format saved-model --out served` makes a classifier that
# runs where nothing of Duet is installed (see `phone.ipynb`).
