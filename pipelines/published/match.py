"""Match a run with published figures, and test whether they agree.

They agree where they differ by no more than the larger of 1.5 points, and three standard errors of
the published figure on the test images plus its published deviation over seeds. The deviation is
added once, and not put under the root with the error: three times the deviation of three seeds
would let nearly everything pass.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipelines.published.allowed_terms import ALL, MEASURES, PROMPTS
from pipelines.published.run_metrics import Measured
from pipelines.published.table import Figure, Split, datasets
from tfrecords import DATASETS

POINTS, ERRORS = 1.5, 3  # the least tolerance, and standard errors
ALIKE = 0.01  # share of the images that may be missing: some files cannot be read
PLAIN = ("a photo of a {}.",)  # of a set that has no prompts
OVER_CLASSES = ("mean_per_class", "macro_f1")


@dataclass(frozen=True)
class Comparison:
    """A run beside a published figure.

    Attributes:
        figure: the published one.
        ours: per cent; None where the run does not measure it.
        reasons: why they cannot be compared: the published is, in words, ...; () where they can.
        tolerance: in points.
        part: how much of the split was measured, in words; "" for all of it.
    """

    figure: Figure
    ours: float | None
    reasons: tuple[str, ...]
    tolerance: float
    part: str = ""

    @property
    def difference(self) -> float | None:
        """Ours less the published, in points; None where they cannot be compared."""
        if self.reasons or self.ours is None:
            return None
        return self.ours - self.figure.value

    @property
    def inside(self) -> bool | None:
        """Whether they agree; None where they cannot be compared."""
        if self.difference is None:
            return None
        return abs(self.difference) <= self.tolerance + 1e-9  # 1.5 of 85.5 less 84 is inside


def compare(found: Measured, figures: Iterable[Figure]) -> list[Comparison]:
    """The run beside every figure of its set, model and method, the most alike first."""
    same = [
        figure
        for figure in figures
        if (figure.dataset, figure.model, figure.method)
        == (found.dataset, found.model, found.method)
    ]
    return sorted((_compare(found, figure) for figure in same), key=_unlike)


def _unlike(compared: Comparison) -> tuple[int, bool]:
    return len(compared.reasons), bool(compared.figure.not_comparable)


def _compare(found: Measured, figure: Figure) -> Comparison:
    split = datasets()[figure.dataset].splits.get(figure.split, Split(names=()))
    reasons = tuple(reason for check in CHECKS if (reason := check(found, figure, split)))
    ours = found.figures.get(figure.measure)
    within = tolerance(found, figure, split)
    is_part = 0 < found.images < (1 - ALIKE) * split.images and found.held_out == "none"
    part = f"{found.images:,} of {split.images:,} images" if is_part else ""
    return Comparison(figure, None if ours is None else 100 * ours, reasons, within, part)


def tolerance(found: Measured, figure: Figure, split: Split) -> float:
    """By how many points the two may differ; see the module.

    The standard error is that of a share as large as the published figure: sqrt(p (1 - p) / n) over
    n images, and of a mean over classes sqrt(sum_c p (1 - p) / n_c) / C. Where the run does not say
    how many images it measured, they are taken to be those of the published split.
    """
    variance = figure.value / 100 * (1 - figure.value / 100)
    counts = [count for count in found.counts if count]
    if figure.measure in OVER_CLASSES and counts:
        variance *= sum(1 / count for count in counts) / len(counts) ** 2
    else:
        images = found.images or split.images
        variance = variance / images if images else 0.0
    return max(POINTS, ERRORS * 100 * math.sqrt(variance) + figure.deviation)


def _itself(found: Measured, figure: Figure, split: Split) -> str:
    return figure.not_comparable


def _run_itself(found: Measured, figure: Figure, split: Split) -> str:
    return f"for {found.unusual}" if found.unusual else ""


def _shots(found: Measured, figure: Figure, split: Split) -> str:
    if found.shots == figure.shots:
        return ""
    many = f"{figure.shots} training image{'' if figure.shots == 1 else 's'} per class"
    published = "every training image" if figure.shots == ALL else many
    ours = "every one" if found.shots == ALL else f"{found.shots} per class"
    return f"for {published}, not {ours}"


def _split(found: Measured, figure: Figure, split: Split) -> str:
    """Another split by its name, or by how many images and classes there are."""
    if found.split not in split.names:
        return f"for split {' or '.join(split.names)}, not {found.split}"
    half = -(-split.classes // 2)
    if found.classes and split.classes and found.classes != split.classes:
        return f"for {split.classes} classes, not {found.classes}"
    if not found.classes and found.learnt and split.classes and found.learnt != half:
        return f"for {half} classes to learn, not {found.learnt}"
    if found.held_out != "none":
        return ""  # images are those of the classes learnt
    if found.images and split.images and not _same_images(found, figure, split):
        whose = "" if split.published else " of CoOp's own test split"
        return f"for {split.images:,} images{whose}, not {found.images:,}"
    if missing := found.counts.count(0):
        return f"for all classes; {missing} of {len(found.counts)} have no test image here"
    return ""


def _same_images(found: Measured, figure: Figure, split: Split) -> bool:
    """All images of the split, or some of them: as many as another split has is that one."""
    if abs(found.images - split.images) <= ALIKE * split.images:
        return True
    others = {each.images for each in datasets()[figure.dataset].splits.values()}
    return split.published and found.images < split.images and found.images not in others


def _held_out(found: Measured, figure: Figure, split: Split) -> str:
    words = {
        "none": "no class held out",
        "half": "half of the classes held out as in CoOp's protocol",
        "some": "some classes held out",
    }
    if found.held_out == figure.held_out:
        return ""
    return f"with {words[figure.held_out]}, not with {words[found.held_out]}"


def _prompts(found: Measured, figure: Figure, split: Split) -> str:
    """Where texts decide: what learns from all images, or learns its prompts, is let through."""
    if figure.prompts in ("any", "learnt"):
        return ""
    if figure.prompts in ("unstated", "cupl"):
        return f"with {PROMPTS[figure.prompts]}"
    known = DATASETS.get(found.dataset)
    own = (known.templates if known else ()) or PLAIN
    ours = found.templates or own
    if figure.prompts == "ensemble":
        count = datasets()[figure.dataset].templates or len(own)
        same = _plain(ours) == _plain(own) if len(own) == count else len(ours) == count
        published = f"the {count} prompts of the set" if count > 1 else f'prompt "{own[0]}"'
    else:
        text = datasets()[figure.dataset].coop if figure.prompts == "coop" else figure.prompts
        same, published = _plain(ours) == _plain((text,)), f'prompt "{text}"'
    said = f'"{ours[0]}"' if len(ours) == 1 else f"{len(ours)} others"
    return "" if same else f"with {published}, not {said}"


def _plain(templates: Iterable[str]) -> list[str]:
    """In any order, and in small letters, as CLIP's tokenizer reads them."""
    return sorted(" ".join(text.lower().split()) for text in templates)


def _settings(found: Measured, figure: Figure, split: Split) -> str:
    unlike = [
        f"{name} {_said(value)} (not {_said(found.settings.get(name))})"
        for name, value in figure.settings.items()
        if found.settings.get(name) != value
    ]
    return f"with {' and '.join(unlike)}" if unlike else ""


def _said(value: object) -> str:
    return "by default" if value is None else str(value)


def _measure(found: Measured, figure: Figure, split: Split) -> str:
    if figure.measure in found.figures:
        return ""
    return f"the {MEASURES[figure.measure]}, which this run did not measure"


CHECKS: tuple[Callable[[Measured, Figure, Split], str], ...] = (
    _itself,
    _run_itself,
    _shots,
    _split,
    _held_out,
    _prompts,
    _settings,
    _measure,
)
