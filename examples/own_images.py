"""Classify your own images by the names of their folders, with a model you name.

python examples/own_images.py images --model shapes-tiny

`images` holds one folder per class, or such folders under `train` and `test`, or `val`. Prompts are
templates with the class name: `--templates "a photo of a {}." "a drawing of a {}."`
"""

import argparse
from pathlib import Path

import dual_encoder
import tfrecords
from tfrecords import sources


def main(images: Path, out: Path, *, model: str, templates: list[str]) -> float:
    """Returns the accuracy on the test images."""
    if not (out / "manifest.json").exists():
        tfrecords.write(sources.tested(sources.class_folder(images, seed=0)), out)
    class_names = [name.replace("_", " ") for name in tfrecords.Manifest.read(out).class_names]

    encoder = dual_encoder.load(model)
    zero_shot = dual_encoder.ZeroShotClassifier.from_names(encoder, class_names, templates)
    zero_shot.compile(metrics=["accuracy"])
    size = {"batch_size": 32, **encoder.preprocessing}
    test = tfrecords.load(out, "test", **size)
    guesses = zero_shot.predict(test).argmax(axis=1)
    for example, guess in zip(tfrecords.examples(out, "test"), guesses, strict=True):
        if guess != example.label:
            print(f"{example.filename}: {class_names[guess]}?")
    return zero_shot.evaluate(test, return_dict=True)["accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path, default=Path("records/own"))
    parser.add_argument("--model", default="shapes-tiny", help="a name, .keras file or run folder")
    parser.add_argument("--templates", nargs="+", default=["the {}", "a picture of the {}"])
    options = parser.parse_args()
    accuracy = main(options.images, options.out, model=options.model, templates=options.templates)
    print(f"zero-shot top-1: {accuracy:.1%}")
