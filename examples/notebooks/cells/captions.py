# %% [markdown]
# # A dual encoder from captions
#
# Two towers, one for images and one for texts, learn from captions alone to give an image and its
# caption the same direction. Afterwards the model names classes that it was never told about, and
# finds images by sentences. Everything is plain Keras.
#
# It runs as it is on the miniature world. For your own captions make the records with
# `duet prepare --captions captions.csv --images images --out records/mine`.

# %% parameters
RECORDS = None  # a folder of records with captions; None makes one of the miniature world
LIMIT = 4000  # images of each split of the miniature world
EPOCHS = 5
BATCH = 128
IMAGE_TOWER, TEXT_TOWER = "convnet-tiny", "transformer-tiny"

# %%
import keras
import numpy as np

import dual_encoder
import tfrecords
from tfrecords import sources

if RECORDS is None:
    RECORDS = "records/shapes"
    world = sources.Limited(sources.named("shapes"), LIMIT)
    tfrecords.write(world, RECORDS, workers=1, progress=False)

# %% [markdown]
# The captions, and a tokenizer that is learnt from them.

# %%
captions = [text for e in tfrecords.examples(RECORDS, "train") for text in e.captions]
print(len(captions), "captions, such as", *captions[:3], sep="\n  ")
tokenizer = dual_encoder.Tokenizer.learn(captions, context_length=32)

# %% [markdown]
# Towers by name (`dual_encoder.IMAGE_TOWERS`, `TEXT_TOWERS`), Keras models or KerasHub backbones.
# The loss is the model's own: every image against every text of the batch.

# %%
keras.utils.set_random_seed(0)
model = dual_encoder.DualEncoder(
    dual_encoder.image_tower(IMAGE_TOWER),
    dual_encoder.text_tower(TEXT_TOWER, tokenizer),
    embed_dim=128,
    tokenizer=tokenizer,
)
batches = {"batch_size": BATCH, **model.preprocessing}
steps = tfrecords.steps_per_epoch(RECORDS, "train", batch_size=BATCH)
rate = keras.optimizers.schedules.CosineDecay(3e-3, EPOCHS * steps)
model.compile(keras.optimizers.AdamW(rate, weight_decay=0.05), jit_compile=False)
train = tfrecords.load(RECORDS, "train", tokenizer=tokenizer, training=True, **batches)
history = model.fit(train, epochs=EPOCHS, verbose=2)  # other crops and captions in each epoch

# %% [markdown]
# **Names**: no label was ever shown, only sentences.

# %%
manifest = tfrecords.Manifest.read(RECORDS)
test = tfrecords.load(RECORDS, "test", **batches)
if manifest.class_names:
    zero_shot = dual_encoder.ZeroShotClassifier.from_names(
        model, manifest.class_names, manifest.templates
    )
    zero_shot.compile(metrics=["accuracy"])
    accuracy = zero_shot.evaluate(test, verbose=0, return_dict=True)["accuracy"]
    print(f"{accuracy:.1%} of {len(manifest.class_names)} classes; guessing has 1 in that many")

# %% [markdown]
# **Sentences**: how often the image that a caption was written for is among the first ten.

# %%
examples = list(tfrecords.examples(RECORDS, "test"))
pixels = np.stack([tfrecords.read_image(e.image, **model.preprocessing) for e in examples])
images = np.concatenate([model.encode_image(pixels[i : i + 64]) for i in range(0, len(pixels), 64)])
texts = np.asarray(model.encode_text([example.captions[0] for example in examples]))
hits = dual_encoder.top_k(texts, [images], k=10)
found = (hits.rows == np.arange(len(examples))[:, None]).any(axis=1)
print(f"recall@10: {found.mean():.1%} of {len(examples)} captions")

# %% [markdown]
# The model is one file, which every command takes: `evaluate`, `finetune`, `retrieve`, `export`.

# %%
model.save("captions.keras")
again = dual_encoder.load("captions.keras")
np.testing.assert_allclose(again.encode_text(captions[:2]), model.encode_text(captions[:2]), 1e-4)
