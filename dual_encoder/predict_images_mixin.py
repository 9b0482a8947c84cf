"""Predict class names and probabilities of images."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from keras import ops


class NamesImages:
    """Mixin for classifiers with `class_names` that map images to logits."""

    class_names: Sequence[str]
    multi_label = False

    def predict_images(
        self, images: Sequence[Any], *, top_k: int | None = None, batch_size: int = 32
    ) -> list[list[tuple[str, float]]]:
        """Returns class names and probabilities of each image, most likely first.

        Args:
            images: paths, PIL images or arrays, preprocessed as in evaluation.
            top_k: classes per image; all by default.
            batch_size: images per batch.

        Returns:
            A list for each image. Probabilities are the softmax of the logits, for multi-label
            classifiers their sigmoid.

        Raises:
            ValueError: an unreadable image (names it), not a list, or a number below 1.
            FileNotFoundError: no such file.

        Example:
            >>> classifier.predict_images(["a.jpg", "b.jpg"], top_k=1)
            [[('red star', 0.97)], [('blue ring', 0.88)]]
        """
        if not isinstance(images, list | tuple):
            raise ValueError(
                "predict_images: expected a list of paths, PIL images or arrays; got "
                f"{type(images).__name__}"
            )
        for name, number in (("top_k", top_k), ("batch_size", batch_size)):
            if number is not None and not (isinstance(number, Integral) and number >= 1):
                raise ValueError(f"{name}: expected 1 or more; got {number!r}")
        predictions: list[list[tuple[str, float]]] = []
        for first in range(0, len(images), batch_size):
            chosen = list(images[first : first + batch_size])
            predictions += self._named(self._probabilities(chosen, rows=batch_size), top_k=top_k)
        return predictions

    def _probabilities(self, images: list[Any], *, rows: int) -> np.ndarray:
        """Returns probabilities [b, c]; pads to `rows`, as another batch size is traced again."""
        pixels = np.asarray(self.as_pixels(images))  # type: ignore[attr-defined]
        filled = np.concatenate([pixels, np.repeat(pixels[-1:], rows - len(images), axis=0)])
        logits = self.predict_on_batch(filled)  # type: ignore[attr-defined]
        if getattr(self, "gives_logits", True):
            logits = (ops.sigmoid if self.multi_label else ops.softmax)(logits)
        return ops.convert_to_numpy(logits)[: len(images)]

    def _named(
        self, probabilities: np.ndarray, *, top_k: int | None
    ) -> list[list[tuple[str, float]]]:
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
        return [
            [(self.class_names[i], float(row[i])) for i in best]
            for row, best in zip(probabilities, order, strict=True)
        ]
