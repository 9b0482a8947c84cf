"""The dual encoder: an image tower and a text tower with a shared embedding space."""

import math
from functools import cached_property, partial
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.checkpoints.tokenizers.from_other_libraries import as_tokenizer
from dual_encoder.fit_arguments import inputs_of, targets_of
from dual_encoder.projection import ProjectionHead
from dual_encoder.shortest_token_rows import as_token_ids, check_token_ids, text_length
from dual_encoder.towers.base import TakesImages, check_size
from dual_encoder.towers.compiled_functions import compiled, is_plain
from dual_encoder.towers.wrapped_models import as_image_tower, as_text_tower, most_tokens
from dual_encoder.training.losses import contrastive_loss, sigmoid_loss
from dual_encoder.training.replica_train_step import ExactTraining
from duet import keras_private_api

LOSSES = {"contrastive": 0.07, "sigmoid": 0.1}  # initial temperature

MAX_SCALE = 100.0  # Radford et al. 2021, section 2.5


@keras.saving.register_keras_serializable("duet")
class DualEncoder(TakesImages, ExactTraining, keras.Model):
    """An image tower and a text tower with projection heads and a learnable temperature.

    Trains with `compile(optimizer)` and `fit` on batches `({"image", "token_ids"}, y)`: the loss is
    built in, and pairs with equal `y` (captions of one image, images of one class) are not
    negatives of each other.

    Args:
        image_tower: layer, pixels 0-255 [b, s, s, 3] -> features [b, d], with attributes
            `image_size` and `output_dim`: s and d; or a Keras image model.
        text_tower: layer, token ids [b, n] -> features [b, d], with attributes `context_length`,
            `output_dim` and `trims_exactly` (see `dual_encoder.text_tower`); or a KerasHub text
            backbone.
        embed_dim: size e of the embeddings.
        projection_depth: residual layers of each projection head; 0 is CLIP's linear one.
        dropout: rate in the projection heads.
        image_projection, text_projection: layers to use as projection heads instead, features
            [b, d] -> [b, e]; `keras.layers.Identity()` for none.
        loss_name: `"contrastive"` (CLIP) or `"sigmoid"` (SigLIP).
        temperature: initial value; logits are cosines divided by it. Default: 0.07 for
            `"contrastive"`, 0.1 for `"sigmoid"`, as in the papers.
        tokenizer: callable, list of texts -> token ids; saved with the model. Tokenizers of
            KerasHub or `transformers` are converted to a `Tokenizer`.

    Raises:
        ValueError: a tower without these attributes, an unknown loss, or a number out of range.

    References: Radford et al. 2021 (arXiv:2103.00020), figure 3; Zhai et al. 2023
    (arXiv:2303.15343), algorithm 1.

    Example:
        >>> model = DualEncoder(image_tower, text_tower, tokenizer=tokenizer)
        >>> model.compile("adamw")
        >>> options = {"tokenizer": tokenizer, **model.preprocessing}
        >>> model.fit(tfrecords.load("records/shapes", "train", training=True, **options))
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
        tokenizer = as_tokenizer(tokenizer, context_length=most_tokens(text_tower))
        image_tower, text_tower = as_image_tower(image_tower), as_text_tower(text_tower, tokenizer)
        _check_tower("image_tower", image_tower, ("image_size", "output_dim"))
        _check_tower("text_tower", text_tower, ("context_length", "output_dim", "trims_exactly"))
        if loss_name not in LOSSES:
            raise ValueError(f"loss_name: expected one of {', '.join(LOSSES)}; got {loss_name!r}")
        if temperature is not None and not (isinstance(temperature, Real) and temperature > 0):
            raise ValueError(f"temperature: expected more than 0; got {temperature!r}")
        for name, value, least in (
            ("embed_dim", embed_dim, 1),
            ("projection_depth", projection_depth, 0),
        ):
            if not isinstance(value, Integral) or value < least:
                raise ValueError(
                    f"{name}: expected a whole number of at least {least}; got {value!r}"
                )
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
        if self.built:
            return
        start = keras.initializers.Constant(-np.log(self.temperature))
        self.log_scale = self.add_weight(
            (),
            start,
            name="log_scale",
            dtype="float32",
            autocast=False,  # nor in the call of another model, such as learnt prompts
            constraint=at_most_max_scale if self.loss_name == "contrastive" else None,
            aggregation="only_first_replica",  # of values that are alike, for the constraint
        )
        if self.loss_name == "sigmoid":
            bias = keras.initializers.Constant(-10.0)
            self.logit_bias = self.add_weight(
                (), bias, name="logit_bias", dtype="float32", autocast=False
            )
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
        """Maximum number of tokens per text."""
        return text_length(self.text_tower, self.tokenizer)

    @property
    def logit_scale(self) -> Any:
        """The inverse temperature, by which cosines are multiplied; at most 100 for CLIP.

        As in CLIP's own training the weight is held at the bound after a step, and has its gradient
        there: that of the minimum is 0, and most published models lie at 100.
        """
        scale = ops.exp(self.built_now().log_scale)
        if self.loss_name != "contrastive":
            return scale
        slope = scale - ops.stop_gradient(scale)  # 0, with the gradient of the scale
        return ops.stop_gradient(ops.minimum(scale, MAX_SCALE)) + slope

    def encode_image(self, images: Any, training: bool | None = None) -> Any:
        """Returns embeddings [b, e] of unit length; for a single image b is 1.

        Runs compiled if called from Python outside of training.

        Args:
            images: pixels 0-255 [b, s, s, 3] or [s, s, 3], uint8 or float; or a path, a PIL image
                or pixels uint8 [h, w, 3], or a list of these, which are preprocessed as the
                checkpoint expects.

        Raises:
            ValueError: an unsupported input, or an unreadable image; names it.
        """
        images = self.as_pixels(images)
        if not training and is_plain(images):
            return self._compiled_image(ops.convert_to_tensor(images))
        return self._encode_image(images, training=training)

    def encode_text(self, token_ids: Any, training: bool | None = None) -> Any:
        """Returns embeddings [b, e] of unit length; compiled like `encode_image`.

        Args:
            token_ids: int [b, n] or [n]; or a text or list of texts, for the model's tokenizer.

        Raises:
            ValueError: an unsupported input, or texts for a model without a tokenizer.
        """
        token_ids = as_token_ids(token_ids, self.tokenizer, self.text_tower)
        if not training and is_plain(token_ids):
            return self._compiled_text(ops.convert_to_tensor(token_ids))
        return self._encode_text(token_ids, training=training)

    # A frozen tower (`trainable = False`) runs in inference mode: dropout and batch statistics
    # would add noise that none of its weights can compensate.
    def _encode_image(self, images, training=False):
        features = self.image_tower(images, training=training and self.image_tower.trainable)
        return unit(self.image_projection(features, training=training))

    def _encode_text(self, token_ids, training=False):
        features = self.text_tower(token_ids, training=training and self.text_tower.trainable)
        return unit(self.text_projection(features, training=training))

    @cached_property
    def _compiled_image(self):
        return compiled(self._encode_image, self)

    @cached_property
    def _compiled_text(self):
        return compiled(self._encode_text, self)

    def call(self, inputs, training=None):
        """Maps `{"image", "token_ids"}`, one of them, or the pair (image, token_ids) to
        `{"image": [b, e], "text": [b, e]}`."""
        inputs = _by_name(inputs)
        embeddings = {}
        if "image" in inputs:
            check_size(inputs["image"], self.image_size)
            embeddings["image"] = self._encode_image(inputs["image"], training=training)
        if "token_ids" in inputs:
            embeddings["text"] = self._encode_text(inputs["token_ids"], training=training)
        return embeddings

    def compile(self, optimizer="adamw", loss=None, *, metrics=None, **kwargs):
        """As in Keras; the loss is built in, see `loss_name`.

        Raises:
            ValueError: a loss, or classification metrics: the outputs are embeddings.
        """
        if loss is not None:
            raise ValueError(
                f"loss: a dual encoder has its own, {self.loss_name!r}, chosen as "
                f"DualEncoder(loss_name=...) from {', '.join(LOSSES)}; got {loss!r}"
            )
        for name, given in (("metrics", metrics), *kwargs.items()):
            if name in ("metrics", "weighted_metrics") and not isinstance(given, dict | type(None)):
                raise ValueError(
                    f"{name}: the outputs of a dual encoder are embeddings, not classes; expected "
                    "none (dual_encoder.TensorBoard and ZeroShotClassifier measure accuracy), or "
                    f'{{"image": ..., "text": ...}}; got {given!r}'
                )
        super().compile(optimizer, loss, metrics=metrics, **kwargs)

    def check_inputs(self, data):
        """See `PlainKeras.check_inputs`: requires images and token ids."""
        inputs = inputs_of(data)
        if isinstance(inputs, tuple | list | dict) or hasattr(inputs, "shape"):
            check_token_ids(_by_name(inputs).get("token_ids"), self.text_tower)
        super().check_inputs(data)

    def check_targets(self, x, y):
        """See `PlainKeras.check_targets`: requires pairs, and a number of each if any."""
        inputs, ids = inputs_of(x), targets_of(x, y)
        if isinstance(inputs, dict) and not {"image", "token_ids"} <= set(inputs):
            raise ValueError(
                'inputs: expected "image" and "token_ids", as the loss compares them; got keys '
                f"{sorted(inputs)}"
            )
        shape, kind = getattr(ids, "shape", None), getattr(getattr(ids, "dtype", None), "kind", "i")
        if shape is None or getattr(shape, "rank", 0) is None:
            return
        if len(shape) != 1 or kind not in "iubf":
            raise ValueError(
                "y: expected numbers [b], those of pairs that are no negatives of each other "
                f"alike; got {ids.dtype} {list(shape)}"
            )

    def input_specs(self) -> dict[str, keras.InputSpec]:
        """See `PlainKeras.input_specs`: images and token ids."""
        shape = (None, self.context_length)
        texts = keras.InputSpec(shape=shape, dtype="int32", name="token_ids")
        return {"image": super().input_specs(), "token_ids": texts}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss over the global batch; pairs with equal `y` [b] are positives."""
        options = {"scale": self.logit_scale, "ids": y, "sample_weight": sample_weight}
        if self.loss_name == "sigmoid":
            loss = sigmoid_loss(y_pred["image"], y_pred["text"], bias=self.logit_bias, **options)
        else:
            loss = contrastive_loss(y_pred["image"], y_pred["text"], **options)
        return loss + keras_private_api.added_losses(self)  # losses added by the towers

    def named_features(self, inputs, training=None):
        """Returns the embeddings by name; see `Teacher`."""
        return self.call(inputs, training=training)

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
        made = {p: keras.saving.deserialize_keras_object(config[p]) for p in parts if p in config}
        return cls.made_of({**config, **made})


