"""A classifier's head that encodes its class names in every step, so that its text tower learns."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.class_prompts import prompts_of
from dual_encoder.model import DualEncoder, unit
from dual_encoder.shortest_token_rows import as_token_ids


@keras.saving.register_keras_serializable("duet")
class ClassTextHead(keras.layers.Layer):
    """Maps features [b, e] to logits [b, c]: scaled cosines with the class names' embeddings.

    Shares the text tower of a dual encoder, and is its zero-shot classifier at any time. The
    embeddings of a class's prompts are averaged at unit length, as in `class_embeddings`.

    Args:
        text_tower: token ids [p, n] -> features [p, d].
        projection: [p, d] -> [p, e].
        prompts: token ids of all prompts, int [p, n].
        class_of: the class of each prompt, int [p], 0 to c - 1.
        scale: factor of the cosines.
    """

    def __init__(
        self,
        text_tower: keras.layers.Layer,
        projection: keras.layers.Layer,
        *,
        prompts: Any,
        class_of: Sequence[int],
        scale: float,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.text_tower, self.projection, self.scale = text_tower, projection, scale
        self.prompts, self.class_of = np.asarray(prompts, np.int32).tolist(), list(class_of)
        self.units = 1 + max(self.class_of)

    @classmethod
    def of(
        cls, model: DualEncoder, names: Sequence[str], templates: Sequence[str], **options: Any
    ) -> "ClassTextHead":
        """Returns the head for these class names; ValueError for a model without a tokenizer."""
        model.built_now()
        by_name = prompts_of(names, templates)
        prompts = [text for texts in by_name for text in texts]
        return cls(
            model.text_tower,
            model.text_projection,
            prompts=as_token_ids(prompts, model.tokenizer, model.text_tower),
            class_of=[place for place, texts in enumerate(by_name) for _ in texts],
            scale=float(ops.convert_to_numpy(model.logit_scale)),
            **options,
        )

    def build(self, input_shape: Any) -> None:
        """Nothing is made: the text tower is that of a built model."""
        self.built = True

    def call(self, features: Any, training: bool | None = None) -> Any:
        tower = self.text_tower
        rows = tower(ops.convert_to_tensor(self.prompts, "int32"), training=training)
        mean = ops.matmul(self._means(), unit(self.projection(rows, training=training)))
        return self.scale * ops.matmul(unit(features), ops.transpose(unit(mean)))

    def _means(self) -> Any:
        """Which prompts a class has, [c, p] with a sum of 1 in each row."""
        rows = np.eye(self.units, dtype=np.float32)[self.class_of].T
        return ops.convert_to_tensor(rows / rows.sum(axis=1, keepdims=True))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "text_tower": serialize(self.text_tower),
            "projection": serialize(self.projection),
            "prompts": self.prompts,
            "class_of": self.class_of,
            "scale": self.scale,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ClassTextHead":
        parts = {
            part: keras.saving.deserialize_keras_object(config[part])
            for part in ("text_tower", "projection")
        }
        return cls(**{**config, **parts})
