"""Evaluate a fine-tuned classifier on the test images, once, at the end."""

from dataclasses import replace
from typing import Any

import numpy as np

from classifiers.on_features import offset_in_turn
from duet import unit_rows
from pipelines.evaluation import measure as evaluation_measure
from pipelines.finetuning.model import Adapted
from pipelines.methods.zero_shot_probe_tip_adapter import temperature
from pipelines.metrics import calibration_conformal_rejection, classification, seen_unseen
from pipelines.metrics import multilabel as several
from pipelines.runs import predictions
from pipelines.runs.predictions import LabelScores, Said


def measure(
    adapted: Adapted, *, split: str, resamples: int, seed: int
) -> tuple[dict[str, Any], Said]:
    """The metrics of a whole split, and the predictions for its images.

    `metrics` are those of the seen classes among themselves, and the figures of `seen_unseen`; of
    images with several labels, those of `metrics.multilabel`.
    """
    data, adapted = adapted.data, placed(adapted)
    made = adapted.features(split, what="testing")
    logits = adapted.logits(made.values)
    if data.manifest.multi_label:
        return _several(adapted, made.labels, logits, resamples=resamples, seed=seed)
    seen = np.isin(made.labels, data.parts.seen)
    document = evaluation_measure.measure(
        np.searchsorted(data.parts.seen, made.labels[seen]),
        classification.softmax(logits[seen][:, list(data.parts.seen)]),
        data.seen_names,
        resamples=resamples,
        seed=seed,
    )
    classes: dict[str, Any] = {
        "seen": data.parts.seen,
        "held_out": data.parts.held_out,
        "comparable": adapted.comparable,
    }
    found = seen_unseen.figures(made.labels, logits, **classes)
    document["metrics"] |= {name: value for name, value in found.items() if value is not None}
    if data.parts.held_out:
        document["intervals"] |= seen_unseen.intervals(
            made.labels, logits, **classes, resamples=resamples, seed=seed
        )
    validation = adapted.features("train", data.parts.validation)
    held = np.searchsorted(data.parts.seen, validation.labels)
    document["certainty"] = calibration_conformal_rejection.certainty(
        (adapted.logits(validation.values), held), (logits, made.labels), seen=data.parts.seen
    )
    said = predictions.of(made.labels, logits, seen=data.parts.seen, held_out=data.parts.held_out)
    return document, said


def _several(
    adapted: Adapted, labels: np.ndarray, logits: np.ndarray, *, resamples: int, seed: int
) -> tuple[dict[str, Any], LabelScores]:
    """Of several labels per image; their thresholds are chosen on validation."""
    data = adapted.data
    made = adapted.features("train", data.measured_ids, what="validating")
    validation = several.sigmoid(adapted.logits(made.values))
    thresholds = several.choose_thresholds(made.labels, validation)
    said = LabelScores(labels.astype(np.uint8), several.sigmoid(logits), thresholds)
    document = evaluation_measure.measure_multi_label(
        labels,
        said.probabilities,
        data.seen_names,
        thresholds=thresholds,
        resamples=resamples,
        seed=seed,
    )
    return document, said


def placed(adapted: Adapted) -> Adapted:
    """The same with a place for held-out classes among all, where its head gives them none.

    A head that starts afresh has logits of its own scale. The texts' logits are brought to its
    temperature, each known by the lowest cross-entropy on validation, and raised by
    `offset_in_turn`, as nothing was trained without some of the classes.
    """
    if adapted.comparable or adapted.texts is None or not adapted.data.parts.held_out:
        return adapted
    parts = adapted.data.parts
    made = adapted.features("train", parts.validation, what="validating")
    labels = np.searchsorted(parts.seen, made.labels)
    heads = np.asarray(adapted.model.head(made.values), np.float32)
    texts = unit_rows.unit(made.values) @ adapted.texts[list(parts.seen)].T
    of_head, of_texts = temperature(heads, labels), temperature(texts, labels)
    offset = offset_in_turn(of_head * heads, of_texts * texts, labels)
    return replace(adapted, beside=(of_texts / of_head, offset / of_head))
