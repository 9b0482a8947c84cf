"""What labels alone give: an image tower and a dense layer on `shapes-wild`, in plain Keras.

    python examples/supervised_classifier.py            # the figure in docs/results.md
    python examples/supervised_classifier.py --small    # seconds: shows that it runs

The tower is the one of `shapes-tiny`, with random weights: the room that adapting has is between
that model's zero-shot accuracy and this one's.
"""

import argparse
from pathlib import Path

import keras

import dual_encoder
import tfrecords
from tfrecords import sources


def main(
    records: Path, *, tower: str = "vit-tiny", epochs: int = 30, seed: int = 0, small: bool = False
) -> float:
    """Returns the accuracy on the test split."""
    epochs, batch_size = (1, 64) if small else (epochs, 128)
    if not (records / "manifest.json").exists():
        source = sources.named("shapes-wild")
        source = sources.Limited(source, 300) if small else source
        tfrecords.write(source, records, workers=1 if small else 2)

    keras.utils.set_random_seed(seed)
    image = dual_encoder.image_tower(tower)
    image.build(None)
    model = keras.Sequential([image, keras.layers.Dense(100, activation="softmax")])
    steps = tfrecords.steps_per_epoch(records, "train", batch_size=batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * steps - steps // 2, warmup_target=2e-3, warmup_steps=steps // 2
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.05),
        "sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
        jit_compile=False,
    )
    batches = {"batch_size": batch_size, **image.preprocessing}
    train = tfrecords.load(
        records, "train", training=True, crop_scale=(0.7, 1.0), seed=seed, **batches
    )
    # The dictionary's one image is what a Sequential model takes.
    train, test = (
        split.map(lambda x, y, weight: (x["image"], y, weight))
        for split in (train, tfrecords.load(records, "test", **batches))
    )
    model.fit(train, epochs=epochs, shuffle=False, verbose=2)  # a new shuffle in each epoch
    return model.evaluate(test, verbose=0, return_dict=True)["accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, default=Path("records/shapes-wild"))
    parser.add_argument("--tower", default="vit-tiny", choices=dual_encoder.IMAGE_TOWERS)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="300 images, one epoch")
    options = vars(parser.parse_args())
    print(f"test accuracy: {main(options.pop('records'), **options):.1%}")
