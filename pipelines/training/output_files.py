"""Write the results of a finished training: model, metrics and page."""

from collections.abc import Collection
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from duet import atomic_files
from pipelines.reporting import number_format as reporting_text
from pipelines.reporting import page as reporting_page
from pipelines.runs import results, resume_check
from pipelines.runs.models import MODEL
from pipelines.training import plots as training_plots

if TYPE_CHECKING:
    import keras

    from pipelines.training.checkpoint import Checkpoint

PAGE = "report.html"


def write(
    out: Path,
    model: "keras.Model",
    options: Any,
    *,
    dataset: str,
    course: "Checkpoint",
    ends_with_best: bool,
    devices: list[str],
) -> dict[str, Any]:
    """Write `results.json`, `report.html` and, last, `model.keras`. Returns the results.

    Their `metrics` are the logs of the epoch that the model is from; `history` has all epochs.

    Args:
        out: folder of the run.
        model: as training left it.
        options: of the command.
        dataset: its name.
        course: the `Checkpoint` callback, with the history of the run.
        ends_with_best: whether the model is from the epoch with the lowest validation loss, not
            from the last one.
        devices: what it was trained on.
    """
    history = course.history
    watched = any("val_loss" in row for row in history)
    rates = [row["images_per_second"] for row in history if "images_per_second" in row]
    document = results.document(
        {
            "metrics": min(history, key=itemgetter("val_loss")) if ends_with_best else history[-1],
            "intervals": {},
            "per_class": [],
            "confusion_matrix": [],
        },
        command="train",
        dataset=dataset,
        split="validation" if watched else "train",
        model=str(out),
        judged_by="val_loss" if watched else "loss",
        cost={
            "seconds": course.seconds,
            "images_per_second": sum(rates) / max(len(rates), 1),
            "parameters": model.count_params(),
            "peak_rss_bytes": results.peak_rss_bytes(),
        },
        config=asdict(options),
        history=history,
        steps=course.step,
        devices=devices,
        **resume_check.noted(out),
        seed=options.seed,
    )
    with atomic_files.atomic(
        out / MODEL
    ) as unfinished:  # last: by it a run is known to be finished
        model.save(unfinished)
        results.write(out / results.FILE, document)
        atomic_files.write(out / PAGE, page(document))
    return document


CURVES = {
    "loss": "Loss",
    "val_loss": "Validation loss",
    "val_zero_shot_top1": "Zero-shot top-1",
    "temperature": "Temperature",
    "learning_rate": "Learning rate",
    "images_per_second": "Images/s",
}

PANELS = {
    "loss": {"training": "loss", "validation": "val_loss"},
    "zero-shot top-1, validation": {"": "val_zero_shot_top1"},
    "temperature": {"": "temperature"},
    "learning rate": {"": "learning_rate"},
}


def headline(results: dict[str, Any]) -> str:
    """Returns the final model's quality in one sentence."""
    metrics = results["metrics"]
    epochs = f"epoch {metrics['epoch'] + 1} of {results['config']['epochs']}"
    if "val_zero_shot_top1" in metrics:
        accuracy = reporting_text.percent(metrics["val_zero_shot_top1"])
        return f"{accuracy} zero-shot top-1 after {epochs}"
    name = "val_loss" if "val_loss" in metrics else "loss"
    return (
        f"{'Validation loss' if name == 'val_loss' else 'Loss'} {metrics[name]:.3f} after {epochs}"
    )


def summary(results: dict[str, Any], splits: Collection[str]) -> str:
    """Returns a summary of a run for a terminal; `splits` are those of its records."""
    metrics, cost, devices = results["metrics"], results["cost"], results["devices"]
    rate, out, data = cost["images_per_second"], results["model"], results["config"]["data"]
    speed = f"{results['steps']:,} steps in {cost['seconds']:,.0f} s, {rate:,.0f} images/s"
    if len(devices) > 1:
        speed += f" ({rate / len(devices):,.0f} on each of {', '.join(devices)})"
    losses = {"loss": "training loss", "val_loss": "validation loss"}
    shown = [f"{what} {metrics[name]:.4f}" for name, what in losses.items() if name in metrics]
    return "\n".join(
        [
            headline(results),
            ", ".join(shown),
            speed,
            f"Written to {out}; open {Path(out) / 'report.html'}",
            f"Measure it: python -m pipelines evaluate --data {quote(data)} --model {quote(out)} "
            "--out RUN"
            + ("" if "test" in splits else " --split validation" * ("validation" in splits)),
        ]
    )


def page(results: dict[str, Any]) -> str:
    """The page of a training run, from the document that `write` makes."""

    history, cost = results["history"], results["cost"]
    shown = [key for key in CURVES if any(key in row for row in history)]
    panels = training_plots.panels_of(PANELS, history)
    return reporting_page.of_run(
        "train.html.j2",
        results,
        title=f"Training on {results['dataset']}: {results['model']}",
        headline=headline(results),
        curves=reporting_page.plot(training_plots.curves(history, panels)),
        columns=[CURVES[key] for key in shown],
        epochs=[
            {
                "number": row["epoch"] + 1,
                "chosen": row["epoch"] == results["metrics"]["epoch"],
                "values": [figure(key, row.get(key)) for key in shown],
            }
            for row in history
        ],
        cost=(
            f"{results['steps']:,} steps took {cost['seconds']:,.0f} s at "
            f"{cost['images_per_second']:,.0f} images/s on {', '.join(results['devices'])}; "
            f"{cost['parameters']:,} parameters, "
            f"{reporting_text.gibibytes(cost['peak_rss_bytes'])} of memory at most. "
            "The same command goes on with a run that was stopped."
        ),
    )


def figure(key: str, value: float | None) -> str:
    """Formats a metric of an epoch."""
    if value is None:
        return reporting_text.DASH
    if key.endswith(("top1", "among_all", "harmonic_mean", "map")):
        return reporting_text.percent(value)
    return f"{value:,.0f}" if key == "images_per_second" else f"{value:.4g}"
