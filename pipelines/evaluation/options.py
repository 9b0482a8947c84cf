"""The options of `evaluate`, and which of them go together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipelines.runs.rerun_command import flag

if TYPE_CHECKING:
    from tfrecords import Manifest


OF_ZERO_SHOT = ("templates", "domain", "class_names", "language", "prompts")

OF_RETRIEVAL = ("captions_per_image", "distractors")


@dataclass(frozen=True)
class Options:
    """Measure a model's accuracy on labelled images, or its retrieval by captions.

    Args:
        data: folder of records written by prepare.
        model: a checkpoint's name, a .keras file or the folder of a training run.
        out: folder for the results; created if missing, never overwritten.
        split: split of the records to evaluate.
        protocol: zero-shot (labels: classify by class names), classifier (labels: a model from
            finetune, with its classes) or retrieval (captions: find the image of each caption,
            and the captions of each image); default: by the model and the split, labels before
            captions.
        templates: prompt templates with {} for the class name, or one file with one per line, or
            JSON or CSV with prompts of each class; default: those that finetune was given for a
            run, on its records; else those of the dataset.
        domain: what the classes are, such as food, for prompts that say so, in place of templates.
        class_names: names in the order of the labels, or one file: a name per line, JSON (a list),
            or a CSV with a column "class" and one per language; default: those of the dataset,
            with spaces for underscores.
        language: column of the CSV.
        allow_equal_names: accept several classes with the same name, as in published lists; the
            report mentions it.
        prompts: file of prompts learnt with this model, written by `prompt`, in place of templates;
            of other class names too, unless each class has vectors of its own.
        features: folder of a feature cache, such as that of a comparison: cached images are not
            encoded again, others are added; default: no cache. Not with protocol classifier.
        captions_per_image: in retrieval, use only the first captions of each image; default: all.
        distractors: in retrieval, further splits whose images are searched too.
        batch_size: images per batch.
        bootstrap: resamples for the 95 % intervals; 0 for none.
        seed: of the bootstrap.
        precision: auto (for many images what is fastest here, within 0.01 of cosine distance; for
            few float32), float32, mixed_bfloat16 or mixed_float16; the results say which.
    """

    data: str
    model: str
    out: str
    split: str = "test"
    protocol: Literal["zero-shot", "classifier", "retrieval"] | None = None
    templates: list[str] | None = None
    domain: str | None = None
    class_names: list[str] | None = None
    language: str | None = None
    allow_equal_names: bool = False
    prompts: str | None = None
    features: str | None = None
    captions_per_image: int | None = None
    distractors: list[str] | None = None
    batch_size: int = 64
    bootstrap: int = 1000
    seed: int = 0
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"


def check_numbers(options: Options) -> None:
    least_of = {"batch_size": 1, "bootstrap": 0, "seed": 0, "captions_per_image": 1}
    for name, least in least_of.items():
        value = getattr(options, name)
        if value is not None and value < least:
            raise ValueError(f"{flag(name)}: expected {least} or more; got {value}")


def refuse(options: Options, names: tuple[str, ...], *, protocol: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            raise ValueError(f"{flag(name)} goes with another --protocol than {protocol}")


def check_has(manifest: "Manifest", split: str, *, what: str) -> None:
    """Raises ValueError unless the split has `what`: labels or captions."""
    if not getattr(manifest.split(split), what):
        having = [name for name, info in manifest.splits.items() if getattr(info, what)]
        raise ValueError(
            f"split {split!r} of {manifest.dataset} has no {what} to measure against; splits with "
            f"{what}: {', '.join(having) or 'none'}"
        )
