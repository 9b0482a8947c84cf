"""Average the weights of finished runs of several seeds, in place of training: Model Stock."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dual_encoder
from dual_encoder.training import weight_interpolation
from pipelines.finetuning import model as finetuning_model
from pipelines.finetuning import seen_unseen_monitor
from pipelines.finetuning.model import Adapted
from pipelines.methods.registry import METHODS, keeps_start
from pipelines.runs import models, results
from pipelines.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from pipelines.finetuning.data import Labelled
    from pipelines.finetuning.options import Options

FIGURE = "val_seen_top1"  # of the last pass, by which a method is chosen

ALIKE = ("data", "model", "templates", "weights", "image_size")  # options of the runs and of this


def average(
    options: "Options", data: "Labelled", *, out: Path, claim: Callable[[], None]
) -> tuple[Adapted, Checkpoint, dict[str, Any]]:
    """The model of the runs' method, its weights between their mean and the untouched ones.

    Of several methods it is the one whose runs have the best mean accuracy on validation, of
    equals the cheapest. The cost is that of all its runs. See `dual_encoder.model_stock`.

    Args:
        options: of the command; `stock` has a folder of each method, with its runs in `seed-*`.
        data: that the runs learnt from.
        out: folder of the run.
        claim: called once it is sure that the run can begin; nothing is written before.

    Raises:
        ValueError: no method with two finished runs, or a run of other images, another model, or a
            method that does not end with all of the model's weights, trained from their start.
    """
    asked = [_finished(Path(folder), options, data) for folder in options.stock or ()]
    several = [runs for runs in asked if len(runs) > 1]
    if not several:
        raise ValueError(
            "--stock: expected a folder with two or more finished runs, seed-1, seed-2 and so on; "
            f"got {', '.join(options.stock or ())}"
        )
    runs = max(several, key=_on_validation)
    own = runs[0]["config"]
    claim()
    source = finetuning_model.source(options)
    head = dataclasses.replace(options, head=own["head"])
    made = finetuning_model.prepare(source, METHODS[runs[0]["method"]], data, head)
    start = weight_interpolation.weights(made.model)
    tuned = [
        weight_interpolation.weights(models.load(f"{run['model']}/{models.MODEL}")) for run in runs
    ]
    found = dual_encoder.model_stock(start, tuned)
    weight_interpolation.interpolate(made.model, start, found, alpha=1)
    course = Checkpoint(out / "checkpoints", steps_per_epoch=data.steps)
    course.seconds = sum(run["cost"]["seconds"] for run in runs)
    course.history = [{"epoch": 0, **seen_unseen_monitor.Forgetting(made).measure()}]
    seeds = [run["config"]["seed"] for run in runs]
    return made, course, {"stock": {"method": Path(runs[0]["model"]).parent.name, "seeds": seeds}}


def _finished(folder: Path, options: "Options", data: "Labelled") -> list[dict[str, Any]]:
    """The results of a method's runs, each checked; its folder as `model`."""
    paths = sorted(each.parent for each in folder.glob(f"seed-*/{results.FILE}"))
    found = [{**results.read(path), "model": str(path)} for path in paths]
    for path, run in zip(paths, found, strict=True):
        method, given = str(run.get("method")), run["config"]
        if method not in METHODS or not keeps_start(method, given):
            raise ValueError(
                f"--stock: expected runs that train all of a model from its class names, such as "
                f"paint, flyp or zero-shot-head; {path} is of {method}"
            )
        for name in ALIKE:
            if given.get(name) != getattr(options, name):
                raise ValueError(
                    f"--stock: {path} has {name} {given.get(name)!r}, "
                    f"not {getattr(options, name)!r}"
                )
        if run["parts"] != data.parts.to_json():
            raise ValueError(
                f"--stock: {path} divides the images otherwise; expected the same --held-out, "
                "--validation and --split-seed"
            )
    return found


def _on_validation(runs: list[dict[str, Any]]) -> tuple[float, float]:
    """Mean accuracy of runs at their end, and what they did not cost."""
    right = sum(run["history"][-1].get(FIGURE, 0.0) for run in runs) / len(runs)
    return right, -sum(run["cost"]["seconds"] for run in runs) / len(runs)
