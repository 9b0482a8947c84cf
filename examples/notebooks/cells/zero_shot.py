# %% [markdown]
# # Zero-shot and prompts
#
# Name images with words alone; see what the words change; learn better ones from a few images.
#
# It runs as it is on the miniature world. With `MODEL = "clip-vit-base-patch32"` (605 MB) the same
# cells do it with CLIP; `RECORDS` is then a folder that `duet prepare` made of your photos.

# %% parameters
MODEL = "shapes-tiny"
RECORDS = None  # a folder of records; None makes one of the miniature world
LIMIT = 2000  # images of each split of the miniature world
SHOTS = 8  # images per class to learn prompts from
CLASSES = 20  # the first classes of the records
EPOCHS = 50

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

import dual_encoder
import tfrecords
from tfrecords import sources

if RECORDS is None:
    RECORDS = "records/shapes-wild"
    world = sources.Limited(sources.named("shapes-wild"), LIMIT)
    tfrecords.write(world, RECORDS, workers=1, progress=False)

# %% [markdown]
# A dual encoder turns images and texts into vectors of length one. How well they fit is their dot
# product, the cosine.

# %%
model = dual_encoder.load(MODEL)
names = tfrecords.Manifest.read(RECORDS).spoken_names[:CLASSES]
subset = tfrecords.Subset(classes=range(len(names)))
test = tfrecords.load(RECORDS, "test", batch_size=64, subset=subset, **model.preprocessing)

x, y, weight = next(iter(test))
images, labels = x["image"][:6], y[:6].numpy()
cosines = model.encode_image(images) @ np.transpose(model.encode_text(names))
_, axes = plt.subplots(1, len(images), figsize=(2 * len(images), 2.4))
for axis, image, row in zip(axes, images, np.asarray(cosines), strict=True):
    axis.imshow(image)
    axis.set_title(f"{names[row.argmax()]} {row.max():.2f}")
    axis.axis("off")

# %% [markdown]
# **Zero-shot**: each class is the embedding of a text. Several templates are averaged, which is
# nearly always better than the bare name.


# %%
def accuracy(classifier):
    classifier.compile(metrics=["accuracy"])
    return classifier.evaluate(test, verbose=0, return_dict=True)["accuracy"]


TEMPLATES = {
    "the name alone": ["{}"],
    "CLIP's words": ["a photo of a {}."],
    "words that the model read in training": ["the {}", "one {}", "a picture of the {}"],
}
for what, templates in TEMPLATES.items():
    zero_shot = dual_encoder.ZeroShotClassifier.from_names(model, names, templates)
    print(f"{accuracy(zero_shot):6.1%}  {what}")

# %% [markdown]
# **CoOp** learns the words around the names, as vectors, from a few images per class; the model
# itself stays as it is. Images are embedded once, so this takes seconds.

# %%
taken, chosen = dict.fromkeys(range(len(names)), 0), []
for example in tfrecords.examples(RECORDS, "train"):
    if example.label in taken and taken[example.label] < SHOTS:
        taken[example.label] += 1
        chosen.append(example)

size = model.preprocessing
shots = np.stack([tfrecords.read_image(example.image, **size) for example in chosen])
embeddings = model.encode_image(shots)
keras.utils.set_random_seed(0)
coop = dual_encoder.CoOp(model, names, words="a photo of a")
coop.compile(keras.optimizers.SGD(0.002, momentum=0.9), metrics=["accuracy"])
coop.fit(
    embeddings,
    np.array([example.label for example in chosen]),
    batch_size=32,
    epochs=EPOCHS,
    verbose=0,
)
print(f"{accuracy(coop.classifier()):6.1%}  learnt from {len(chosen)} images")

# %% [markdown]
# Kept for later: `evaluate --prompts`, `predict --prompts` and `export --prompts` take the file.

# %%
dual_encoder.save_prompts(coop, "prompts.safetensors", backbone=MODEL)
print(dual_encoder.describe_prompts("prompts.safetensors"))
