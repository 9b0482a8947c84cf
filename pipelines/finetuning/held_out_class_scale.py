"""Calibrate class names that were not trained against the trained head."""

from dataclasses import replace

import numpy as np

from classifiers.on_features import offset_in_turn
from duet import unit_rows
from pipelines.finetuning.model import Adapted
from pipelines.methods.zero_shot_probe_tip_adapter import temperature


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
