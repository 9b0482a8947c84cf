"""Pictures told by the names of their classes: what `evaluate --protocol zero-shot` measures."""

import csv
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.runs import folder, metrics, plots, report, results, thumbnails
from pipelines.runs.config import write_config

if TYPE_CHECKING:
    from dual_encoder import DualEncoder, ZeroShotClassifier
    from tfrecords import Manifest

FILES = (
    "results.json",
    "report.html",
    "confusion_matrix.png",
    "most_confused.png",
    "predictions.csv",
    "config.yaml",
)
SHOWN = 6  # pictures of each confused pair


def evaluate(
    options: Any,
    manifest: "Manifest",
    model: "DualEncoder",
    *,
    out: Path,
    names: list[str],
    templates: list[str],
) -> dict[str, Any]:
    """Measure, and write the files named in `FILES` to `out`. Returns the results.

    Args:
        options: of `evaluate`.
        manifest: of its records.
        model: with a tokenizer.
        out: the folder of the run.
        names: of the classes, in the order of the labels.
        templates: prompts, with {} for the name.
    """
    import dual_encoder

    start = time.perf_counter()
    if options.prompts:
        learnt = dual_encoder.load_prompts(
            options.prompts, model, class_names=names, backbone=options.model
        )
        classifier = learnt.classifier()
    else:
        classifier = dual_encoder.ZeroShotClassifier.from_names(
            model, names, templates, progress=True
        )
    with folder.filled_at_once(out) as staging:
        labels, logits, rate = predict(classifier, options, manifest.split(options.split).count)
        cost = {
            "seconds": time.perf_counter() - start,
            "pictures_per_second": rate,
            "peak_rss_bytes": results.peak_rss_bytes(),
        }
        probabilities = metrics.softmax(logits)
        document = results.document(
            results.measure(
                labels, probabilities, names, resamples=options.bootstrap, seed=options.seed
            ),
            command="evaluate",
            dataset=manifest.dataset,
            split=options.split,
            model=options.model,
            judged_by=manifest.metric if manifest.metric in metrics.METRICS else "top1",
            cost=cost,
            config=asdict(options),
            protocol="learnt prompts" if options.prompts else "zero-shot",
            templates=classifier.templates,
            logit_scale=float(model.logit_scale),
        )
        write(staging, options, document, labels=labels, probabilities=probabilities)
    return document


def predict(
    classifier: "ZeroShotClassifier", options: Any, count: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Labels int [n] and logits float32 [n, c] of the split's n pictures, and pictures/s."""
    from tqdm import tqdm

    import tfrecords

    batches = tfrecords.load(
        options.data,
        options.split,
        batch_size=options.batch_size,
        **classifier.preprocessing,
    )
    labels, logits, start = [], [], time.perf_counter()
    with (
        tfrecords.naming_damage(options.data),
        tqdm(total=count, desc="evaluating", unit=" pictures", delay=2) as bar,
    ):
        for x, y, weight in batches:
            real = np.asarray(weight) > 0
            logits.append(classifier.predict_on_batch(x)[real])
            labels.append(np.asarray(y)[real])
            bar.update(int(real.sum()))
    rate = count / (time.perf_counter() - start)
    return np.concatenate(labels), np.concatenate(logits), rate


def write(
    folder: Path,
    options: Any,
    document: dict[str, Any],
    *,
    labels: np.ndarray,
    probabilities: np.ndarray,
    places: np.ndarray | None = None,
) -> None:
    """Everything a run leaves, of which `results.json` is the one that other commands read.

    Args:
        folder: where to.
        options: of the command.
        document: the results.
        labels: of all pictures of the split, as in the records.
        probabilities: of the classes of the results, [n, c].
        places: of a label of the records among those, -1 where it is not; None for the same.
    """
    names = [row["name"] for row in document["per_class"]]
    wanted = labels if places is None else places[labels]
    pairs = _choose_pictures(document["most_confused"], wanted, probabilities)
    with open(folder / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        rows = _predictions(options, names, labels, wanted, probabilities, pairs)
        csv.writer(file).writerows(rows)
    confusion = np.array(document["confusion_matrix"])
    if len(confusion):
        order = metrics.similar_order(confusion)
        matrix, named = confusion[np.ix_(order, order)], [names[i] for i in order]
        (folder / "confusion_matrix.png").write_bytes(plots.confusion_matrix(matrix, named))
    (folder / "most_confused.png").write_bytes(plots.most_confused(pairs, names))
    (folder / "report.html").write_text(report.evaluation_page(document, pairs), encoding="utf-8")
    write_config(options, folder / "config.yaml")
    results.write(folder / results.FILE, document)


def _choose_pictures(
    pairs: list[dict[str, Any]], labels: np.ndarray, probabilities: np.ndarray
) -> list[dict[str, Any]]:
    """Adds to each pair which pictures to show: the mistakes the model was surest of."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    chosen = []
    for pair in pairs:
        (places,) = np.nonzero((labels == pair["true"]) & (predicted == pair["predicted"]))
        surest = places[np.argsort(-confidence[places], kind="stable")][:SHOWN]
        chosen.append({**pair, "places": surest.tolist(), "pictures": [], "captions": []})
    return chosen


def _predictions(
    options: Any,
    names: list[str],
    labels: np.ndarray,
    places: np.ndarray,
    probabilities: np.ndarray,
    pairs: list[dict[str, Any]],
) -> Iterator[tuple]:
    """Rows of predictions.csv; fills in the pairs' pictures as they come by, in one pass."""
    from tqdm import tqdm

    import tfrecords

    wanted = {place: pair for pair in pairs for place in pair["places"]}
    yield "id", "filename", "true", "predicted", "confidence", "probability_of_true"
    examples = tfrecords.examples(options.data, options.split)
    bar = tqdm(examples, "listing", total=len(labels), unit=" pictures", delay=2, leave=False)
    rows = zip(bar, labels, places, probabilities, strict=True)
    for place, (example, label, true, p) in enumerate(rows):
        if example.label != label:
            raise RuntimeError(f"{options.data} changed while it was read (picture {example.id})")
        if true < 0:  # of a class that the model does not have
            continue
        said = int(p.argmax())
        if place in wanted:
            wanted[place]["pictures"].append(thumbnails.pixels(example.image))
            wanted[place]["captions"].append(f"{example.filename}, {p[said]:.0%} sure")
        confidences = f"{p[said]:.6f}", f"{p[true]:.6f}"
        yield example.id, example.filename, names[true], names[said], *confidences
