"""Tip-Adapter: a cache of few-shot images added to a zero-shot classifier, trained or not."""

from typing import Any

import keras
import numpy as np
from keras import ops

from duet import unit_rows

# Validation search grid: range and size of the published code, slightly coarser.
ALPHAS = np.linspace(0.0, 3.0, 31)

BETAS = np.linspace(0.5, 7.0, 27)

BLOCK = 1 << 20  # numbers per block in a search, to bound memory


@keras.saving.register_keras_serializable("duet")
class TipAdapter(keras.Model):
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

    def export(self, *args: Any, input_signature: Any = None, **kwargs: Any) -> None:
        """As in Keras, without calling the model first; its input is embeddings, float32."""
        embeddings = keras.InputSpec(shape=(None, len(self._matrix)), dtype="float32", name="image")
        super().export(*args, input_signature=input_signature or [embeddings], **kwargs)

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
        zero_shot, likeness = self._parts(images)
        return zero_shot + self.alpha * self._remembered(likeness, self.beta)

    def search(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Set alpha and beta to the values with the highest validation accuracy; returns it.

        Ties go to the smallest alpha, then the smallest beta.

        Args:
            images: validation embeddings [n, e], neither keys nor test images.
            labels: int [n].
        """
        right = np.zeros((len(ALPHAS), len(BETAS)), int)
        rows = max(1, BLOCK // max(self._classes, len(self._labels)))
        for first in range(0, len(images), rows):
            part = slice(first, first + rows)
            right += self._right(*self._parts(images[part]), labels[part])
        alpha, beta = np.unravel_index(right.argmax(), right.shape)
        self.alpha, self.beta = float(ALPHAS[alpha]), float(BETAS[beta])
        return float(right.max() / len(images))

    def _right(self, zero_shot: np.ndarray, likeness: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns the number of correct images for each alpha and beta, int [alphas, betas]."""
        hits = np.empty((len(ALPHAS), len(BETAS)), int)
        for j, beta in enumerate(BETAS):
            remembered = self._remembered(likeness, beta)
            for i, alpha in enumerate(ALPHAS.astype(np.float32)):
                predictions = (zero_shot + alpha * remembered).argmax(axis=1)
                hits[i, j] = (predictions == labels).sum()
        return hits

    def _remembered(self, likeness: np.ndarray, beta: float) -> np.ndarray:
        """Returns the cache logits [n, c] from the cosines of `_parts`."""
        affinity = np.exp(np.float32(beta) * (likeness - 1))
        scores = np.zeros((len(likeness), self._classes), np.float32)
        scores[:, self._present] = np.add.reduceat(affinity, self._first, axis=1)
        return scores

    def _parts(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns zero-shot logits [n, c] and cosines with the keys, sorted by class, [n, m]."""
        unit = unit_rows.unit(np.asarray(images, np.float32))
        return unit @ self._matrix, unit @ ops.convert_to_numpy(self.keys)[self._order].T
