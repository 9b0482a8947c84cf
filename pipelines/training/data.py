"""Image-caption pairs that a run trains and validates on."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from pipelines.runs import rerun_command

if TYPE_CHECKING:
    from dual_encoder import DualEncoder, Tokenizer
    from tfrecords import Manifest


AT_ONCE = 8  # shards; they are read in threads


@dataclass(frozen=True)
class Pairs:
    """What a run reads of a folder of records: split train, and validation if there is one.

    Args:
        directory: of the records; manifest: theirs.
        batch_size: pairs per step, on all devices together.
        captions_per_image: captions of each image used in one pass.
        crop_scale: smallest share of an image that a random crop keeps; 1 for the centre crop.
        epochs: passes.
        seed: of order, crops and captions.

    Raises:
        ValueError: split train has fewer images than a batch.
    """

    directory: str
    manifest: "Manifest"
    batch_size: int
    captions_per_image: int
    crop_scale: float
    epochs: int
    seed: int

    def __post_init__(self) -> None:
        train = self.manifest.split("train")
        if self.batch_size > train.count:
            raise ValueError(
                f"--batch-size: expected at most the {train.count:,} images of split train; "
                f"got {self.batch_size}"
            )

    @property
    def steps(self) -> int:
        """Steps of one pass."""
        import tfrecords

        return tfrecords.steps_per_epoch(
            self.directory,
            "train",
            batch_size=self.batch_size,
            captions_per_image=self.captions_per_image,
        )

    @property
    def validates(self) -> bool:
        """Whether there is a split validation."""
        return "validation" in self.manifest.splits

    @property
    def validates_labels(self) -> bool:
        """Whether there is a split validation with labels."""
        return self.validates and self.manifest.splits["validation"].labels

    def training(
        self, model: "DualEncoder", *, start_step: int = 0, worker: tuple[int, int] = (0, 1)
    ) -> Any:
        """Batches of the whole run, from `start_step` on; see `tfrecords.load`."""
        return self._load(model, "train")(
            **self._texts(model),
            training=True,
            crop_scale=None if self.crop_scale == 1 else (self.crop_scale, 1.0),
            captions_per_image=self.captions_per_image,
            epochs=self.epochs,
            seed=self.seed,
            start_step=start_step,
            worker=worker,
        )

    def validation(self, model: "DualEncoder", *, worker: tuple[int, int] = (0, 1)) -> Any:
        """Images with captions of split validation."""
        return self._load(model, "validation")(**self._texts(model), worker=worker)

    def labelled(self, model: "DualEncoder", *, worker: tuple[int, int] = (0, 1)) -> Any:
        """Images with labels of split validation."""
        return self._load(model, "validation")(worker=worker)

    def _texts(self, model: "DualEncoder") -> dict[str, Any]:
        """How captions are read; no row is longer than the longest text, as BERT takes 512."""
        import dual_encoder

        length = dual_encoder.longest_row(model, self._every_text)
        return {"tokenizer": model.tokenizer, "text_length": length}

    @cached_property
    def _every_text(self) -> list[Sequence[str]]:
        """The captions of each image, or without captions the prompts of each class."""
        if not self.manifest.split("train").captions:
            return list(self.manifest.class_prompts)
        splits = [name for name in ("train", "validation") if name in self.manifest.splits]
        return [caption for name in splits for caption in self._captions(name)]

    def _captions(self, split: str) -> Iterator[Sequence[str]]:
        """The captions of each image of a split, with a bar where that takes a while."""
        from tqdm import tqdm

        import tfrecords

        examples = tfrecords.examples(self.directory, split)
        bar: dict[str, Any] = {"unit": " images", "delay": 2, "disable": rerun_command.no_bar()}
        count = self.manifest.split(split).count
        for example in tqdm(examples, "reading captions", total=count, **bar):
            yield example.captions

    def _load(self, model: "DualEncoder", split: str) -> partial:
        import tfrecords

        return partial(
            tfrecords.load,
            self.directory,
            split,
            batch_size=self.batch_size,
            **model.preprocessing,
            verify=None,  # done once, by `verify`
        )

    def verify(self) -> None:
        """Compare every byte with the manifest, once, before training.

        Raises:
            FileNotFoundError: a shard is missing.
            ValueError: a shard is damaged; names shard and record.
        """
        from tqdm import tqdm

        from tfrecords import verify

        names = [name for name in ("train", "validation") if name in self.manifest.splits]
        splits = [self.manifest.splits[name] for name in names]
        size = sum(shard.bytes for split in splits for shard in split.shards)
        options: dict[str, Any] = {"unit": "B", "unit_scale": True, "delay": 2, "leave": False}
        with tqdm(
            total=size, desc="checking the records", disable=rerun_command.no_bar(), **options
        ) as bar:
            for split in splits:
                for first in range(0, len(split.shards), AT_ONCE):
                    shards = split.shards[first : first + AT_ONCE]
                    verify(self.directory, replace(split, shards=shards))
                    bar.update(sum(shard.bytes for shard in shards))

    def learn_tokenizer(self, *, context_length: int, vocabulary_size: int) -> "Tokenizer":
        """A vocabulary from the captions of split train: the same one every time.

        So every worker may learn its own.
        """
        import dual_encoder

        sizes = {"context_length": context_length, "vocabulary_size": vocabulary_size}
        if not self.manifest.split("train").captions:
            prompts = itertools.chain.from_iterable(self.manifest.class_prompts)
            return dual_encoder.Tokenizer.learn(prompts, **sizes)
        captions = itertools.chain.from_iterable(self._captions("train"))
        return dual_encoder.Tokenizer.learn(captions, **sizes)
