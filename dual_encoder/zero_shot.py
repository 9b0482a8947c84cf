"""Zero-shot classification: compare image embeddings with embedded class-name prompts."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.class_prompts import check_texts, prompts_of
from dual_encoder.duplicate_class_names import refuse_equal_rows
from dual_encoder.model import DualEncoder, check_dual_encoder
from dual_encoder.predict_images_mixin import NamesImages
from dual_encoder.towers.base import TakesImages, check_size, image_in
from dual_encoder.towers.xla_policy import without_xla_on_cpu, xla_by_default
from dual_encoder.training.compile_on_logits import class_loss, metrics_on_logits
from dual_encoder.training.replica_train_step import ExactTraining
from duet import unit_rows


@keras.saving.register_keras_serializable("duet")
class ZeroShotClassifier(NamesImages, TakesImages, ExactTraining, keras.Model):
    """Maps images to logits over classes known only by name.

    A logit is the cosine of image and class embedding, times the model's logit scale. Created by
    `from_names`, it needs neither text tower nor tokenizer, and `.keras` files contain neither. The
    image tower is shared with the dual encoder, not copied.

    Batches are `(x, y, sample_weight)`: x images, or a dict with `"image"`; y labels [b]. `metrics`
    are weighted by `sample_weight`, so that padding is ignored.

    Args:
        image_tower: layer, pixels 0-255 [b, s, s, 3] -> features [b, d].
        image_projection: layer, features [b, d] -> embeddings [b, e].
        class_names: c names, the class of each label in order.
        templates: the prompt templates of the class embeddings.
        embed_dim: size e of the embeddings.

    Example:
        >>> classifier = ZeroShotClassifier.from_names(
        ...     model, ["apple pie", "baklava"], ["a photo of {}, a type of food."])
        >>> classifier.compile(metrics=["accuracy"])
        >>> test = tfrecords.load("records/food101", "test", **model.preprocessing)
        >>> loss, accuracy = classifier.evaluate(test)
    """

    def __init__(
        self,
        image_tower: keras.layers.Layer,
        image_projection: keras.layers.Layer,
        *,
        class_names: Sequence[str],
        templates: Sequence[str],
        embed_dim: int,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        without_xla_on_cpu(self)
        self.image_tower, self.image_projection = image_tower, image_projection
        check_texts(class_names, templates)
        self.class_names, self.templates = list(map(str, class_names)), list(map(str, templates))
        self.embed_dim = embed_dim

    @classmethod
    def from_names(
        cls,
        model: DualEncoder,
        class_names: Sequence[str],
        templates: Sequence[str],
        *,
        batch_size: int = 256,
        progress: bool = False,
        **kwargs: Any,
    ) -> "ZeroShotClassifier":
        """Returns a classifier of `class_names` from a dual encoder with a tokenizer.

        Each class embedding is the normalised mean of the unit-length embeddings of its prompts,
        one per template with `{}` replaced by the name (Radford et al. 2021, section 3.1.4), and
        those of the class alone, see `prompts_of`. `batch_size` prompts are encoded at a time.

        Raises:
            ValueError: fewer than two class names, an empty one, different ones with the same
                token ids, no template, one without `{}`, no dual encoder, or one without a
                tokenizer.
                Identical names are accepted, as published lists contain some: both classes then
                have the same embedding.
        """
        check_dual_encoder(model)
        classifier = cls(
            model.image_tower,
            model.image_projection,
            class_names=class_names,
            templates=templates,
            embed_dim=model.embed_dim,
            **kwargs,
        )
        classifier.update(model, batch_size=batch_size, progress=progress)
        return classifier

    def update(self, model: DualEncoder, *, batch_size: int = 256, progress: bool = False) -> None:
        """Recompute the class embeddings, for example after another epoch of training.

        Does not retrace `predict` and `evaluate`.
        """
        embeddings = class_embeddings(
            model, self.class_names, self.templates, batch_size=batch_size, progress=progress
        )
        if not self.built:
            self.build()
        self.class_matrix.assign((ops.convert_to_numpy(model.logit_scale) * embeddings).T)

    def build(self, input_shape=None):
        if self.built:
            return
        shape = (self.embed_dim, len(self.class_names))
        self.class_matrix = self.add_weight(
            shape, "zeros", name="class_matrix", dtype="float32", trainable=False, autocast=False
        )
        if not self.image_tower.built:
            self.image_tower.build((None, self.image_size, self.image_size, 3))
        if not self.image_projection.built:
            self.image_projection.build((None, self.image_tower.output_dim))
        self.built = True

    def call(self, inputs, training=None):
        """Maps pixels 0-255 [b, s, s, 3], or a dict with them as `"image"`, to logits [b, c]."""
        images = image_in(inputs)
        check_size(images, self.image_size)
        features = self.image_tower(images, training=training)
        embeddings = self.image_projection(features, training=training)
        return ops.normalize(ops.cast(embeddings, "float32"), axis=-1) @ self.class_matrix

    def compute_output_shape(self, input_shape):
        return (None, len(self.class_names))

    def compile(self, optimizer="sgd", loss=None, *, metrics=None, weighted_metrics=None, **kwargs):
        """As in Keras, but `metrics` respect `sample_weight` as `weighted_metrics` do.

        The default loss is cross-entropy, averaged over rows without padding. The default
        optimizer has no state, since evaluation creates its variables too.
        """
        loss = loss or class_loss()
        weighted = [*metrics_on_logits(metrics), *metrics_on_logits(weighted_metrics)]
        kwargs.setdefault("jit_compile", xla_by_default())
        super().compile(optimizer, loss, weighted_metrics=weighted, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            "image_tower": keras.saving.serialize_keras_object(self.image_tower),
            "image_projection": keras.saving.serialize_keras_object(self.image_projection),
            "class_names": self.class_names,
            "templates": self.templates,
            "embed_dim": self.embed_dim,
        }

    @classmethod
    def from_config(cls, config):
        parts = ("image_tower", "image_projection")
        layers = {part: keras.saving.deserialize_keras_object(config[part]) for part in parts}
        return cls.made_of({**config, **layers})


def class_embeddings(
    model: DualEncoder,
    class_names: Sequence[str],
    templates: Sequence[str],
    *,
    batch_size: int = 256,
    progress: bool = False,
) -> np.ndarray:
    """Returns class embeddings of unit length, float32 [c, e]: see `ZeroShotClassifier.from_names`.

    Pads prompts only to the longest one if the text tower's `trims_exactly` allows it: attention
    over 77 tokens costs ten times that over 8.
    """
    by_name = prompts_of(class_names, templates)
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size: expected a whole number of at least 1; got {batch_size!r}")
    model.built_now()
    prompts = [text for texts in by_name for text in texts]
    if model.tokenizer is None:
        raise ValueError("model: expected one with a tokenizer to read class names; it has none")
    length = None if model.text_tower.trims_exactly else model.context_length
    token_ids = model.tokenizer(prompts, length=length)
    counts = [len(texts) for texts in by_name]
    refuse_equal_rows(class_names, token_ids, counts)
    starts = range(0, len(prompts), batch_size)
    if progress:
        from tqdm import tqdm

        starts = tqdm(starts, "encoding class names", unit="batch", delay=2, leave=False)
    encoded = [
        ops.convert_to_numpy(model.encode_text(token_ids[i : i + batch_size], training=False))
        for i in starts
    ]
    first_of = np.cumsum([0, *counts[:-1]])
    sums = np.add.reduceat(np.concatenate(encoded), first_of, axis=0, dtype=np.float64)
    mean = sums / np.array(counts)[:, None]
    first = {name: place for place, name in reversed(list(enumerate(class_names)))}
    mean = mean[[first[name] for name in class_names]]  # identical names get identical embeddings
    return unit_rows.unit(mean).astype(np.float32)


def class_texts(model: DualEncoder, names: Sequence[str], templates: Sequence[str]) -> np.ndarray:
    """Returns the zero-shot classifier's weights, including the logit scale, float32 [C, e]."""
    scale = float(keras.ops.convert_to_numpy(model.logit_scale))
    return scale * class_embeddings(model, names, templates)
