"""The report of a training run: learning curves, every epoch, and what to type again."""

from pathlib import Path
from typing import Any

from pipelines.runs import plots, report

CURVES = {
    "loss": "Loss",
    "val_loss": "Validation loss",
    "val_zero_shot_top1": "Zero-shot top-1",
    "temperature": "Temperature",
    "learning_rate": "Learning rate",
    "images_per_second": "Pictures/s",
}
PANELS = {
    "loss": {"training": "loss", "validation": "val_loss"},
    "zero-shot top-1, validation": {"": "val_zero_shot_top1"},
    "temperature": {"": "temperature"},
    "learning rate": {"": "learning_rate"},
}


def headline(results: dict[str, Any]) -> str:
    """How good the model is that a run ended with, in one sentence."""
    metrics = results["metrics"]
    epochs = f"epoch {metrics['epoch'] + 1} of {results['config']['epochs']}"
    if "val_zero_shot_top1" in metrics:
        return f"{report.percent(metrics['val_zero_shot_top1'])} zero-shot top-1 after {epochs}"
    name = "val_loss" if "val_loss" in metrics else "loss"
    return (
        f"{'Validation loss' if name == 'val_loss' else 'Loss'} {metrics[name]:.3f} after {epochs}"
    )


def summary(results: dict[str, Any]) -> str:
    """A run in a few lines for a terminal."""
    metrics, cost, devices = results["metrics"], results["cost"], results["devices"]
    rate, out, data = cost["pictures_per_second"], results["model"], results["config"]["data"]
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
            f"Measure it: python -m pipelines evaluate --data {data} --model {out} --out RUN",
        ]
    )


def page(results: dict[str, Any]) -> str:
    """The page of a training run, from the document that `outcome.write` makes."""
    import yaml

    history, cost = results["history"], results["cost"]
    shown = [key for key in CURVES if any(key in row for row in history)]
    panels = [
        {"title": title, "lines": {label: key for label, key in lines.items() if key in shown}}
        for title, lines in PANELS.items()
    ]
    return report.render(
        "train.html.j2",
        title=f"Training on {results['dataset']}: {results['model']}",
        headline=headline(results),
        results=results,
        curves=report.both_themes(
            plots.curves, history, [panel for panel in panels if panel["lines"]]
        ),
        columns=[CURVES[key] for key in shown],
        epochs=[
            {
                "number": row["epoch"] + 1,
                "chosen": row["epoch"] == results["metrics"]["epoch"],
                "values": [figure(key, row.get(key)) for key in shown],
            }
            for row in history
        ],
        command=report.command_line(results["command"], results["config"]),
        config=yaml.safe_dump(results["config"], sort_keys=False, allow_unicode=True),
        cost=(
            f"{results['steps']:,} steps took {cost['seconds']:,.0f} s at "
            f"{cost['pictures_per_second']:,.0f} pictures/s on {', '.join(results['devices'])}; "
            f"{cost['parameters']:,} parameters, {cost['peak_rss_bytes'] / 2**30:.1f} GiB of "
            "memory at most. The same command goes on with a run that was stopped."
        ),
    )


def figure(key: str, value: float | None) -> str:
    """A figure of an epoch, as text."""
    if value is None:
        return report.DASH
    if key.endswith(("top1", "among_all", "harmonic_mean", "map")):
        return report.percent(value)
    return f"{value:,.0f}" if key == "images_per_second" else f"{value:.4g}"
