"""Training, validation and test images of a fine-tuning run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from duet import name_list
from pipelines.runs.class_split import Parts

if TYPE_CHECKING:
    import keras

    from pipelines.finetuning.options import Options
    from tfrecords import Manifest


@dataclass(frozen=True)
class Labelled:
    """What a run reads of a folder of records.

    Args:
        directory: of the records; manifest: theirs.
        parts: which classes and images of split train.
        labels: of the images of split train, by id.
        templates: prompts with {} for the class name, where a text tower reads them.
        captions: in their place while training, as `dual_encoder.prompts_of` takes them.
        batch_size: images per step, on all devices together.
        crop_scale: smallest share of an image that a random crop keeps; 1 for the centre crop.
        augment: layer on batches of images, or None.
        mix: layer on images and labels, or None.
        soft: whether y has a column per class rather than a number.
        epochs: passes.
        seed: of order, crops and augmentation.
        class_weight: power by which images of rare classes count for more; 0 for all alike.

    Raises:
        ValueError: there are fewer images to train on than a batch has, or class weights of
            images with several classes.
    """

    directory: str
    manifest: "Manifest"
    parts: Parts
    labels: Mapping[int, Any]
    templates: tuple[str, ...]
    batch_size: int
    crop_scale: float
    augment: Callable | None
    mix: Callable | None
    soft: bool
    epochs: int
    seed: int
    class_weight: float = 0.0
    captions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.class_weight and self.manifest.multi_label:
            raise ValueError(
                f"--class-weight: images of {self.manifest.dataset} have several classes; "
                "expected a set whose images have one"
            )
        if self.batch_size > len(self.parts.train):
            raise ValueError(
                f"--batch-size: expected at most the {len(self.parts.train):,} images that are "
                f"left to train on; got {self.batch_size}"
            )

    @property
    def steps(self) -> int:
        """Steps of one pass."""
        return -(-len(self.parts.train) // self.batch_size)

    @property
    def names(self) -> list[str]:
        """Of all classes of the set, as a prompt says them."""
        return list(self.manifest.spoken_names)

    @property
    def seen_names(self) -> list[str]:
        """Of the classes that are trained on."""
        return [self.names[label] for label in self.parts.seen]

    def training(
        self, model: "keras.Model", *, start_step: int = 0, worker: tuple[int, int] = (0, 1)
    ) -> Any:
        """Batches of the whole run, from `start_step` on; y is the place among the seen classes.

        For a dual encoder they have a prompt of the class as well.
        """
        batches = self._load(model, "train", ids=self.parts.train)(
            classes=self.parts.seen,
            **self._texts(model),
            training=True,
            crop_scale=None if self.crop_scale == 1 else (self.crop_scale, 1.0),
            augment=self.augment,
            mix=self.mix,
            epochs=self.epochs,
            seed=self.seed,
            start_step=start_step,
            worker=worker,
        )
        batches = self._softened(batches) if self.mix is None else batches
        return self._weighted(batches) if self.class_weight else batches

    def validation(self, model: "keras.Model", *, worker: tuple[int, int] = (0, 1)) -> Any:
        """The images the run chooses by, as training has them."""
        batches = self._load(model, "train", ids=self.parts.validation)(
            classes=self.parts.seen,
            **self._texts(model),
            worker=worker,
        )
        return self._softened(batches)

    def measured(self, model: "keras.Model") -> tuple[Any, int]:
        """Batches with the labels of the records, of seen and held-out classes, and how many."""
        return self.images(model, "train", self.measured_ids)

    @property
    def measured_ids(self) -> tuple[int, ...]:
        """Of the images that are measured every epoch, of seen and of held-out classes."""
        return (*self.parts.validation, *self.parts.watched)

    def images(
        self, model: "keras.Model", split: str, ids: Sequence[int] | None = None
    ) -> tuple[Any, int]:
        """Batches of images of a split with the labels of the records, and how many images."""
        count = self.manifest.split(split).count if ids is None else len(ids)
        return self._load(model, split, ids=ids)(), count

    def describe(self, x: Any, y: Any) -> list[str]:
        """The class names of a training batch; of several, those that have half or more."""
        names, rows = self.seen_names, np.asarray(y)
        if rows.ndim == 1:
            return [names[label] for label in rows]
        return [", ".join(names[i] for i in np.flatnonzero(row >= 0.5)) or "-" for row in rows]

    def in_words(self) -> str:
        """What is trained on, in a line."""
        parts = self.parts
        line = (
            f"{len(parts.train):,} images of {len(parts.seen)} classes to train on, "
            f"{len(parts.validation):,} to choose by"
        )
        if parts.held_out:
            names = [self.manifest.spoken_names[label] for label in parts.held_out]
            watched = name_list.counted(len(parts.watched), "image")
            line += f"; held out: {name_list.first_of(names)} ({watched})"
        return line

    def verify(self, *splits: str) -> None:
        """Compare every byte with the manifest, once. Raises as `tfrecords.verify`."""
        from tfrecords import verify

        for split in splits:
            verify(self.directory, self.manifest.split(split))

    def _texts(self, model: Any) -> dict[str, Any]:
        """How a dual encoder's prompts are read, in rows no longer than the longest of them."""
        import dual_encoder

        tokenizer = getattr(model, "tokenizer", None)
        if tokenizer is None:
            return {}
        prompts = dual_encoder.prompts_of(self.names, self.captions or self.templates)
        length = dual_encoder.longest_row(model, prompts)
        return {"tokenizer": tokenizer, "class_prompts": prompts, "text_length": length}

    def _softened(self, batches: Any) -> Any:
        if not self.soft or self.manifest.multi_label:
            return batches
        import tensorflow as tf

        return batches.map(lambda x, y, weight: (x, tf.one_hot(y, len(self.parts.seen)), weight))

    def _weighted(self, batches: Any) -> Any:
        """With weights by the class; of a mixed image by the one that it has most of."""
        import classifiers
        import dual_encoder

        places = np.searchsorted(self.parts.seen, [self.labels[i] for i in self.parts.train])
        weights = classifiers.class_weights(places, power=self.class_weight)
        return dual_encoder.weighted_by_class(batches, dict(enumerate(weights.tolist())))

    def _load(self, model: "keras.Model", split: str, **options: Any) -> partial:
        import tfrecords

        return partial(
            tfrecords.load,
            self.directory,
            split,
            batch_size=self.batch_size,
            **model.preprocessing,
            verify=None,  # done once, by `verify`
            **options,
        )


