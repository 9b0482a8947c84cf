"""Learn from captions alone, then classify by name: the whole of Duet in one script.

python examples/train_and_evaluate.py            # about ten minutes on 2 CPU cores
python examples/train_and_evaluate.py --small    # seconds: shows that it runs, learns little
"""

import argparse
from pathlib import Path

import keras

import dual_encoder
import tfrecords
from tfrecords import sources


def main(out: Path, *, small: bool = False) -> float:
    """Returns the accuracy on the test images, over 100 classes."""
    records, epochs, batch_size = out / "shapes", 1 if small else 10, 64 if small else 128
    if not (records / "manifest.json").exists():
        source = sources.named("shapes")
        source = sources.Limited(source, 300) if small else source
        tfrecords.write(source, records, workers=1 if small else 2)
    manifest = tfrecords.Manifest.read(records)

    keras.utils.set_random_seed(0)
    captions = (c for e in tfrecords.examples(records, "train") for c in e.captions)
    tokenizer = dual_encoder.Tokenizer.learn(captions, context_length=32)
    model = dual_encoder.DualEncoder(
        dual_encoder.image_tower("convnet-tiny"),
        dual_encoder.text_tower("transformer-tiny", tokenizer),
        embed_dim=128,
        tokenizer=tokenizer,
    )
    model.build()
    steps = tfrecords.steps_per_epoch(records, "train", batch_size=batch_size)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.05), jit_compile=False)
    batches = {"batch_size": batch_size, **model.preprocessing}
    pairs = tfrecords.load(records, "train", tokenizer=tokenizer, training=True, **batches)
    model.fit(pairs, epochs=epochs)  # a new shuffle in each epoch
    model.save(out / "model.keras")

    zero_shot = dual_encoder.ZeroShotClassifier.from_names(
        model, manifest.class_names, manifest.templates
    )
    zero_shot.compile(metrics=["accuracy"])
    test = tfrecords.load(records, "test", **batches)
    return zero_shot.evaluate(test, return_dict=True)["accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/example"))
    parser.add_argument("--small", action="store_true", help="300 images, one epoch")
    options = parser.parse_args()
    accuracy = main(options.out, small=options.small)
    print(f"zero-shot top-1 over 100 classes: {accuracy:.1%}")
