"""The files that an evaluation writes: results, predictions, plots and the report page."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evaluation import plots as evaluation_plots
from pipelines.evaluation import report as evaluation_report
from pipelines.metrics import confusion as metrics_confusion
from pipelines.runs import results
from pipelines.runs.option_parsing import write_config
from tfrecords.images import reencoding

SHOWN = 6  # images per confused pair


def write(
    folder: Path,
    options: Any,
    document: dict[str, Any],
    *,
    labels: np.ndarray,
    probabilities: np.ndarray,
    places: np.ndarray | None = None,
) -> None:
    """Writes all files of an evaluation; other commands read only `results.json`.

    Args:
        folder: the output folder.
        options: of the command.
        document: the results.
        labels: of all images of the split, as in the records.
        probabilities: of the classes of the results, [n, c].
        places: index of each record label among those classes, -1 if missing; None if equal.
    """
    names = [row["name"] for row in document["per_class"]]
    wanted = labels if places is None else places[labels]
    pairs = _choose_images(document["most_confused"], wanted, probabilities)
    with open(folder / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        rows = _predictions(options, names, labels, wanted, probabilities, pairs)
        csv.writer(file).writerows(rows)
    confusion = np.array(document["confusion_matrix"])
    order = metrics_confusion.similar_order(confusion).tolist() if len(confusion) else []
    if order:
        matrix, named = confusion[np.ix_(order, order)], [names[i] for i in order]
        (folder / "confusion_matrix.png").write_bytes(
            evaluation_plots.confusion_matrix(matrix, named)
        )
    (folder / "most_confused.png").write_bytes(evaluation_plots.most_confused(pairs, names))
    (folder / "report.html").write_text(
        evaluation_report.evaluation_page(document, pairs, order), encoding="utf-8"
    )
    write_config(options, folder / "config.yaml")
    results.write(folder / results.FILE, document)


def _choose_images(
    pairs: list[dict[str, Any]], labels: np.ndarray, probabilities: np.ndarray
) -> list[dict[str, Any]]:
    """Adds to each pair the images to show: the most confident mistakes."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    chosen = []
    for pair in pairs:
        (places,) = np.nonzero((labels == pair["true"]) & (predicted == pair["predicted"]))
        surest = places[np.argsort(-confidence[places], kind="stable")][:SHOWN]
        chosen.append({**pair, "places": surest.tolist(), "images": [], "captions": []})
    return chosen


def _predictions(
    options: Any,
    names: list[str],
    labels: np.ndarray,
    places: np.ndarray,
    probabilities: np.ndarray,
    pairs: list[dict[str, Any]],
) -> Iterator[tuple]:
    """Yields the rows of predictions.csv and collects the pairs' images, in one pass."""
    from tqdm import tqdm

    import tfrecords

    wanted = {place: pair for pair in pairs for place in pair["places"]}
    yield "id", "filename", "true", "predicted", "confidence", "probability_of_true"
    examples = tfrecords.examples(options.data, options.split)
    bar = tqdm(examples, "listing", total=len(labels), unit=" images", delay=2, leave=False)
    rows = zip(bar, labels, places, probabilities, strict=True)
    for place, (example, label, true, p) in enumerate(rows):
        if example.label != label:
            raise RuntimeError(f"{options.data} changed while it was read (image {example.id})")
        if true < 0:  # a class the model does not know
            continue
        said = int(p.argmax())
        if place in wanted:
            wanted[place]["images"].append(reencoding.pixels(example.image))
            wanted[place]["captions"].append(f"{example.filename}, {p[said]:.0%} sure")
        confidences = f"{p[said]:.6f}", f"{p[true]:.6f}"
        yield example.id, example.filename, names[true], names[said], *confidences
