"""Write the results of a fine-tuning run: models, metrics, page."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duet import atomic_files
from pipelines.evaluation import measure as evaluation_measure
from pipelines.evaluation import multilabel_report
from pipelines.evaluation import report as evaluation_report
from pipelines.metrics import seen_unseen
from pipelines.reporting import number_format
from pipelines.reporting import page as reporting_page
from pipelines.runs import class_name_options, models, results
from pipelines.training import output_files as training_files
from pipelines.training import plots as training_plots
from pipelines.training.output_files import PAGE

if TYPE_CHECKING:
    from pipelines.finetuning.model import Adapted
    from pipelines.finetuning.options import Options
    from pipelines.training.checkpoint import Checkpoint

PANELS = {
    "loss": {"training": "loss", "validation": "val_loss"},
    "accuracy on seen classes": {"training": "accuracy", "validation": "val_seen_top1"},
    "accuracy on held-out classes": {
        "among themselves": "val_unseen_top1",
        "among all": "val_unseen_among_all",
    },
    "mean average precision": {"validation": "val_map"},
    "learning rate": {"": "learning_rate"},
}

COLUMNS = {
    "loss": "Loss",
    "val_loss": "Validation loss",
    "val_seen_top1": "Seen",
    "val_unseen_top1": "Held out",
    "val_unseen_among_all": "Held out, among all",
    "val_generalized_top1": "All classes",
    "val_harmonic_mean": "Harmonic mean",
    "val_map": "Validation mAP",
    "images_per_second": "Images/s",
}


def write(
    out: Path,
    made: "Adapted",
    options: "Options",
    *,
    measured: dict[str, Any],
    course: "Checkpoint",
    devices: list[str],
    **more: Any,
) -> dict[str, Any]:
    """Write `model.keras`, `report.html` and, last, `results.json`. Returns the results.

    Of a classifier made of a dual encoder there is `dual_encoder.keras` as well.

    Args:
        out: folder of the run.
        made: as training left it.
        options: of the command, as they were given.
        measured: of `evaluation.measure`.
        course: what remembers the course of the run.
        devices: what it was trained on.
        more: further keys of the results.
    """
    manifest, model = made.data.manifest, made.model
    rates = [row["images_per_second"] for row in course.history if "images_per_second" in row]
    document = results.document(
        measured,
        command="finetune",
        dataset=manifest.dataset,
        split=options.test,
        model=str(out),
        judged_by=evaluation_measure.judged_by(manifest),
        cost={
            "seconds": course.seconds + _choosing(more),
            "images_per_second": sum(rates) / max(len(rates), 1),
            "parameters": model.count_params(),
            "trained_parameters": made.trained_parameters,
            "peak_rss_bytes": results.peak_rss_bytes(),
        },
        config=asdict(options),
        protocol="fine-tuned",
        equal_names=class_name_options.equal_names(manifest.spoken_names),
        history=course.history,
        steps=course.step,
        devices=devices,
        **({"new_names_offset": made.beside[1]} if made.beside else {}),
        **{"templates": list(made.data.templates), **more},
    )
    if made.source is not None and not made.has_texts and made.is_saved:
        _save(made.source, out / models.DUAL)
    if made.is_saved:
        _save(model, out / models.MODEL)
    atomic_files.write(out / PAGE, page(document))
    results.write(out / results.FILE, document)  # last: by it the run is known to be finished
    return document


def _save(model: Any, path: Path) -> None:
    with atomic_files.atomic(path) as unfinished:
        model.save(unfinished)


def summary(document: dict[str, Any]) -> str:
    """A fine-tuning in a few lines for a terminal."""
    out = document["model"]
    lines = [evaluation_report.terminal_table(document)]
    lines += filter(None, [class_name_options.equal_names_line(document)])
    if "alpha" in document:
        how = "chosen with classes set aside" if document["alpha"]["classes"] else "half of the way"
        lines.append(f"alpha {_alpha(document):g}, {how}")
    lines += [f"trained in {_took(document)}", f"Written to {out}; open {Path(out) / PAGE}"]
    return "\n".join(lines)


def _took(document: dict[str, Any]) -> str:
    """Methods on cached features have no steps."""
    cost, steps = document["cost"], document["steps"]
    took = f"{cost['seconds']:,.0f} s"
    return (
        f"{steps:,} steps in {took}, {cost['images_per_second']:,.0f} images/s" if steps else took
    )


def page(document: dict[str, Any]) -> str:
    """The page of a fine-tuning."""
    history, cost = document["history"] if document["steps"] else [], document["cost"]
    shown = [key for key in COLUMNS if any(key in row for row in history)]
    panels = training_plots.panels_of(PANELS, history)
    way, several = document.get("wise_ft"), document.get("multi_label", False)
    return reporting_page.of_run(
        "tuned.html.j2",
        document,
        title=f"Fine-tuning of {Path(document['config']['model']).name} on {document['dataset']}, "
        f"method {document['method']}{', taken by auto' if 'auto' in document else ''}",
        headline=evaluation_report.headline(document),
        figures=evaluation_report.figure_rows(document),
        untested=evaluation_report.untested(document),
        curves=reporting_page.plot(training_plots.curves(history, panels)) if panels else None,
        columns=[COLUMNS[key] for key in shown],
        epochs=[
            {
                "number": row["epoch"] + 1,
                "values": [training_files.figure(key, row.get(key)) for key in shown],
            }
            for row in history
        ],
        way=way and reporting_page.plot(training_plots.way(way, chosen=_alpha(document))),
        points=way or [],
        alpha=_alpha(document),
        names={
            key: evaluation_report.FIGURES[key][0]
            for key in (("map",) if several else seen_unseen.FIGURES)
        },
        several=several,
        found=several and multilabel_report.plot(document),
        classes=(multilabel_report.weakest_first if several else evaluation_report.weakest_first)(
            document["per_class"]
        ),
        cost=(
            f"Trained in {_took(document)} on {', '.join(document['devices'])}; "
            f"{cost['parameters']:,} parameters, {number_format.gibibytes(cost['peak_rss_bytes'])} "
            "of memory at most. The same command goes on with a run that was stopped."
        ),
    )


def _alpha(document: dict[str, Any]) -> float:
    """Where on the way the model is from."""
    return document["alpha"]["chosen"] if "alpha" in document else 1.0


def _choosing(more: dict[str, Any]) -> float:
    """Seconds in which nothing but a method or alpha was chosen."""
    return more.get("auto", more.get("alpha", {})).get("seconds", 0.0)
