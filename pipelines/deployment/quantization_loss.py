"""Accuracy loss of 8-bit quantization: the same images through Keras model and exported file."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.deployment.load_classifier import Deployable
from pipelines.metrics import multilabel
from pipelines.runs.class_matching import match_classes
from tfrecords import name_key

if TYPE_CHECKING:
    from tfrecords import Manifest


WORDS = {"top1": "top-1 accuracy", "map": "mean average precision"}


def measure(
    options: Any,
    deployable: Deployable,
    manifest: "Manifest",
    quantised: Callable[[np.ndarray], np.ndarray],
    *,
    classes: dict[int, int],
) -> dict[str, Any]:
    """Evaluates both on a split, in one pass.

    Images of other classes than `classes`, which `places` gives, are left out.

    Returns:
        `metric` ("top1", or "map" of several labels per image), `float`, `int8` and `loss`
        (their difference), fractions of 1; `same_answer`, the share of images with the same
        first class; `max_abs_difference` of probabilities; `images`, `dataset`, `split`.
    """
    size = min(options.batch_size, manifest.split(options.split).count)
    labels, before, after = _predict(options, deployable, quantised, classes, batch_size=size)
    score = _map if deployable.multi_label else _top1
    exact, rounded = score(labels, before), score(labels, after)
    return {
        "metric": "map" if deployable.multi_label else "top1",
        "float": exact,
        "int8": rounded,
        "loss": exact - rounded,
        "same_answer": float(np.mean(before.argmax(axis=1) == after.argmax(axis=1))),
        "max_abs_difference": float(np.abs(before - after).max()),
        "images": len(labels),
        "dataset": manifest.dataset,
        "split": options.split,
        "calibration_images": min(
            options.calibration_images, manifest.split(options.calibration_split).count
        ),
        "calibration_split": options.calibration_split,
    }


def sentence(found: dict[str, Any]) -> str:
    """Returns the accuracy loss as a sentence."""
    return (
        f"8-bit integers: {WORDS[found['metric']]} {100 * found['int8']:.1f} % instead of "
        f"{100 * found['float']:.1f} % on {found['images']:,} images of {found['dataset']}, "
        f"split {found['split']} ({0 - 100 * found['loss']:+.1f} points); the same answer for "
        f"{100 * found['same_answer']:.1f} %"
    )


def places(options: Any, deployable: Deployable, manifest: "Manifest") -> dict[int, int]:
    """Labels of the records to the model's outputs, by name.

    Names that `--class-names` gave in place of those of the records are in the order of the labels.

    Raises:
        ValueError: the model has a name for none of the classes, or records and model have not the
            same number of labels per image.
    """
    if manifest.multi_label != deployable.multi_label:
        each = {True: "any number of labels", False: "one label"}
        raise ValueError(
            f"--int8: images of {manifest.dataset} have {each[manifest.multi_label]} each, the "
            f"model gives {each[deployable.multi_label]}"
        )
    own, theirs = deployable.class_names, manifest.spoken_names
    known = {name_key(name) for name in own} & {name_key(name) for name in theirs}
    if options.class_names is not None and not known and len(own) == len(theirs):
        return {label: label for label in range(len(own))}
    found = match_classes(own, manifest, model=deployable.name)
    return {label: int(place) for label, place in enumerate(found) if place >= 0}


def _predict(
    options: Any,
    deployable: Deployable,
    quantised: Callable[[np.ndarray], np.ndarray],
    classes: dict[int, int],
    *,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels [n] (or [n, c]) in the model's order, and probabilities [n, c] of both."""
    import tensorflow as tf

    import tfrecords

    compiled = tf.function(deployable.probabilities, autograph=False, reduce_retracing=True)
    batches = tfrecords.load(
        options.data, options.split, batch_size=batch_size, **deployable.preprocessing
    )
    labels, before, after = [], [], []
    for x, y, weight in batches:
        y, real = np.asarray(y), np.asarray(weight) > 0
        if deployable.multi_label:
            ours = np.zeros((len(y), len(deployable.class_names)), y.dtype)
            ours[:, list(classes.values())] = y[:, list(classes)]
            y = ours
        else:
            real &= np.isin(y, list(classes))
            y = np.array([classes.get(int(label), -1) for label in y])
        pixels = np.asarray(x["image"])
        labels.append(y[real])
        before.append(np.asarray(compiled(tf.constant(pixels)))[real])
        after.append(quantised(pixels)[real])
    found = np.concatenate(labels), np.concatenate(before), np.concatenate(after)
    if not len(found[0]):
        raise ValueError(f"--int8: split {options.split!r} has no image of the model's classes")
    return found


def _top1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def _map(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float(np.nanmean(multilabel.average_precision(labels, probabilities)))
