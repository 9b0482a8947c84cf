"""Zero-shot evaluation of a dual encoder (`evaluate --protocol zero-shot`)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.evaluation import measure, several_labels
from pipelines.evaluation.output_files import write
from pipelines.evaluation.predict import predict
from pipelines.metrics import classification
from pipelines.runs import class_name_options, folder, results

if TYPE_CHECKING:
    import numpy as np

    from dual_encoder import DualEncoder
    from pipelines.evaluation.options import Options
    from tfrecords import Manifest


FILES = (
    "results.json",
    "report.html",
    "confusion_matrix.png",
    "most_confused.png",
    "predictions.csv",
    "config.yaml",
)


CHOSEN_ON = ("validation", "train")  # splits for choosing thresholds; nothing is trained on them

ENOUGH = 2_000  # images to choose them by


def evaluate(
    options: "Options",
    manifest: "Manifest",
    model: "DualEncoder",
    *,
    out: Path,
    names: list[str],
    templates: list[str],
    look: Callable[[], Sequence[str]] = tuple,
) -> dict[str, Any]:
    """Measure, and write the files named in `FILES` to `out`. Returns the results.

    Args:
        options: of `evaluate`.
        manifest: of its records.
        model: with a tokenizer.
        out: the folder of the run.
        names: class names, in the order of the labels.
        templates: prompt templates, with {} for the name.
        look: reads the images, and gives lines on them for the page and the results.
    """
    import dual_encoder

    start = time.perf_counter()
    about = {}
    if options.prompts:
        classifier, about["new_names"] = _of_prompts(options, model, names)
    else:
        classifier = dual_encoder.ZeroShotClassifier.from_names(
            model, names, templates, progress=True
        )
    begun = time.perf_counter()
    health = look()
    start += time.perf_counter() - begun  # what it takes is no cost of the model

    def read(split: str, most: int | None = None) -> tuple["np.ndarray", "np.ndarray", float]:
        at = replace(options, split=split)
        if options.features and hasattr(classifier, "class_matrix"):
            return _from_cache(classifier, at, manifest, most)
        return predict(classifier, at, manifest.split(split).count, most=most)

    with folder.filled_at_once(out) as staging:
        labels, logits, rate = read(options.split)
        cost = measure.cost(start, rate)
        probabilities, measured = _measured(options, manifest, names, (labels, logits), read)
        document = results.document(
            measured,
            command="evaluate",
            dataset=manifest.dataset,
            split=options.split,
            model=options.model,
            judged_by=measure.judged_by(manifest),
            cost=cost,
            config=asdict(options),
            protocol="learnt prompts" if options.prompts else "zero-shot",
            templates=classifier.templates,
            logit_scale=float(model.logit_scale),
            equal_names=class_name_options.equal_names(names),
            **about,
            **results.health(health),
        )
        if manifest.multi_label:
            several_labels.write(staging, options, document)
        else:
            write(staging, options, document, labels=labels, probabilities=probabilities)
    return document


def _measured(
    options: "Options",
    manifest: "Manifest",
    names: list[str],
    found: several_labels.Found,
    read: Callable[[str, int], tuple["np.ndarray", "np.ndarray", float]],
) -> tuple["np.ndarray", dict[str, Any]]:
    """The probabilities, and the figures; several labels an image are judged a class by itself."""
    labels, logits = found
    if not manifest.multi_label:
        probabilities = classification.softmax(logits)
        return probabilities, measure.measure(
            labels, probabilities, names, resamples=options.bootstrap, seed=options.seed
        )

    def other(split: str) -> several_labels.Found:
        labels, logits, _ = read(split, ENOUGH)
        return labels, several_labels.by_names(logits)

    probabilities = several_labels.by_names(logits)
    found = labels, probabilities
    return probabilities, several_labels.measure(
        options, manifest, names, found=found, read=other, own={}, chosen_on=CHOSEN_ON
    )


def _of_prompts(options: "Options", model: "DualEncoder", names: list[str]) -> tuple[Any, int]:
    """The classifier of learnt prompts, and how many of its names they were not learnt with."""
    import dual_encoder

    assert options.prompts is not None
    own = dual_encoder.describe_prompts(options.prompts)["class_specific"]
    learnt = dual_encoder.load_prompts(
        options.prompts, model, class_names=names if own else None, backbone=options.model
    )
    new = set(names) - set(learnt.class_names)
    return learnt.classifier(None if own else names), len(new)


def _from_cache(
    classifier: Any, options: "Options", manifest: "Manifest", most: int | None
) -> tuple["np.ndarray", "np.ndarray", float]:
    """Does the same as `predict` with the feature cache, encoding only missing images.

    most: of the first images alone, which are any, as records are shuffled.
    """
    import keras

    from duet import unit_rows
    from pipelines.runs.feature_cache import FeatureCache

    cache = FeatureCache(
        Path(str(options.features)), options.data, manifest, batch_size=options.batch_size
    )
    ids = None if most is None else cache.labels(options.split)[0][:most]
    found = cache.read(classifier, options.split, ids)
    matrix = keras.ops.convert_to_numpy(classifier.class_matrix)
    rate = len(found.labels) / max(found.seconds, 1e-9)
    return found.labels, unit_rows.unit(found.values) @ matrix, rate
