"""Distillation losses that keep a fine-tuned model close to its teacher, itself before training."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.model import DualEncoder, unit

WORDS = 8  # of a random text


def feature_distance(features: Any, teacher: Any) -> Any:
    """Mean squared difference of unit features, a scalar tensor; no gradient to the teacher.

    The feature term of TRACER (Choi et al. 2026, arXiv:2605.29380), a mean over the batch and
    over the d numbers of a feature: there it is weighed 3,800 at d = 512, for images and texts
    each. Features of both sides may be stacked along the batch.

    Args:
        features: [b, d], of any length; teacher: the same images or texts by the untouched model.
    """
    return ops.mean(_squared_distances(features, teacher)) / features.shape[-1]


def _squared_distances(features: Any, teacher: Any, matrix: Any = None) -> Any:
    """m^T matrix m [b] of the differences m between unit features and those of the teacher; their
    squared lengths without a matrix."""
    moved = unit(features) - unit(ops.stop_gradient(teacher))
    turned = moved if matrix is None else ops.matmul(moved, ops.cast(matrix, moved.dtype))
    return ops.sum(turned * moved, axis=-1)


class Teacher:
    """A model as it was before training, which `fit` keeps its features close to.

    `model.teacher = Teacher(model, weight)` adds to the loss `weight` times the squared distance
    between unit features of both, the mean over images and, for a dual encoder, over texts too:
    the feature term of TRACER (Choi et al. 2026, arXiv:2605.29380) with the untouched model as its
    teacher. TRACER's own weight is 3,800 / 512 = 7.4. TensorFlow only; nothing of it is saved.

    Args:
        model: a built `DualEncoder` or classifier, copied as it is now; its strategy's scope has
            to be open.
        weight: of the distance, over 0.
        matrix: [d, d], by which the distance of images alone is measured in place of their squared
            length: with that of `lipsum_matrix`, what Lipsum-FT adds.

    Raises:
        ValueError: a weight that is not over 0, or another backend.
    """

    def __init__(self, model: keras.Model, weight: float, *, matrix: np.ndarray | None = None):
        if not weight > 0:
            raise ValueError(f"teacher: expected a weight over 0; got {weight}")
        if keras.backend.backend() != "tensorflow":
            raise ValueError("teacher: works on TensorFlow alone")
        self.weight, self.matrix = weight, matrix
        self.features: dict[
            str, Any
        ] = {}  # of the step that is being traced, if no output has them
        self.untouched = type(model).from_config(model.get_config())
        self.untouched.set_weights(model.get_weights())
        self.untouched.trainable = False

    def distance(self, inputs: Any, features: Mapping[str, Any], sample_weight: Any) -> Any:
        """The term of one replica's rows: the weighted mean, a scalar tensor.

        Args:
            inputs: of the model, images [b, s, s, 3], or with texts a dict.
            features: of the model in training: "image" [b, d], and "text" [b, d] of a dual encoder.
            sample_weight: [b], of mean 1 over real rows and 0 for padding, or None.
        """
        theirs = self.untouched.named_features(inputs, training=False)
        names = features if self.matrix is None else ("image",)
        rows = sum(_squared_distances(features[n], theirs[n], self.matrix) for n in names)
        if sample_weight is not None:
            rows = rows * ops.cast(sample_weight, rows.dtype)
        return self.weight * ops.mean(rows)


def random_text_matrix(
    model: DualEncoder, *, texts: int = 25_000, words: int = WORDS, seed: int = 0, batch: int = 512
) -> np.ndarray:
    """Mean of r r^T over unit embeddings r of random texts, float32 [d, d].

    The texts are tokens drawn at random between the marks that the tokenizer puts around one, as
    in Lipsum-FT; drawn once, they stand for those that it draws in every step (Nam et al. 2024,
    arXiv:2404.00860, equation 3).

    Args:
        model: with a tokenizer.
        texts: how many; words: tokens of each; batch: how many are encoded at a time.

    Raises:
        ValueError: a model without a tokenizer, or no text.
    """
    if model.tokenizer is None:
        raise ValueError("model: expected one with a tokenizer to encode texts; it has none")
    if texts < 1 or words < 1:
        raise ValueError(f"texts and words: expected 1 or more of each; got {texts} and {words}")
    ids = _random_ids(model, texts, words, seed)
    total = np.zeros((model.embed_dim,) * 2)
    for first in range(0, texts, batch):
        found = model.encode_text(ids[first : first + batch], training=False)
        rows = ops.convert_to_numpy(ops.cast(found, "float32")).astype(np.float64)
        total += rows.T @ rows
    return (total / texts).astype(np.float32)


def lipsum_matrix(model: DualEncoder, **drawn: Any) -> np.ndarray:
    """Half the squared logit scale times `random_text_matrix`, whose options it takes.

    By it `Teacher` measures half the mean squared change of the logits against random texts, which
    Lipsum-FT adds with weight 1 (Nam et al. 2024, arXiv:2404.00860, equation 3).
    """
    scale = float(ops.convert_to_numpy(model.logit_scale))
    return np.float32(scale**2 / 2) * random_text_matrix(model, **drawn)


def random_text_distance(features: Any, teacher: Any, matrix: Any, *, scale: Any) -> Any:
    """Half the mean squared change of the logits against random texts, a scalar tensor.

    scale^2 (f - f0)^T matrix (f - f0) / 2, averaged over the batch; no gradient to the teacher.

    Args:
        features: unit features [b, d]; teacher: those of the untouched model.
        matrix: [d, d], of `random_text_matrix`.
        scale: of the logits.
    """
    moved = ops.cast(features, "float32") - ops.cast(ops.stop_gradient(teacher), "float32")
    squares = ops.sum(ops.matmul(moved, matrix) * moved, axis=-1)
    return ops.square(scale) * ops.mean(squares) / 2


def _random_ids(model: DualEncoder, texts: int, words: int, seed: int) -> np.ndarray:
    """Token ids int32 [texts, n]: random words between the marks of an empty text."""
    tokenizer = model.tokenizer
    marks = tokenizer.rows([""])[0]
    before = marks[:-1] if marks[-1:] == [tokenizer.end_id] else marks
    words = min(words, model.context_length - len(marks))
    special = {*marks, tokenizer.pad_id, tokenizer.end_id}
    usual = np.array([i for i in range(tokenizer.vocabulary_size) if i not in special])
    trimmed = model.text_tower.trims_exactly and not tokenizer.pad_to_context
    width = len(marks) + words if trimmed else model.context_length
    ids = np.full((texts, width), tokenizer.pad_id, np.int32)
    ids[:, : len(before)] = before
    drawn = np.random.default_rng(seed).choice(usual, size=(texts, words))
    ids[:, len(before) : len(before) + words] = drawn
    ids[:, len(before) + words : len(marks) + words] = marks[len(before) :]
    return ids
