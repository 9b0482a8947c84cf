"""Predicts a whole split, with progress and image ids."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dual_encoder import ZeroShotClassifier


def predict(
    classifier: "ZeroShotClassifier", options: Any, count: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns labels int [n], logits float32 [n, c] of the split's images, and images/s."""
    from tqdm import tqdm

    import tfrecords

    batches = tfrecords.load(
        options.data,
        options.split,
        batch_size=min(options.batch_size, count),
        **classifier.preprocessing,
    )
    labels, logits, start = [], [], time.perf_counter()
    with (
        tfrecords.naming_damage(options.data),
        tqdm(total=count, desc="evaluating", unit=" images", delay=2) as bar,
    ):
        for x, y, weight in batches:
            real = np.asarray(weight) > 0
            logits.append(classifier.predict_on_batch(x)[real])
            labels.append(np.asarray(y)[real])
            bar.update(int(real.sum()))
    rate = count / (time.perf_counter() - start)
    return np.concatenate(labels), np.concatenate(logits), rate
