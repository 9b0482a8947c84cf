"""The multi-label data set `shapes-multi`: several things per image.

An image shows one to four things side by side; its labels are the shapes and colours that occur
in it, twenty classes in all. Labels do not say which colour belongs to which shape: an image
labelled star and red need not show a red star.
"""

import functools
from dataclasses import dataclass, field

import numpy as np

from tfrecords.schema import RawExample
from tfrecords.sources.shapes.drawing import draw
from tfrecords.sources.shapes.scene import COLOURS, SHAPES, Group, random_group
from tfrecords.sources.shapes.source import SPLITS, Drawn

COUNTS = {"train": 4_000, "validation": 500, "test": 1_000}

CLASS_NAMES = (*SHAPES, *COLOURS)

TEMPLATES = ("the {}", "one {}", "an image with {}")

_STYLE = 2  # separates its random numbers from those of `shapes.source`


@dataclass(frozen=True)
class ShapesMultiSource(Drawn):
    """A source of `counts[split]` drawn images per split; image i depends only on
    (seed, split, i).

    Args:
        seed: any non-negative integer; the same seed draws the same bytes.
        counts: images per split, of `train`, `validation` and `test`.

    Raises:
        ValueError: for an unknown split, or a count below one.
    """

    seed: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict(COUNTS))

    name = "shapes-multi"
    class_names = CLASS_NAMES
    templates = TEMPLATES
    metric = "map"
    multi_label = True

    def describe(self) -> dict[str, object]:
        return {"kind": "shapes", "style": self.name, "seed": self.seed, "counts": self.counts}

    def _example(self, split: str, index: int) -> RawExample:
        rng = np.random.default_rng((self.seed, _STYLE, SPLITS.index(split), index))
        group = random_group(rng)
        load = functools.partial(draw, group, int(rng.integers(2**63)))
        return RawExample(f"{split}/{index:06d}.jpg", load, _labels(group))


def _labels(group: Group) -> tuple[int, ...]:
    seen = {thing.shape for thing in group.things} | {thing.colour for thing in group.things}
    return tuple(i for i, name in enumerate(CLASS_NAMES) if name in seen)
