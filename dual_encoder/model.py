"""The dual encoder: an image tower and a text tower that meet in one space."""

from functools import cached_property, partial
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.distributed_training import ExactTraining
from dual_encoder.losses import contrastive_loss, sigmoid_loss
from dual_encoder.projection import ProjectionHead
from dual_encoder.towers.base import TakesImages, check_images
from dual_encoder.towers.xla import compiled, is_plain

LOSSES = {"contrastive": 0.07, "sigmoid": 0.1}  # temperature at the start

MAX_SCALE = 100.0  # Radford et al. 2021, section 2.5


@keras.saving.register_keras_serializable("duet")
class DualEncoder(TakesImages, ExactTraining, keras.Model):
    """Any image tower and any text tower with projection heads and a learnable temperature.

    Trains with plain `compile(optimizer)` and `fit` on batches `({"image", "token_ids"}, y)`: the
    loss is the model's own, and pairs with equal `y` (captions of one image, images of one
    class) are not negatives of each other.

    Args:
        image_tower: layer, pixels 0-255 [b, s, s, 3] -> features [b, d], with attributes
            `image_size` and `output_dim`: s and d.
        text_tower: layer, token ids [b, n] -> features [b, d], with attributes `context_length`,
            `output_dim` and `trims_exactly` (see `dual_encoder.text_tower`).
        embed_dim: size e of the shared space.
        projection_depth: residual layers of each projection head; 0 is CLIP's linear one.
        dropout: rate in the projection heads.
        image_projection, text_projection: layers to take as projection heads instead, features
            [b, d] -> [b, e]; `keras.layers.Identity()` for none.
        loss_name: `"contrastive"` (CLIP) or `"sigmoid"` (SigLIP).
        temperature: at the start; the logits are cosines over the temperature. Default: 0.07 for
            `"contrastive"`, 0.1 for `"sigmoid"`, as in the papers.
        tokenizer: callable, list of texts -> token ids; saved with the model.

    Raises:
        ValueError: a tower without these attributes, an unknown loss, or a temperature of 0 or
            less.

    References: Radford et al. 2021 (arXiv:2103.00020), figure 3; Zhai et al. 2023
    (arXiv:2303.15343), algorithm 1.

    Example:
        >>> model = DualEncoder(image_tower, text_tower, tokenizer=tokenizer)
        >>> model.compile("adamw")
        >>> model.fit(tfrecords.load("records/shapes", "train", tokenizer=tokenizer, training=True))
    """

    def __init__(
        self,
        image_tower: keras.layers.Layer,
        text_tower: keras.layers.Layer,
        *,
        embed_dim: int = 256,
        projection_depth: int = 0,
        dropout: float = 0.0,
        image_projection: keras.layers.Layer | None = None,
        text_projection: keras.layers.Layer | None = None,
        loss_name: str = "contrastive",
        temperature: float | None = None,
        tokenizer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        _check_tower("image_tower", image_tower, ("image_size", "output_dim"))
        _check_tower("text_tower", text_tower, ("context_length", "output_dim", "trims_exactly"))
        if loss_name not in LOSSES:
            raise ValueError(f"loss_name: expected one of {', '.join(LOSSES)}; got {loss_name!r}")
        if temperature is not None and temperature <= 0:
            raise ValueError(f"temperature: expected more than 0; got {temperature}")
        self.image_tower, self.text_tower = image_tower, text_tower
        self.embed_dim, self.projection_depth = embed_dim, projection_depth
        self.dropout_rate, self.loss_name = dropout, loss_name
        self.temperature = temperature or LOSSES[loss_name]
        self.tokenizer = tokenizer
        options = {"depth": projection_depth, "dropout": dropout, "dtype": self.dtype_policy}
        head = partial(ProjectionHead, embed_dim, **options)
        self.image_projection = image_projection or head(name="image_projection")
        self.text_projection = text_projection or head(name="text_projection")

    def build(self, input_shape=None):
        start = keras.initializers.Constant(-np.log(self.temperature))
        self.log_scale = self.add_weight((), start, name="log_scale", dtype="float32")
        if self.loss_name == "sigmoid":
            bias = keras.initializers.Constant(-10.0)
            self.logit_bias = self.add_weight((), bias, name="logit_bias", dtype="float32")
        image = (None, self.image_size, self.image_size, 3)
        for tower, shape, head in (
            (self.image_tower, image, self.image_projection),
            (self.text_tower, (None, self.context_length), self.text_projection),
        ):
            if not tower.built:
                tower.build(shape)
            if not head.built:
                head.build((None, tower.output_dim))
        self.built = True

    @property
    def context_length(self) -> int:
        """Most tokens per text."""
        return self.text_tower.context_length

    @property
    def logit_scale(self) -> Any:
        """What cosines are multiplied by: the inverse temperature; CLIP's is at most 100."""
        scale = ops.exp(self.log_scale)
        return ops.minimum(scale, MAX_SCALE) if self.loss_name == "contrastive" else scale

    def encode_image(self, images: Any, training: bool | None = None) -> Any:
        """Pixels 0-255 [b, s, s, 3], uint8 or float -> embeddings [b, e] of unit length.

        Called from plain Python and not in training, it runs compiled. ValueError for images of
        another size.
        """
        check_images(images, self.image_size)
        if not training and is_plain(images):
            return self._compiled_image(ops.convert_to_tensor(images))
        return self._encode_image(images, training=training)

    def encode_text(self, token_ids: Any, training: bool | None = None) -> Any:
        """Token ids [b, n] -> embeddings [b, e] of unit length; compiled as `encode_image` is."""
        if not training and is_plain(token_ids):
            return self._compiled_text(ops.convert_to_tensor(token_ids))
        return self._encode_text(token_ids, training=training)

    # A tower that is locked (`trainable = False`) computes as in inference: dropout and batch
    # statistics would make noise that no weight of it can answer to.
    def _encode_image(self, images, training=False):
        features = self.image_tower(images, training=training and self.image_tower.trainable)
        return _unit(self.image_projection(features, training=training))

    def _encode_text(self, token_ids, training=False):
        features = self.text_tower(token_ids, training=training and self.text_tower.trainable)
        return _unit(self.text_projection(features, training=training))

    @cached_property
    def _compiled_image(self):
        return compiled(self._encode_image, self)

    @cached_property
    def _compiled_text(self):
        return compiled(self._encode_text, self)

    def call(self, inputs, training=None):
        """`{"image", "token_ids"}`, or one of them -> `{"image": [b, e], "text": [b, e]}`."""
        if not isinstance(inputs, dict) or not {"image", "token_ids"} & set(inputs):
            raise ValueError(
                'inputs: expected a dict with "image", "token_ids" or both; got '
                + (f"keys {sorted(inputs)}" if isinstance(inputs, dict) else type(inputs).__name__)
            )
        embeddings = {}
        if "image" in inputs:
            embeddings["image"] = self._encode_image(inputs["image"], training=training)
        if "token_ids" in inputs:
            embeddings["text"] = self._encode_text(inputs["token_ids"], training=training)
        return embeddings

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The contrastive or sigmoid loss over the global batch; `y` [b] tells who is whose."""
        options = {"scale": self.logit_scale, "ids": y, "sample_weight": sample_weight}
        if self.loss_name == "sigmoid":
            loss = sigmoid_loss(y_pred["image"], y_pred["text"], bias=self.logit_bias, **options)
        else:
            loss = contrastive_loss(y_pred["image"], y_pred["text"], **options)
        return loss + sum(map(self._aggregate_additional_loss, self.losses))  # of the towers

    def compute_output_shape(self, input_shape):
        return {"image": (None, self.embed_dim), "text": (None, self.embed_dim)}

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "image_tower": serialize(self.image_tower),
            "text_tower": serialize(self.text_tower),
            "embed_dim": self.embed_dim,
            "projection_depth": self.projection_depth,
            "dropout": self.dropout_rate,
            "image_projection": serialize(self.image_projection),
            "text_projection": serialize(self.text_projection),
            "loss_name": self.loss_name,
            "temperature": self.temperature,
            "tokenizer": serialize(self.tokenizer),
        }

    @classmethod
    def from_config(cls, config):
        parts = ("image_tower", "text_tower", "image_projection", "text_projection", "tokenizer")
        for part in parts:
            if part in config:
                config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def _check_tower(name: str, tower: keras.layers.Layer, needs: tuple[str, ...]) -> None:
    for attribute in needs:
        if not hasattr(tower, attribute):
            raise ValueError(
                f"{name}: expected a layer with {', '.join(needs)}; "
                f"{type(tower).__name__} has no {attribute}"
            )


def _unit(x):
    """Rows of unit length, in float32 whatever the towers compute in."""
    return ops.normalize(ops.cast(x, "float32"), axis=-1)
