"""What a classifier says of images, in names and probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops


class NamesImages:
    """Mixin of classifiers with `class_names` that give logits and take images of any kind."""

    class_names: Sequence[str]
    multi_label = False

    def predict_images(
        self, images: Sequence[Any], *, top_k: int | None = None, batch_size: int = 32
    ) -> list[list[tuple[str, float]]]:
        """Names and probabilities of each image, likeliest first.

        Args:
            images: paths, PIL images or arrays, resized as evaluation has them.
            top_k: names of each; all without it.
            batch_size: images at a time.

        Returns:
            A list for each image. Probabilities are the softmax of the logits, where images may
            have several labels their sigmoid.

        Raises:
            ValueError: an image that cannot be read, named; no list.
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
        found: list[list[tuple[str, float]]] = []
        for first in range(0, len(images), batch_size):
            chosen = list(images[first : first + batch_size])
            found += self._named(self._probabilities(chosen, rows=batch_size), top_k=top_k)
        return found

    def _probabilities(self, images: list[Any], *, rows: int) -> np.ndarray:
        """Of images, [b, c]; always `rows` of them at a time, for another number is traced anew."""
        pixels = np.asarray(self.as_pixels(images))  # type: ignore[attr-defined]
        filled = np.concatenate([pixels, np.repeat(pixels[-1:], rows - len(images), axis=0)])
        logits = self.predict_on_batch(filled)  # type: ignore[attr-defined]
        activation = ops.sigmoid if self.multi_label else ops.softmax
        return ops.convert_to_numpy(activation(logits))[: len(images)]

    def _named(
        self, probabilities: np.ndarray, *, top_k: int | None
    ) -> list[list[tuple[str, float]]]:
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
        return [
            [(self.class_names[i], float(row[i])) for i in best]
            for row, best in zip(probabilities, order, strict=True)
        ]