def at_most_max_scale(log_scale: Any) -> Any:
    """Returns the logarithm of the inverse temperature, at most that of `MAX_SCALE`."""
    return ops.minimum(log_scale, math.log(MAX_SCALE))


def _by_name(inputs: Any) -> dict[str, Any]:
    """Returns the inputs of a dual encoder by name; ValueError for an unsupported input."""
    if isinstance(inputs, tuple | list) and len(inputs) == 2:
        return dict(zip(("image", "token_ids"), inputs, strict=True))
    if not isinstance(inputs, dict) or not {"image", "token_ids"} & set(inputs):
        received = f"keys {sorted(inputs)}" if isinstance(inputs, dict) else type(inputs).__name__
        raise ValueError(
            'inputs: expected a dict with "image", "token_ids" or both, or the pair (image, '
            f"token_ids), in batches (x, y); got {received}"
        )
    return inputs


def _check_tower(name: str, tower: keras.layers.Layer, needs: tuple[str, ...]) -> None:
    for attribute in needs:
        if not hasattr(tower, attribute):
            raise ValueError(
                f"{name}: expected a layer with {', '.join(needs)}; "
                f"{type(tower).__name__} has no {attribute}"
            )


def check_dual_encoder(model: Any) -> None:
    """Raises ValueError for anything but a dual encoder, which reads class names."""
    if not isinstance(model, DualEncoder):
        raise ValueError(
            f"model: expected a DualEncoder, as dual_encoder.load gives it; got {model!r:.80}"
        )


def unit(x: Any) -> Any:
    """Normalises rows to unit length, in float32 whatever the towers' precision."""
    return ops.normalize(ops.cast(x, "float32"), axis=-1)
