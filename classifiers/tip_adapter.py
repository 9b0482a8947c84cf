"""Tip-Adapter: a cache of few-shot images added to a zero-shot classifier, trained or not."""

from typing import Any

import keras
import numpy as np
from keras import ops

from classifiers import temperature_scaling
from dual_encoder import ExactTraining, check_embeddings, class_loss, metrics_on_logits
from duet import unit_rows

# Validation search grid. The published one ends at alpha 3, which names that say little of the
# images, at a logit scale as low as 20, outvote all the same.
ALPHAS = (0.0, *(float(alpha) for alpha in np.logspace(-1.5, 2.0, 15)))

BETAS = (0.5, 1.0, 2.0, 3.5, 5.5, 7.0, 10.0)

SPREAD = 1.0  # of the prior on the log of the temperature at which a pair is judged

BLOCK = 1 << 20  # numbers per block in a search, to bound memory


@keras.saving.register_keras_serializable("duet")
class TipAdapter(ExactTraining, keras.Model):
    """Maps image embeddings [b, e] to logits [b, c]: zero-shot logits plus cache logits.

    The cache sums the one-hot labels of its images, weighted by exp(-beta (1 - cosine)); alpha
    times that is added to the zero-shot logits. The keys, the embeddings of these images, are the
    only weights: fixed in the training-free form, trained in the fine-tuned one (Tip-Adapter-F).

    Args:
        keys: embeddings [m, e] of the few-shot images.
        labels: int [m], their classes.
        class_matrix: [e, c], class embeddings as columns, times the logit scale.
        alpha, beta: of the formula; `search` tunes them. `predict`, `evaluate` and `fit` follow.

    Raises:
        ValueError: inconsistent shapes, or a label out of range.

    Reference: Zhang et al. 2022 (arXiv:2207.09519), equations 4 to 6.
    """

    def __init__(
        self,
        keys: np.ndarray,
        labels: np.ndarray,
        class_matrix: np.ndarray,
        *,
        alpha: float = 1.0,
        beta: float = 5.5,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        keys, labels, matrix = (np.asarray(each) for each in (keys, labels, class_matrix))
        m, e = keys.shape
        fits = m > 0 and labels.shape == (m,) and matrix.ndim == 2 and matrix.shape[0] == e
        if not fits or labels.min() < 0 or labels.max() >= matrix.shape[1]:
            raise ValueError(
                "expected keys [m, e], labels [m] and a class matrix [e, c] with a column for each "
                f"label; got {keys.shape}, {labels.shape} and {matrix.shape}"
            )
        self._alpha, self._beta = float(alpha), float(beta)
        self._labels, self._classes = labels.astype("int32"), matrix.shape[1]
        self._order = np.argsort(labels, kind="stable")  # groups keys by class
        self._present, self._first = np.unique(labels[self._order], return_index=True)
        self._matrix = matrix.astype(np.float32)
        self.keys = self.add_weight(
            keys.shape, "zeros", name="keys", dtype="float32", autocast=False
        )
        self.keys.assign(unit_rows.unit(keys))
        self.built = True

    @property
    def alpha(self) -> float:
        """Factor of the cache's logits."""
        return self._alpha

    @alpha.setter
    def alpha(self, value: float) -> None:
        self._alpha = float(value)
        self._trace_again()

    @property
    def beta(self) -> float:
        """How fast a key's weight falls with its distance."""
        return self._beta

    @beta.setter
    def beta(self, value: float) -> None:
        self._beta = float(value)
        self._trace_again()

    def _trace_again(self) -> None:
        """Compiled functions hold the numbers that they were traced with."""
        self.train_function = self.test_function = self.predict_function = None

    def call(self, inputs, training=None):
        """Maps embeddings [b, e] of any length to logits [b, c]."""
        images = ops.normalize(ops.cast(inputs, "float32"), axis=-1)
        likeness = ops.matmul(images, ops.transpose(self.keys))
        weights = ops.transpose(ops.exp(self.beta * (likeness - 1.0)))
        remembered = ops.segment_sum(weights, self._labels, num_segments=self._classes)
        return ops.matmul(images, self._matrix) + self.alpha * ops.transpose(remembered)

    def compute_output_shape(self, input_shape):
        return (None, self._classes)

    def compile(self, optimizer="adam", loss=None, *, metrics=None, **kwargs):
        """As in Keras, but named cross-entropies use logits; the default loss is cross-entropy."""
        loss = loss or class_loss()
        super().compile(optimizer, loss, metrics=metrics_on_logits(metrics), **kwargs)

    def check_inputs(self, data):
        """See `PlainKeras.check_inputs`: requires embeddings."""
        check_embeddings(data, len(self._matrix))

    def input_specs(self) -> keras.InputSpec:
        """See `PlainKeras.input_specs`: image embeddings."""
        return keras.InputSpec(shape=(None, len(self._matrix)), dtype="float32", name="image")

    def get_config(self) -> dict[str, Any]:
        return {
            **super(keras.Model, self).get_config(),
            "keys": list(self.keys.shape),  # they are weights
            "labels": self._labels.tolist(),
            "class_matrix": self._matrix.tolist(),
            "alpha": self.alpha,
            "beta": self.beta,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TipAdapter":
        """With keys that are all alike, until the weights are there."""
        return cls(**{**config, "keys": np.ones(config["keys"], np.float32)})

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Returns logits float32 [n, c] of embeddings [n, e], in NumPy."""
        check_embeddings(images, len(self._matrix), least=0)
        unit = unit_rows.unit(np.asarray(images, np.float32))
        return unit @ self._matrix + np.float32(self.alpha) * self._memory_of(unit, self.beta)

    def search(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Set alpha and beta to the values with the highest validation accuracy; returns it.

        Few images tell few pairs apart: of those that are alike the one with the lowest
        cross-entropy, at its best temperature, is taken; then the smallest alpha and beta.

        Args:
            images: validation embeddings [n, e], neither keys nor test images.
            labels: int [n].
        """
        unit, labels = unit_rows.unit(np.asarray(images, np.float32)), np.asarray(labels)
        zero_shot, right = unit @ self._matrix, {}
        for beta in BETAS:
            remembered = self._memory_of(unit, beta)
            for alpha in ALPHAS:
                logits = zero_shot + np.float32(alpha) * remembered
                right[alpha, beta] = int((logits.argmax(axis=1) == labels).sum())
        most = max(right.values())
        alike = sorted(pair for pair in right if right[pair] == most)
        losses = {}
        for beta in {beta for _, beta in alike}:
            remembered = self._memory_of(unit, beta)
            for alpha in (alpha for alpha, own in alike if own == beta):
                logits = zero_shot + np.float32(alpha) * remembered
                losses[alpha, beta] = _loss(logits, labels)
        self.alpha, self.beta = min(alike, key=losses.__getitem__)
        return most / len(labels)

    def _memory_of(self, unit: np.ndarray, beta: float) -> np.ndarray:
        """Returns the cache logits [n, c] of unit embeddings [n, e], a block of rows at a time."""
        keys = ops.convert_to_numpy(self.keys)[self._order].T
        rows = max(1, BLOCK // len(self._labels))
        blocks = [unit[first : first + rows] for first in range(0, len(unit), rows)]
        return np.concatenate([self._remembered(block @ keys, beta) for block in blocks])

    def _remembered(self, likeness: np.ndarray, beta: float) -> np.ndarray:
        """Returns the cache logits [n, c] from the cosines of `_parts`."""
        affinity = np.exp(np.float32(beta) * (likeness - 1))
        scores = np.zeros((len(likeness), self._classes), np.float32)
        scores[:, self._present] = np.add.reduceat(affinity, self._first, axis=1)
        return scores


def _loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean cross-entropy at the best temperature, rounded so that what is alike is alike."""
    warm = temperature_scaling.temperature(logits, labels, spread=SPREAD)
    return round(float(temperature_scaling.losses(logits / warm, labels).mean()), 6)
