"""Evaluates a dual encoder by the names of the classes (`evaluate --protocol zero-shot`)."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.evaluation import measure
from pipelines.evaluation.artifacts import write
from pipelines.evaluation.predict import predict
from pipelines.metrics import classification
from pipelines.runs import class_names, folder, results

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from tfrecords import Manifest


FILES = (
    "results.json",
    "report.html",
    "confusion_matrix.png",
    "most_confused.png",
    "predictions.csv",
    "config.yaml",
)


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
            "images_per_second": rate,
            "peak_rss_bytes": results.peak_rss_bytes(),
        }
        probabilities = classification.softmax(logits)
        document = results.document(
            measure.measure(
                labels, probabilities, names, resamples=options.bootstrap, seed=options.seed
            ),
            command="evaluate",
            dataset=manifest.dataset,
            split=options.split,
            model=options.model,
            judged_by=manifest.metric if manifest.metric in classification.METRICS else "top1",
            cost=cost,
            config=asdict(options),
            protocol="learnt prompts" if options.prompts else "zero-shot",
            templates=classifier.templates,
            logit_scale=float(model.logit_scale),
            equal_names=class_names.equal_names(names),
        )
        write(staging, options, document, labels=labels, probabilities=probabilities)
    return document
