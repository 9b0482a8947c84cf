"""Several labels per image in plain Keras: which shapes and which colours are there?

    python examples/multi_label.py            # the built-in set shapes-multi, some minutes
    python examples/multi_label.py --small    # seconds: shows that it runs

Your own images: `python -m pipelines prepare --labels FILE.csv --out DIR`, then `--records DIR`.
"""

import argparse
from pathlib import Path

import keras

import classifiers
import tfrecords
from tfrecords import Manifest, sources


def main(
    records: Path,
    *,
    model: str = "shapes-tiny",
    epochs: int = 6,
    seed: int = 0,
    small: bool = False,
) -> dict[str, float]:
    """Returns loss and area under the precision-recall curve, a mean over classes, on test."""
    epochs, batch_size = (1, 64) if small else (epochs, 128)
    if not (records / "manifest.json").exists():
        source = sources.named("shapes-multi")
        source = sources.Limited(source, 128) if small else source
        tfrecords.write(source, records, workers=1 if small else 2)

    names = Manifest.read(records).spoken_names
    keras.utils.set_random_seed(seed)
    classifier = classifiers.build(model, classes=names, multi_label=True)
    steps = tfrecords.steps_per_epoch(records, "train", batch_size=batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * steps - steps // 2, warmup_target=1e-3, warmup_steps=steps // 2
    )
    area = keras.metrics.AUC(
        curve="PR", multi_label=True, num_labels=len(names), from_logits=True, name="area"
    )
    classifier.compile(keras.optimizers.AdamW(rate, weight_decay=0.05), metrics=[area])
    batches = {"batch_size": batch_size, **classifier.preprocessing}
    train = tfrecords.load(records, "train", training=True, seed=seed, **batches)
    classifier.fit(train, epochs=epochs, verbose=2)
    test = tfrecords.load(records, "test", **batches)
    return classifier.evaluate(test, verbose=0, return_dict=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, default=Path("records/shapes-multi"))
    parser.add_argument("--model", default="shapes-tiny")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="128 images, one epoch")
    options = vars(parser.parse_args())
    figures = main(options.pop("records"), **options)
    print(f"test: loss {figures['loss']:.3f}, precision-recall area {figures['area']:.1%}")
