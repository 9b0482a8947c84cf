"""CoCoOp: learnt prompts that each image changes a little."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder import gradient_cache
from dual_encoder.model import DualEncoder
from dual_encoder.prompts.coop import CoOp
from dual_encoder.towers.xla import without_xla_on_cpu


class CoCoOp(CoOp):
    """As `CoOp`, with a small net from an image's embedding to what is added to all vectors.

    Every image has prompts of its own, b · c of them in a batch. They are made in chunks, whose
    inner values are forgotten and computed again for the gradient, so that memory grows with a
    chunk and not with the batch.

    Args:
        model, class_names, kwargs: as of `CoOp`; the context is the same for all classes.
        words: what the vectors start as.
        chunk: prompts at a time; at least those of one image.

    Reference: Zhou et al. 2022 (arXiv:2203.05557), section 3.2: a hidden layer of e / 16 units
    with ReLU.
    """

    method = "cocoop"

    def __init__(
        self,
        model: DualEncoder,
        class_names: Sequence[str],
        *,
        words: str | None = "a photo of a",
        chunk: int = 512,
        **kwargs: Any,
    ):
        if chunk < 1:
            raise ValueError(f"chunk: expected 1 or more prompts at a time; got {chunk}")
        if kwargs.get("class_specific"):
            raise ValueError("class_specific: CoCoOp's vectors are the same for all classes")
        self.chunk = chunk
        super().__init__(model, class_names, words=words, **kwargs)

    def build(self, input_shape=None):
        if self.built:
            return
        e, width = self.model.embed_dim, self.model.text_tower.token_embedding.shape[1]
        l2 = keras.regularizers.L2(self._decay / 2) if self._decay else None
        self.meta_net = [
            keras.layers.Dense(
                units,
                activation=activation,
                kernel_regularizer=l2,
                bias_regularizer=l2,
                kernel_initializer=keras.initializers.GlorotUniform(seed=self._seed),
                dtype="float32",
                name=name,
            )
            for name, units, activation in (
                ("meta_hidden", max(1, e // 16), "relu"),
                ("meta_shift", width, None),
            )
        ]
        for layer, units in zip(self.meta_net, (e, max(1, e // 16)), strict=True):
            layer.build((None, units))
        super().build(input_shape)

    def call(self, inputs, training=None):
        """Embeddings of images [b, e], of any length, -> logits [b, c]."""
        return self.logits_of(inputs, self.frames)

    def logits_of(self, inputs, frames):
        """Embeddings [b, e] -> logits [b, c] over the names of `frames`."""
        images = ops.normalize(ops.cast(inputs, "float32"), axis=-1)
        b, e, c = ops.shape(images)[0], images.shape[1], len(frames.token_ids)
        size = max(1, self.chunk // c)  # images in a chunk
        if isinstance(b, int) and b <= size:
            return self._at_once(images, frames)
        padded = ops.concatenate([images, ops.zeros((-b % size, e))])
        # On TensorFlow `gradients_of` sees to chunks; `remat` would differentiate frozen weights.
        remat = keras.remat if keras.backend.backend() == "jax" else lambda function: function
        logits = remat(lambda chunk: self._at_once(chunk, frames))
        found = ops.map(logits, ops.reshape(padded, (-1, size, e)))
        return ops.reshape(found, (-1, c))[:b]

    def _at_once(self, images, frames):
        hidden, shift = self.meta_net
        context = self.context[None] + shift(hidden(images))[:, None]
        classes = self.embeddings_with(context, frames)
        return ops.einsum("be,bce->bc", images * self.model.logit_scale, classes)

    def gradients_of(self, x, y, sample_weight=None):
        """As of `ExactTraining`; over chunks of equal size, one after the other."""
        b, most = x.shape[0], max(1, self.chunk // len(self.class_names))
        if sample_weight is not None or b is None or b <= most:
            return super().gradients_of(x, y, sample_weight)
        size = max(size for size in range(1, most + 1) if b % size == 0)
        return gradient_cache.gradients_of(self, (x, y, None), size=size)

    def class_matrix(self, class_names=None):
        raise ValueError("CoCoOp's prompts are each image's own: use logits or classifier")

    def logits(self, images: np.ndarray, class_names: Sequence[str] | None = None) -> np.ndarray:
        """Logits float32 [n, c] of embeddings [n, e] over the class names, or over others."""
        found = self.frames if class_names is None else self.frames_of(class_names)
        size = max(1, self.chunk // len(found.token_ids))
        chunks = (images[i : i + size] for i in range(0, len(images), size))
        return np.concatenate([ops.convert_to_numpy(self.logits_of(x, found)) for x in chunks])

    def classifier(self, class_names: Sequence[str] | None = None) -> Any:
        """A classifier of images with the prompts as they are now."""
        return ConditionalClassifier(self, class_names)


class ConditionalClassifier(keras.Model):
    """Images to logits, by prompts that each image changes: `CoCoOp.classifier` makes it.

    Args:
        prompts: the learnt prompts.
        class_names: other names than theirs.
    """

    def __init__(self, prompts: CoCoOp, class_names: Sequence[str] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        without_xla_on_cpu(self)
        self.prompts, self.dual_encoder = prompts, prompts.model
        self.frames = prompts.frames if class_names is None else prompts.frames_of(class_names)
        self.class_names = list(class_names or prompts.class_names)
        self.templates = [prompts.frames.template]
        self.built = True

    @property
    def image_size(self) -> int:
        """Height and width in pixels of the images that the image tower takes."""
        return self.dual_encoder.image_size

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What `tfrecords.load` has to know about images."""
        return self.dual_encoder.preprocessing

    def call(self, inputs, training=None):
        """Pixels 0-255 [b, s, s, 3], or a dict with them as `"image"` -> logits [b, c]."""
        images = inputs["image"] if isinstance(inputs, dict) else inputs
        embeddings = self.dual_encoder({"image": images}, training=False)["image"]
        return self.prompts.logits_of(embeddings, self.frames)

    def compute_output_shape(self, input_shape):
        return (None, len(self.class_names))

    def get_config(self):
        raise ValueError(
            "a classifier by CoCoOp is not saved as a model: use dual_encoder.save_prompts, and "
            "after dual_encoder.load_prompts classifier() again"
        )
