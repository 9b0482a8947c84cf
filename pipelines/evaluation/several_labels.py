"""Measures images with several labels, a class by itself, and writes the files of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.evaluation import measure as evaluation_measure
from pipelines.evaluation import multilabel_report
from pipelines.metrics import multilabel
from pipelines.runs import results
from pipelines.runs.option_parsing import write_config

if TYPE_CHECKING:
    from tfrecords import Manifest


CHOSEN_ON = ("validation",)  # the split for choosing thresholds of a model whose run chose none

HALF = 0.5  # threshold of every class otherwise

Found = tuple[np.ndarray, np.ndarray]  # labels of images, and logits or probabilities, both [n, c]


def measure(
    options: Any,
    manifest: "Manifest",
    class_names: list[str],
    *,
    found: Found,
    read: Callable[[str], Found],
    own: Mapping[str, float],
    chosen_on: Sequence[str] = CHOSEN_ON,
) -> dict[str, Any]:
    """The part of the results that is computed from labels and probabilities.

    Args:
        options: of `evaluate`.
        manifest: of its records.
        class_names: c names, in the order of the columns.
        found: labels and probabilities, [n, c], of the split that is measured.
        read: gives these of another split.
        own: class name -> threshold from which on a class is said; empty where they are yet to be
            chosen.
        chosen_on: splits to choose them on, of which the first is taken that is there and is not
            the one that is measured.
    """
    labels, probabilities = found
    there = [each for each in chosen_on if each in manifest.splits and each != options.split]
    thresholds, said = np.full(len(class_names), HALF), f"no split: {HALF:g} for every class"
    if own:
        thresholds, said = np.array([own[name] for name in class_names]), "the model's run"
    elif there:
        thresholds, said = multilabel.choose_thresholds(*read(there[0])), there[0]
    return evaluation_measure.measure_multi_label(
        labels,
        probabilities,
        class_names,
        thresholds=thresholds,
        thresholds_from=said,
        resamples=options.bootstrap,
        seed=options.seed,
    )


def by_names(logits: np.ndarray) -> np.ndarray:
    """Probabilities [n, c] of several labels, of zero-shot logits [n, c].

    What an image has in common with all names speaks for none: the mean over classes is taken off;
    see `pipelines.methods.several_labels.label_head`. They order images as its head does, and are
    not calibrated: no image to train on is looked at.
    """
    return multilabel.sigmoid(logits - logits.mean(axis=1, keepdims=True))


def write(folder: Path, options: Any, document: dict[str, Any]) -> None:
    """Write the page, the options and the results."""
    (folder / "report.html").write_text(multilabel_report.page(document), "utf-8")
    write_config(options, folder / "config.yaml")
    results.write(folder / results.FILE, document)
