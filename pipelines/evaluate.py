"""Evaluate a model on a split: by labels, zero-shot or as a classifier, or by captions."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from tfrecords import Manifest

OF_ZERO_SHOT = ("templates", "class_names", "language", "prompts")
OF_RETRIEVAL = ("captions_per_image", "distractors")


@dataclass(frozen=True)
class Options:
    """Measure how well a model names pictures, or finds them by their captions.

    Args:
        data: folder of records, as prepare writes it.
        model: a checkpoint's name, a .keras file or the folder of a training run.
        out: folder for the results; made if missing, never overwritten.
        split: which split of the records.
        protocol: zero-shot (labels: class names to tell pictures by), classifier (labels: a model
            that finetune made, with classes of its own) or retrieval (captions: each finds its
            picture, each picture its captions); without it what the split has, labels before
            captions, and what the model is.
        templates: prompts with {} for the class name, or one file with a prompt per line;
            without it those of the dataset.
        class_names: file with one class name per line, in the order of the labels, or a CSV with
            a column "class" and one for each language; without it those of the dataset,
            underscores read as spaces.
        language: column of the CSV.
        prompts: file of prompts learnt with this model and these names, as `prompt` writes it, in
            place of templates.
        captions_per_image: in retrieval, the first so many of each picture; without it all.
        distractors: in retrieval, further splits whose pictures are searched too.
        batch_size: pictures at a time.
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
    prompts: str | None = None
    captions_per_image: int | None = None
    distractors: list[str] | None = None
    batch_size: int = 64
    bootstrap: int = 1000
    seed: int = 0


def run(options: Options) -> None:
    """Evaluates, writes the files of the protocol, and prints the figures."""
    from pipelines.runs import quiet
    from tfrecords import Manifest

    _check_numbers(options)
    manifest = Manifest.read(options.data)
    info = manifest.split(options.split)
    retrieval = options.protocol == "retrieval" or (
        options.protocol is None and info.captions and not info.labels
    )
    if retrieval:
        _refuse(options, OF_ZERO_SHOT, protocol="retrieval")
    else:
        _refuse(options, OF_RETRIEVAL, protocol=options.protocol or "zero-shot")
    quiet.import_tensorflow()
    print(_retrieval(options, manifest) if retrieval else _by_labels(options, manifest))
    print(f"Written to {options.out}; open {Path(options.out) / 'report.html'}")


def _by_labels(options: Options, manifest: "Manifest") -> str:
    """Measures by labels; returns the figures as text."""
    from pipelines.runs import classifier_evaluation, folder, loading, report, texts
    from pipelines.runs import zero_shot_evaluation as zero_shot

    out = folder.check_free(options.out, zero_shot.FILES)
    _check_has(manifest, options.split, what="labels")
    if options.prompts and options.templates:
        raise ValueError("--prompts and --templates: expected one of them; got both")
    names = texts.class_names(options.class_names, manifest, language=options.language)
    templates = texts.templates(options.templates, manifest)
    model = loading.load(options.model)
    if _is_classifier(options, model):
        _refuse(options, OF_ZERO_SHOT, protocol="classifier")
        document = classifier_evaluation.evaluate(options, manifest, model, out=out)
        lines = [report.terminal_table(document), classifier_evaluation.left_out(document)]
        return "\n".join(filter(None, lines))
    if manifest.multi_label:
        raise ValueError(
            f"{manifest.dataset} has several labels per picture; zero-shot tells one class for "
            f"each: expected records with one label, or a classifier trained with finetune"
        )
    document = zero_shot.evaluate(
        options,
        manifest,
        _dual_encoder(model, options.model),
        out=out,
        names=names,
        templates=templates,
    )
    return report.terminal_table(document)


def _is_classifier(options: Options, model: Any) -> bool:
    """Whether the model has classes of its own, and is to be measured by them."""
    has_classes = getattr(model, "class_names", None) is not None
    if options.protocol == "classifier" and not has_classes:
        raise ValueError(
            f"--protocol classifier: expected a model with classes of its own, as finetune makes "
            f"them; {options.model} ({type(model).__name__}) has none"
        )
    return has_classes and options.protocol != "zero-shot"


def _retrieval(options: Options, manifest: "Manifest") -> str:
    """Measures by captions; returns the figures as text."""
    from pipelines.runs import caption_retrieval, folder, loading, retrieval_report

    out = folder.check_free(options.out, caption_retrieval.FILES)
    for split in (options.split, *(options.distractors or ())):
        _check_has(manifest, split, what="captions")
    if options.split in (options.distractors or ()):
        raise ValueError(f"--distractors: expected other splits than {options.split}")
    model = _dual_encoder(loading.load(options.model), options.model)
    document = caption_retrieval.evaluate(options, manifest, model, out=out)
    return retrieval_report.terminal_table(document)


def _dual_encoder(model: Any, name: str) -> "DualEncoder":
    import dual_encoder

    if not isinstance(model, dual_encoder.DualEncoder):
        raise ValueError(
            "--model: expected a dual encoder, which knows classes by their names; "
            f"{name} has one tower ({type(model).__name__})"
        )
    return model


def _check_numbers(options: Options) -> None:
    least_of = {"batch_size": 1, "bootstrap": 0, "seed": 0, "captions_per_image": 1}
    for name, least in least_of.items():
        value = getattr(options, name)
        if value is not None and value < least:
            raise ValueError(f"--{name.replace('_', '-')}: expected {least} or more; got {value}")


def _refuse(options: Options, names: tuple[str, ...], *, protocol: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} goes with another --protocol than {protocol}")


def _check_has(manifest: "Manifest", split: str, *, what: str) -> None:
    """`what`: labels or captions."""
    if not getattr(manifest.split(split), what):
        having = [name for name, info in manifest.splits.items() if getattr(info, what)]
        raise ValueError(
            f"split {split!r} of {manifest.dataset} has no {what} to measure against; splits with "
            f"{what}: {', '.join(having) or 'none'}"
        )
