"""Evaluate a model on a split: by labels, zero-shot or as a classifier, or by captions."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.evaluation.options import (
    OF_RETRIEVAL,
    OF_ZERO_SHOT,
    Options,
    check_has,
    check_numbers,
    refuse,
)

if TYPE_CHECKING:
    from tfrecords import Manifest

BY_NAMES = "--model: expected a dual encoder, which knows classes by their names"


def run(options: Options) -> None:
    """Evaluates, writes the files of the protocol, and prints the figures."""
    from pipelines.runs import folder, results, runtime
    from tfrecords import Manifest

    check_numbers(options)
    free = ("precision",) if options.precision == "auto" else ()  # the config has what it was
    if folder.is_unchanged(options.out, options, finished=results.FILE, free=free):
        print(f"{options.out} is finished already; nothing is left to do")
        return
    manifest = Manifest.read(options.data)
    info = manifest.split(options.split)
    retrieval = options.protocol == "retrieval" or (
        options.protocol is None and info.captions and not info.labels
    )
    if retrieval:
        refuse(options, OF_ZERO_SHOT, protocol="retrieval")
    else:
        refuse(options, OF_RETRIEVAL, protocol=options.protocol or "zero-shot")
    runtime.import_tensorflow()
    print(_retrieval(options, manifest) if retrieval else _by_labels(options, manifest))
    print(f"Written to {options.out}; open {Path(options.out) / 'report.html'}")


def _by_labels(options: Options, manifest: "Manifest") -> str:
    """Measures by labels; returns the figures as text."""
    from pipelines.evaluation import classifier, zero_shot
    from pipelines.prediction import model_of_run_folder
    from pipelines.runs import class_name_options, folder, models
    from tfrecords import verify_splits

    out = folder.check_free(options.out, zero_shot.FILES)
    check_has(manifest, options.split, what="labels")
    for other in ("templates", "domain"):
        if options.prompts and getattr(options, other):
            raise ValueError(f"--prompts and --{other}: expected one of them; got both")
    names = class_name_options.class_names(
        options.class_names,
        manifest,
        language=options.language,
        allow_equal=options.allow_equal_names,
    )
    given = options.templates
    if given is None and options.domain is None and options.prompts is None:
        given = model_of_run_folder.own_templates(options.model, options.data)
    templates = class_name_options.templates(given, manifest, domain=options.domain, names=names)
    verify_splits(options.data, manifest, options.split)
    options, model = _loaded(options, manifest)
    look = partial(_health, options)
    if _is_classifier(options, model):
        refuse(options, (*OF_ZERO_SHOT, "features"), protocol="classifier")
        document = classifier.evaluate(options, manifest, model, out=out, look=look)
        return _figures(document, classifier.left_out(document))
    models.check_dual_encoder(model, options.model, BY_NAMES)
    document = zero_shot.evaluate(
        options,
        manifest,
        model,
        out=out,
        names=names,
        templates=templates,
        look=look,
    )
    return _figures(document)


def _figures(document: dict[str, Any], *more: str) -> str:
    """The table, and what to know of it."""
    from pipelines.evaluation import report as evaluation_report
    from pipelines.runs import class_name_options

    table, line = (
        evaluation_report.terminal_table(document),
        class_name_options.equal_names_line(document),
    )
    return "\n".join(filter(None, [table, *more, line]))


def _loaded(options: Options, manifest: "Manifest") -> tuple[Options, Any]:
    """The model, and the options with the precision that it has."""
    from pipelines.runs import inference_precision, models

    splits = (options.split, *(options.distractors or ()))
    images = sum(manifest.split(split).count for split in splits)
    model = inference_precision.load(
        options.model, options.precision, images=images, read=models.load
    )
    found: dict[str, Any] = {"precision": inference_precision.policy_of(model)}
    return replace(options, **found), model


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
    from pipelines.evaluation import captions, captions_report
    from pipelines.runs import folder, models
    from tfrecords import verify_splits

    out = folder.check_free(options.out, captions.FILES)
    for split in (options.split, *(options.distractors or ())):
        check_has(manifest, split, what="captions")
    others = options.distractors or []
    if options.split in others or len(set(others)) < len(others):
        raise ValueError(
            f"--distractors: expected other splits than {options.split}, each once; got "
            f"{', '.join(others)}"
        )
    verify_splits(options.data, manifest, options.split, *(options.distractors or ()))
    options, model = _loaded(options, manifest)
    models.check_dual_encoder(model, options.model, BY_NAMES)
    look = partial(_health, options)
    document = captions.evaluate(options, manifest, model, out=out, look=look)
    return captions_report.terminal_table(document)


def _health(options: Options) -> list[str]:
    """What is to be known of the images before any figure; printed, and for the page.

    It decodes every image, and comes behind all that can be refused without.
    """
    from pipelines.inspection import leaks

    lines = leaks(options.data, options.split)
    for line in lines:
        print(line, flush=True)
    return lines
