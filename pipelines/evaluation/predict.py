"""Predicts a whole split, with progress and image ids."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dual_encoder import ZeroShotClassifier


def predict(
    classifier: "ZeroShotClassifier", options: Any, count: int, *, most: int | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Predict the images of a split.

    Args:
        classifier: gives logits, and has the `preprocessing` of its images.
        options: of `evaluate`: the records, the split and the batch size.
        count: images of the split.
        most: predict the first of them alone.

    Returns:
        Labels int [n], logits float32 [n, c], and images/s.
    """
    from tqdm import tqdm

    import tfrecords

    size = min(options.batch_size, count)
    batches = tfrecords.load(
        options.data, options.split, batch_size=size, **classifier.preprocessing
    )
    if most is not None and most < count:
        count = most
        batches = batches.take(-(-count // size))
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
    return np.concatenate(labels)[:count], np.concatenate(logits)[:count], rate
