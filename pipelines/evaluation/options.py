"""The options of `evaluate`, and which of them go together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tfrecords import Manifest


OF_ZERO_SHOT = ("templates", "class_names", "language", "prompts", "features")

OF_RETRIEVAL = ("captions_per_image", "distractors")


@dataclass(frozen=True)
class Options:
    """Measure how well a model names images, or finds them by their captions.

    Args:
        data: folder of records, as prepare writes it.
        model: a checkpoint's name, a .keras file or the folder of a training run.
        out: folder for the results; made if missing, never overwritten.
        split: which split of the records.
        protocol: zero-shot (labels: class names to tell images by), classifier (labels: a model
            that finetune made, with classes of its own) or retrieval (captions: each finds its
            image, each image its captions); without it what the split has, labels before
            captions, and what the model is.
        templates: prompts with {} for the class name, or one file with a prompt per line;
            without it those of the dataset.
        class_names: file with one class name per line, in the order of the labels, or a CSV with
            a column "class" and one for each language; without it those of the dataset,
            underscores read as spaces.
        language: column of the CSV.
        allow_equal_names: measure also where several classes have the same name, as in published
            lists; the figures say so.
        prompts: file of prompts learnt with this model and these names, as `prompt` writes it, in
            place of templates.
        features: folder of a feature cache, such as that of a comparison: images that are in it
            are not encoded again, others are added; without it none is used.
        captions_per_image: in retrieval, the first so many of each image; without it all.
        distractors: in retrieval, further splits whose images are searched too.
        batch_size: images at a time.
        bootstrap: resamples for the 95 % intervals; 0 for none.
        seed: of the bootstrap.
    """

    data: str
    model: str
    out: str
    split: str = "test"
    protocol: Literal["zero-shot", "classifier", "retrieval"] | None = None
    templates: list[str] | None = None
    class_names: str | None = None
    language: str | None = None
    allow_equal_names: bool = False
    prompts: str | None = None
    features: str | None = None
    captions_per_image: int | None = None
    distractors: list[str] | None = None
    batch_size: int = 64
    bootstrap: int = 1000
    seed: int = 0


def check_numbers(options: Options) -> None:
    least_of = {"batch_size": 1, "bootstrap": 0, "seed": 0, "captions_per_image": 1}
    for name, least in least_of.items():
        value = getattr(options, name)
        if value is not None and value < least:
            raise ValueError(f"--{name.replace('_', '-')}: expected {least} or more; got {value}")


def refuse(options: Options, names: tuple[str, ...], *, protocol: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} goes with another --protocol than {protocol}")


def check_has(manifest: "Manifest", split: str, *, what: str) -> None:
    """`what`: labels or captions."""
    if not getattr(manifest.split(split), what):
        having = [name for name, info in manifest.splits.items() if getattr(info, what)]
        raise ValueError(
            f"split {split!r} of {manifest.dataset} has no {what} to measure against; splits with "
            f"{what}: {', '.join(having) or 'none'}"
        )
