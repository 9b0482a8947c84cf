"""The metrics of a run, named as in the table of published figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.published.allowed_terms import ALL


@dataclass(frozen=True)
class Measured:
    """Figures of one model and method on one split.

    Attributes:
        dataset, model, method, split: names.
        shots: images per class that were learnt from; 0 for none, "all" for every one.
        figures: by measure, fractions of 1; means over seeds.
        templates: prompts with {} for the class name; None for the set's own.
        counts: test images of each class learnt; () where that is not known.
        images: of these classes; 0 where that is not known.
        classes: of the set; learnt: those that are not held out; 0 where that is not known.
        held_out: "none", "half" of the classes as in CoOp's protocol, or "some".
        settings: options of the run.
        unusual: what else makes it unlike every published figure, which is, in words, for ...
    """

    dataset: str
    model: str
    method: str
    split: str
    shots: int | str
    figures: Mapping[str, float]
    templates: tuple[str, ...] | None = None
    counts: tuple[int, ...] = ()
    images: int = 0
    classes: int = 0
    learnt: int = 0
    held_out: str = "none"
    settings: Mapping[str, Any] = field(default_factory=dict)
    unusual: str = ""

    def __str__(self) -> str:
        few = f", {self.shots} shot{'' if self.shots == 1 else 's'}"
        shots = {0: "", ALL: ", all training images"}.get(self.shots, few)
        away = "" if self.held_out == "none" else f", {self.held_out} of the classes held out"
        return f"{self.dataset}, {self.model}, {self.method}{shots}{away}"


def on_all_classes(found: Measured) -> list[Measured]:
    """What was measured, and of zero-shot with held-out classes its accuracy on all of them.

    Zero-shot learns no class, so that figure is the one of a run that holds none out.
    """
    whole = found.figures.get("generalized_top1")
    if found.method != "zero-shot" or found.held_out == "none" or whole is None:
        return [found]
    of_all = replace(found, held_out="none", figures={"top1": whole}, images=0, counts=())
    return [found, of_all] if found.held_out == "half" else [of_all]


def checkpoint(name: str) -> str:
    """The checkpoint that a name, a tag of OpenCLIP or a repository stands for; else the name."""
    if "/" not in name:
        return name
    from pipelines.runs import runtime

    runtime.import_tensorflow()  # Keras does, and would let it greet
    from dual_encoder import CHECKPOINTS

    plain = name.removeprefix("hf://")
    same = (
        key
        for key, row in CHECKPOINTS.items()
        if plain in (row.tag, row.repository, f"openai/{key}")  # where OpenAI publishes its own
    )
    return next(same, name)
