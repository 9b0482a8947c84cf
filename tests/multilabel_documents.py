"""Results documents of made-up multi-label classifiers."""

import numpy as np
from evaluation_documents import CONFIG, COST

from pipelines.evaluation import measure
from pipelines.metrics import multilabel
from pipelines.runs import results


def document(classes=5, images=60, **options):
    rng = np.random.default_rng(0)
    labels = (rng.random((images, classes)) < 0.3).astype(int)
    labels[:, -1] = 0  # a class without images
    probabilities = multilabel.sigmoid(rng.normal(size=labels.shape) + 2 * labels - 1)
    thresholds = np.linspace(0.3, 0.6, classes)
    names = [f"<b>class</b> & {i}" for i in range(classes)]
    measured = measure.measure_multi_label(
        labels, probabilities, names, thresholds=thresholds, resamples=20
    )
    return results.document(
        measured,
        command="evaluate",
        dataset="d",
        split="test",
        model="m",
        cost=COST,
        config=CONFIG,
        **{"judged_by": "map", **options},
    )
