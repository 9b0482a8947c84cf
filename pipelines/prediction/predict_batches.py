"""Ask a predictor about images, batch by batch."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from duet import regular_files
from pipelines.prediction.answers import Answer, answer
from pipelines.prediction.load_predictor import of_model
from pipelines.prediction.predictor import Predictor
from pipelines.runs import finite_answers


def predict_images(
    model: Any,
    paths: Iterable[str | Path],
    *,
    threshold: float | None = None,
    batch_size: int = 32,
) -> list[Answer]:
    """What a model says of image files: classes and their probabilities, likeliest first.

    Args:
        model: of `load`, or an `ImageClassifier`, `ZeroShotClassifier` or whatever else has
            `class_names` and `preprocessing` and gives logits.
        paths: of image files.
        threshold: see the command `predict`.
        batch_size: images at a time.

    Raises:
        ValueError: one path in place of several, a threshold that is no probability, a model
            without class names, or an image that cannot be read; names it.
    """
    if isinstance(paths, str | Path):
        raise ValueError(f"paths: expected a list of paths; got {str(paths)!r} alone")
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected a number in [0, 1]; got {threshold}")
    predictor = model if isinstance(model, Predictor) else of_model(model)
    named = ((str(path), partial(regular_files.read_regular, path)) for path in paths)
    found = []
    for answers, unreadable in batches(
        predictor, named, batch_size=batch_size, threshold=threshold
    ):
        for name, reason in unreadable:
            raise ValueError(f"{name}: {reason}")
        found += answers
    return found


def batches(
    predictor: Predictor,
    named: Iterable[tuple[str, Callable[[], bytes]]],
    *,
    batch_size: int,
    threshold: float | None,
    sure: bool = False,
    top_k: int | None = None,
    **reading: Any,
) -> Iterator[tuple[list[Answer], list[tuple[str, str]]]]:
    """Answers of a batch of images, and those that cannot be read with the reason.

    `sure`: as the command `predict` has it. `reading`: first_frame and max_pixels of
    `tfrecords.read_images`.
    """
    import tfrecords

    for batch in tfrecords.read_images(
        named, batch_size=batch_size, **reading, **predictor.preprocessing
    ):
        answers = []
        if batch.names:
            filled = np.zeros((batch_size, *batch.images.shape[1:]), np.uint8)
            filled[: len(batch.names)] = batch.images  # one shape: another would be compiled again
            probabilities = finite_answers.checked(
                predictor.probabilities(filled)[: len(batch.names)]
            )
            least = predictor.thresholds if threshold is None else threshold
            own = predictor.sure if sure else None
            if own is not None:
                probabilities, least = own.probabilities(probabilities), own.least
            within = own.in_set if own is not None else None
            answers = [
                answer(name, row, predictor, threshold=least, top_k=top_k, in_set=within)
                for name, row in zip(batch.names, probabilities, strict=True)
            ]
        yield answers, batch.unreadable
