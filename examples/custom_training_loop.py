"""A training loop written by hand: the last block of a pretrained tower, and a new head.

    python examples/custom_training_loop.py            # shapes-wild from shapes-tiny, minutes
    python examples/custom_training_loop.py --small    # seconds: shows that it runs

What `fit` does, for those who want to change it. `--records` takes records of your own images.
"""

import argparse
from pathlib import Path

import keras
import tensorflow as tf

import tfrecords
from classifiers import build, trainable
from tfrecords import Manifest, sources


def main(records: Path, *, model: str, epochs: int, small: bool) -> float:
    """Returns the accuracy on the test split."""
    epochs, batch_size = (1, 32) if small else (epochs, 128)
    if not (records / "manifest.json").exists():
        source = sources.named("shapes-wild")
        source = sources.Limited(source, 300) if small else source
        tfrecords.write(source, records, workers=1 if small else 2)
    keras.utils.set_random_seed(0)
    classifier = build(model, classes=Manifest.read(records).spoken_names)
    trainable.train_only(classifier, last_blocks=1)  # all before it stays as it is
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.05)
    optimizer.build(classifier.trainable_variables)

    @tf.function
    def step(x, y, weight):
        with tf.GradientTape() as tape:
            value = loss(y, classifier(x, training=True), sample_weight=weight)
        gradients = tape.gradient(value, classifier.trainable_variables)
        optimizer.apply_gradients(zip(gradients, classifier.trainable_variables, strict=True))
        return value

    batches = {"batch_size": batch_size, **classifier.preprocessing}
    train = tfrecords.load(records, "train", training=True, epochs=epochs, **batches)
    for number, (x, y, weight) in enumerate(train):
        value = step(x, y, weight)
        print(f"step {number}: loss {float(value):.3f}")
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    for x, y, weight in tfrecords.load(records, "test", **batches):
        accuracy.update_state(y, classifier.predict_on_batch(x), sample_weight=weight)
    return float(accuracy.result())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, default=Path("records/shapes-wild"))
    parser.add_argument("--model", default="shapes-tiny")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="300 images, one epoch")
    print(f"test accuracy: {main(**vars(parser.parse_args())):.1%}")
