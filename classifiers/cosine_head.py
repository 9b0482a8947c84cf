"""Classification by cosines with class vectors, which may start as the zero-shot classifier."""

from typing import Any

import keras
import numpy as np

from dual_encoder import unit


@keras.saving.register_keras_serializable("duet")
class CosineHead(keras.layers.Layer):
    """Maps features [b, e] to logits [b, c]: dot products of their direction with class vectors.

    `normalize(features) @ kernel + bias`. With class embeddings times the logit scale as kernel
    and zero bias, this is the zero-shot classifier, from which WiSE-FT starts
    (Wortsman et al. 2022, arXiv:2109.01903, section 3).

    Args:
        classes: c.
    """

    def __init__(self, classes: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = classes

    def build(self, input_shape):
        shape = (input_shape[-1], self.units)
        self.kernel = self.add_weight(shape, "glorot_uniform", name="kernel", autocast=False)
        self.bias = self.add_weight((self.units,), "zeros", name="bias", autocast=False)

    def call(self, features):
        return unit(features) @ self.kernel + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def start_from(self, class_embeddings: np.ndarray, *, scale: float, bias: float = 0.0) -> None:
        """Initialise with unit-length class embeddings [c, e] as the zero-shot classifier, with a
        model's own bias, such as SigLIP's."""
        if not self.built:
            self.build((None, class_embeddings.shape[1]))
        self.kernel.assign(scale * class_embeddings.T)
        self.bias.assign(np.full(self.units, bias))

    def get_config(self):
        return {**super().get_config(), "classes": self.units}
