"""What a run's options stand for once its data are known: its method, and its way back."""

import dataclasses
from typing import TYPE_CHECKING

from pipelines.finetuning.options import Options
from pipelines.methods.registry import METHODS, taken_by
from pipelines.runs import help_groups, rerun_command

if TYPE_CHECKING:
    from pipelines.finetuning.data import Labelled

GOES_BACK = ("zero-shot", "text", "projection")  # of a model that knows all classes from the start

SEVERAL_LABELS = "text-probe"  # what `auto` is for a dual encoder and images with several classes


def settled(options: Options, data: "Labelled") -> Options:
    """The options with what `auto` stands for; raises ValueError for what cannot be together."""
    method, wise_ft, several = options.method, options.wise_ft, data.manifest.multi_label
    if method == "auto":
        if _kind(options.model) != "dual-encoder":
            method = "full"
        elif several:
            method = SEVERAL_LABELS
        else:
            method, wise_ft = "projection-ft", wise_ft or "choose"
    wise_ft = wise_ft or "no"
    if wise_ft == "choose" and several:
        raise ValueError(
            f"--wise-ft choose sets classes aside; images of {data.manifest.dataset} have "
            "several each: expected no or curve"
        )
    if wise_ft != "no" and METHODS[method].head not in GOES_BACK:
        ways = [name for name in taken_by("finetune") if METHODS[name].head in GOES_BACK]
        raise ValueError(
            f"--wise-ft {wise_ft}: {method} starts from a new head, with nothing to go back to; "
            f"expected --method {', '.join(ways)}"
        )
    if wise_ft != "no" and (options.head or METHODS[method].head) not in GOES_BACK:
        asked = f"--wise-ft {wise_ft}" if options.wise_ft else f"--method {options.method}"
        raise ValueError(
            f"{asked} goes back to the zero-shot head, and --head {options.head} starts anew; "
            "expected one of them"
        )
    tries_rows = options.method == "auto" and options.wise_ft is None and method != "full"
    if options.views > 1 and not METHODS[method].takes_views and not tries_rows:
        taken = [name for name in taken_by("finetune") if METHODS[name].takes_views]
        raise ValueError(
            f"--views goes with methods that learn from cached features: {', '.join(taken)}, auto; "
            f"got {method}, {METHODS[method].without_views}"
        )
    return dataclasses.replace(options, method=method, wise_ft=wise_ft)


def say_unused(options: Options) -> None:
    """Print which options of a training are given to a method that learns in no steps."""
    steps = {*help_groups.GROUPS["training"].split()} - {"class_weight", "seed"}
    given = [
        rerun_command.flag(each.name)
        for each in dataclasses.fields(options)
        if each.name in steps and getattr(options, each.name) != each.default
    ]
    if given:
        print(f"{options.method} has no training steps, which {', '.join(given)} would change.")


def _kind(name: str) -> str:
    """Whether a model of that name reads texts, as the table has it or as it turns out."""
    import dual_encoder

    if dual_encoder.image_tower_name(name) or dual_encoder.is_hub_preset(name):
        return "image-tower"
    if name in dual_encoder.CHECKPOINTS:
        return dual_encoder.CHECKPOINTS[name].kind
    is_dual = isinstance(dual_encoder.load(name), dual_encoder.DualEncoder)
    return "dual-encoder" if is_dual else "image-encoder"