def of(options: "Options", manifest: "Manifest", *, held_out: tuple[int, ...]) -> Labelled:
    """The data that the options of `finetune` name."""
    import tfrecords
    from pipelines.finetuning import augmentation
    from pipelines.methods.registry import METHODS
    from pipelines.runs import class_name_options, class_split
    from pipelines.training import small_set_batch_size

    row = METHODS.get(options.method)
    steps = row is None or row.fit is None  # auto is none
    ids, labels = tfrecords.labels(options.data, "train")
    parts = class_split.divide(
        ids,
        labels,
        manifest,
        held_out=held_out,
        fraction=options.validation,
        seed=options.seed if options.split_seed is None else options.split_seed,
    )
    return Labelled(
        options.data,
        manifest,
        parts,
        labels=dict(zip(ids.tolist(), labels.tolist(), strict=True)),
        templates=tuple(class_name_options.templates(options.templates, manifest)),
        batch_size=small_set_batch_size.unasked(options, images=len(parts.train), steps=steps),
        crop_scale=options.crop_scale,
        augment=augmentation.augment(
            flip=options.flip,
            rand_augment=options.rand_augment,
            random_erasing=options.random_erasing,
            seed=options.seed,
        ),
        mix=augmentation.mix(mixup=options.mixup, cutmix=options.cutmix, seed=options.seed),
        soft=bool(options.mixup or options.cutmix or options.label_smoothing),
        epochs=options.epochs,
        seed=options.seed,
        class_weight=options.class_weight,
        captions=tuple(class_name_options.captions(options.captions, manifest)),
    )
