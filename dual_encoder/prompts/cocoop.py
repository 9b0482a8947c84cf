"""CoCoOp: learnt prompts conditioned on each image."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.fit_arguments import check_embeddings
from dual_encoder.model import DualEncoder
from dual_encoder.predict_images_mixin import NamesImages
from dual_encoder.prompts.coop import CoOp
from dual_encoder.towers.base import TakesImages, image_in
from dual_encoder.towers.xla_policy import without_xla_on_cpu
from dual_encoder.training import gradient_cache
from dual_encoder.training.compile_on_logits import class_loss, metrics_on_logits
from dual_encoder.training.replica_train_step import ExactTraining


class CoCoOp(CoOp):
    """`CoOp` with a small network that maps an image's embedding to an offset of all vectors.

    Each image has its own prompts, b · c in a batch. They are computed in chunks, whose activations
    are recomputed for the gradient, so that memory grows with the chunk, not with the batch.

    Args:
        model, class_names, kwargs: as for `CoOp`; the context is the same for all classes.
        words: initial words of the vectors.
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
        model = self.model.built_now()
        e, width = model.embed_dim, model.text_tower.token_embedding.shape[1]
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
        """Maps image embeddings [b, e] of any length to logits [b, c]."""
        return self.logits_of(inputs, self.frames)

    def logits_of(self, inputs, frames):
        """Maps embeddings [b, e] to logits [b, c] over the class names of `frames`."""
        images = ops.normalize(ops.cast(inputs, "float32"), axis=-1)
        b, e, c = ops.shape(images)[0], images.shape[1], len(frames.token_ids)
        size = max(1, self.chunk // c)  # images per chunk
        if isinstance(b, int) and b <= size:
            return self._at_once(images, frames)
        padded = ops.concatenate([images, ops.zeros((-b % size, e))])
        # On TensorFlow `gradients_of` handles chunks; `remat` would differentiate frozen weights.
        remat = keras.remat if keras.backend.backend() == "jax" else lambda function: function
        logits = remat(lambda chunk: self._at_once(chunk, frames))
        result = ops.map(logits, ops.reshape(padded, (-1, size, e)))
        return ops.reshape(result, (-1, c))[:b]

    def _at_once(self, images, frames):
        hidden, shift = self.meta_net
        context = self.context[None] + shift(hidden(images))[:, None]
        classes = self.embeddings_with(context, frames)
        return ops.einsum("be,bce->bc", images * self.model.logit_scale, classes)

    def gradients_of(self, x, y, sample_weight=None):
        """As in `ExactTraining`, in equal chunks, one after the other."""
        b, most = x.shape[0], max(1, self.chunk // len(self.class_names))
        if sample_weight is not None or b is None or b <= most:
            return super().gradients_of(x, y, sample_weight)
        size = max(size for size in range(1, most + 1) if b % size == 0)
        return gradient_cache.gradients_of(self, (x, y, None), size=size)

    def class_matrix(self, class_names=None):
        raise ValueError("CoCoOp's prompts are each image's own: use logits or classifier")

    def logits(self, images: np.ndarray, class_names: Sequence[str] | None = None) -> np.ndarray:
        """Returns logits float32 [n, c] of embeddings [n, e] over these or other class names."""
        check_embeddings(images, self.model.embed_dim)
        prompts = self.frames if class_names is None else self.frames_of(class_names)
        size = max(1, self.chunk // len(prompts.token_ids))
        chunks = (images[i : i + size] for i in range(0, len(images), size))
        return np.concatenate([ops.convert_to_numpy(self.logits_of(x, prompts)) for x in chunks])

    def classifier(self, class_names: Sequence[str] | None = None) -> Any:
        """Returns an image classifier with the current prompts."""
        return ConditionalClassifier(self, class_names)


class ConditionalClassifier(NamesImages, TakesImages, ExactTraining, keras.Model):
    """Maps images to logits with image-conditioned prompts; created by `CoCoOp.classifier`.

    Args:
        prompts: the learnt prompts.
        class_names: class names in place of theirs.
    """

    def __init__(self, prompts: CoCoOp, class_names: Sequence[str] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        without_xla_on_cpu(self)
        self.prompts, self.dual_encoder = prompts, prompts.model
        self.image_tower = prompts.model.image_tower
        self.frames = prompts.frames if class_names is None else prompts.frames_of(class_names)
        self.class_names = list(class_names or prompts.class_names)
        self.templates = [prompts.frames.template]
        self.built = True

    def compile(self, optimizer="sgd", loss=None, *, metrics=None, weighted_metrics=None, **kwargs):
        """As of `ZeroShotClassifier`: `metrics` leave out padding; the loss is cross-entropy."""
        loss = loss or class_loss()
        weighted = [*metrics_on_logits(metrics), *metrics_on_logits(weighted_metrics)]
        super().compile(optimizer, loss, weighted_metrics=weighted, **kwargs)

    def call(self, inputs, training=None):
        """Maps pixels 0-255 [b, s, s, 3], or a dict with them as `"image"`, to logits [b, c]."""
        embeddings = self.dual_encoder({"image": image_in(inputs)}, training=False)["image"]
        return self.prompts.logits_of(embeddings, self.frames)

    def compute_output_shape(self, input_shape):
        return (None, len(self.class_names))

    def get_config(self):
        raise ValueError(
            "a classifier by CoCoOp is not saved as a model: use dual_encoder.save_prompts, and "
            "after dual_encoder.load_prompts classifier() again"
        )
