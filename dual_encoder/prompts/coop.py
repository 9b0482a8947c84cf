"""CoOp: learns context vectors around the class name in prompts, with a frozen model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.class_prompts import check_texts, text_list
from dual_encoder.fit_arguments import check_embeddings
from dual_encoder.model import DualEncoder, check_dual_encoder
from dual_encoder.prompts.layout import Frames, frames
from dual_encoder.towers.base import TextTower
from dual_encoder.towers.xla_policy import without_xla_on_cpu, xla_by_default
from dual_encoder.training.compile_on_logits import metrics_on_logits
from dual_encoder.training.replica_train_step import ExactTraining
from dual_encoder.zero_shot import ZeroShotClassifier, class_embeddings
from duet import unit_rows


class CoOp(ExactTraining, keras.Model):
    """Maps image embeddings [b, e] to logits [b, c] over classes with learnt prompts.

    The only weights are the context: k vectors in place of k words, shared by all classes or per
    class. A logit is the cosine of image and prompt times the model's logit scale, as in
    `ZeroShotClassifier`; before training, a context initialised from words gives the logits of the
    template with these words. The dual encoder is neither changed nor copied, and not saved with
    the context: see `save_prompts`.

    Embed images once, with `model.encode_image`; batches of `fit` are `(embeddings, labels)`.
    Prompts are padded only to the longest one if the text tower's `trims_exactly` allows it, and a
    causal tower computes their common beginning once.

    Args:
        model: a dual encoder with a tokenizer.
        class_names: c names, the class of each label in order.
        n_ctx: k, 1 to 16; default: the number of tokens in `words`, or 16.
        position: of the class name among the vectors: `"end"`, `"middle"` or `"front"`.
        class_specific: whether each class has separate vectors.
        words: initial words of the vectors, such as "a photo of a"; by default, vectors are
            random, normal with standard deviation 0.02.
        decay: weight decay, added to the gradient.
        pull: weight of what holds the texts to those of `templates`: 1 minus the mean over classes
            of their cosines; 8 in KgCoOp (Yao et al. 2023, arXiv:2303.13283, section 3.3).
        templates: prompts with {} for the class name, whose texts they are held to.
        seed: of the random initialisation.

    Raises:
        ValueError: see `frames` and `ZeroShotClassifier`; or the text tower does not support
            learnt prompts.

    Reference: Zhou et al. 2022 (arXiv:2109.01134), section 3.

    Example:
        >>> coop = CoOp(model, ["apple pie", "baklava"], words="a photo of a")
        >>> coop.compile("sgd", metrics=["accuracy"])
        >>> coop.fit(model.encode_image(images), labels, epochs=50)
        >>> classifier = coop.classifier()  # of images
    """

    method = "coop"

    def __init__(
        self,
        model: DualEncoder,
        class_names: Sequence[str],
        *,
        n_ctx: int | None = None,
        position: str = "end",
        class_specific: bool = False,
        words: str | None = None,
        decay: float = 0.0,
        pull: float = 0.0,
        templates: Sequence[str] = ("a photo of a {}.",),
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        without_xla_on_cpu(self)
        check_texts(class_names, ["{}"])
        self.position, self.class_specific, self.words = position, class_specific, words
        self._frozen = _Frozen(model)
        self._given_n_ctx, self._decay, self._seed = n_ctx, decay, seed
        self.frames = self.frames_of(class_names)
        self.class_names = list(map(str, class_names))
        self._pull, self._held_to = pull, None
        if pull:
            self._held_to = class_embeddings(model, self.class_names, templates)
        self.build()

    def frames_of(self, class_names: Sequence[str]) -> Frames:
        """Returns the prompts of other class names with the same context."""
        text_list("class_names", class_names, least=1)
        model = self.model
        length = None if model.text_tower.trims_exactly else model.context_length
        return frames(
            model.tokenizer,
            class_names,
            n_ctx=self._given_n_ctx,
            position=self.position,
            words=self.words,
            length=length,
        )

    @property
    def model(self) -> DualEncoder:
        """The dual encoder."""
        return self._frozen.model

    @property
    def n_ctx(self) -> int:
        """k, the number of context vectors."""
        return self.frames.n_ctx

    def build(self, input_shape=None):
        if self.built:
            return
        tower = self.model.built_now().text_tower
        shape = (self.n_ctx, tower.token_embedding.shape[1])
        if self.class_specific:
            shape = (len(self.class_names), *shape)
        l2 = keras.regularizers.L2(self._decay / 2) if self._decay else None
        self.context = self.add_weight(
            shape,
            keras.initializers.RandomNormal(stddev=0.02, seed=self._seed),
            name="context",
            dtype="float32",
            autocast=False,
            regularizer=self._penalty if self._pull else l2,
        )
        if self.frames.words is not None:
            spelt = ops.convert_to_numpy(tower.embed(self.frames.words))
            self.context.assign(np.broadcast_to(spelt, shape))
        self.built = True

    def _penalty(self, context):
        """Half the decay times the squared length, and the pull towards the templates' texts."""
        cosines = ops.sum(self.class_embeddings() * self._held_to, axis=-1)
        long = self._decay / 2 * ops.sum(ops.square(context))
        return long + self._pull * (1 - ops.mean(cosines))

    def call(self, inputs, training=None):
        """Maps image embeddings [b, e] of any length to logits [b, c]."""
        images = ops.normalize(ops.cast(inputs, "float32"), axis=-1)
        return ops.matmul(images * self.model.logit_scale, ops.transpose(self.class_embeddings()))

    def class_embeddings(self, frames: Frames | None = None) -> Any:
        """Returns unit-length embeddings [c, e] of the class names or of other `frames`."""
        frames = frames or self.frames
        if not self.class_specific:
            return self.embeddings_with(self.context[None], frames)[0]
        embeddings = self.model.text_tower.embed(frames.token_ids)
        index = np.maximum(frames.source, 0)[..., None]
        vectors = ops.take_along_axis(self.context, index, axis=1)
        embeddings = ops.where(frames.source[..., None] >= 0, vectors, embeddings)
        return self._unit(self.model.text_tower.encode(embeddings, frames.token_ids))

    def embeddings_with(self, context: Any, frames: Frames) -> Any:
        """Returns unit-length embeddings [g, c, e] of g contexts [g, k, width] with each name."""
        tower, p = self.model.text_tower, frames.alike
        embeddings = tower.embed(frames.token_ids)
        places = np.flatnonzero(frames.source[0, :p] >= 0)
        begun = p - len(places)
        g, width = ops.shape(context)[0], context.shape[-1]
        start = ops.broadcast_to(embeddings[None, 0, :begun], (g, begun, width))
        shared = ops.concatenate([start, context[:, : len(places)]], axis=1)
        rest, source = embeddings[None, :, p:], frames.source[:, p:]
        if (source >= 0).any():
            vectors = ops.take(context, np.maximum(source, 0), axis=1)
            rest = ops.where(source[None, ..., None] >= 0, vectors, rest)
        features = tower.encode_alike(shared, rest, frames.token_ids)
        unit = self._unit(ops.reshape(features, (-1, tower.output_dim)))
        return ops.reshape(unit, (-1, len(source), self.model.embed_dim))

    def _unit(self, features):
        found = self.model.text_projection(features, training=False)
        return ops.normalize(ops.cast(found, "float32"), axis=-1)

    def class_matrix(self, class_names: Sequence[str] | None = None) -> np.ndarray:
        """Returns unit-length columns float32 [e, c] of these or other class names.

        Raises:
            ValueError: invalid names, see `frames`, or other names for class-specific vectors.
        """
        if class_names is not None and self.class_specific:
            raise ValueError("class_names: class-specific vectors say nothing of other classes")
        found = self.frames if class_names is None else self.frames_of(class_names)
        return ops.convert_to_numpy(self.class_embeddings(found)).T

    def logits(self, images: np.ndarray, class_names: Sequence[str] | None = None) -> np.ndarray:
        """Returns logits float32 [n, c] of embeddings [n, e] over these or other class names."""
        check_embeddings(images, self.model.embed_dim, least=0)
        scale = ops.convert_to_numpy(self.model.logit_scale)
        return (scale * unit_rows.unit(images)) @ self.class_matrix(class_names)

    def classifier(self, class_names: Sequence[str] | None = None) -> ZeroShotClassifier:
        """Returns an image classifier with the current prompts."""
        model = self.model
        classifier = ZeroShotClassifier(
            model.image_tower,
            model.image_projection,
            class_names=class_names or self.class_names,
            templates=[self.frames.template],
            embed_dim=model.embed_dim,
        )
        classifier.build()
        scale = ops.convert_to_numpy(model.logit_scale)
        classifier.class_matrix.assign(scale * self.class_matrix(class_names))
        return classifier

    def compile(self, optimizer="sgd", loss=None, *, metrics=None, **kwargs):
        """As in Keras; the default loss is cross-entropy."""
        loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        kwargs.setdefault("jit_compile", xla_by_default())
        super().compile(optimizer, loss, metrics=metrics_on_logits(metrics), **kwargs)

    def check_inputs(self, data):
        """See `PlainKeras.check_inputs`: requires embeddings."""
        check_embeddings(data, self.model.embed_dim)

    def input_specs(self) -> keras.InputSpec:
        """See `PlainKeras.input_specs`: image embeddings."""
        return keras.InputSpec(shape=(None, self.model.embed_dim), dtype="float32", name="image")

    def compute_output_shape(self, input_shape):
        return (None, len(self.class_names))

    def get_config(self):
        raise ValueError(
            "prompts are saved without the model that they belong to: use dual_encoder.save_prompts"
        )


class _Frozen:
    """Hides a model from Keras, so that its weights are neither trained nor saved."""

    def __init__(self, model: DualEncoder):
        check_dual_encoder(model)
        if model.tokenizer is None:
            raise ValueError(
                "model: expected one with a tokenizer to read class names; it has none"
            )
        if not isinstance(model.text_tower, TextTower):
            raise ValueError(
                "model: expected a text tower that takes vectors for words; "
                f"{type(model.text_tower).__name__} does not"
            )
        self.model = model
