"""The data sets `shapes` and `shapes-wild`: images of coloured shapes, drawn from a seed.

Ten shapes in ten colours are 100 classes ("red star"). `shapes` is for pretraining: solid shapes
with free-form captions that also name size, place, background and distractor. `shapes-wild` is a
downstream task: the same classes in another style (outlines, hatching, colour casts, clutter,
occlusion), with 5 % wrong labels in train.

Image `i` of a split depends only on (style, seed, split, i), so any process can draw any range
of a split, and the same seed gives the same bytes.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tfrecords.schema import RawExample
from tfrecords.sources.shapes.captions import captions
from tfrecords.sources.shapes.drawing import draw
from tfrecords.sources.shapes.scene import COLOURS, SHAPES, random_scene

WRONG_LABELS = 0.05  # share of wrong labels in the train split of `shapes-wild`

STYLES = ("shapes", "shapes-wild")

SPLITS = ("train", "validation", "test")

COUNTS = {"train": 20_000, "validation": 1_000, "test": 2_000}

CLASS_NAMES = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)

# Each shape and each colour occurs once here, and in nine of the other classes.
HELD_OUT = tuple(f"{list(COLOURS)[(3 * i + 1) % 10]} {shape}" for i, shape in enumerate(SHAPES))

TEMPLATES = ("the {}", "one {}", "a picture of the {}", "this is the {}")


class Drawn:
    """Counts by split, and images that are drawn one by one."""

    counts: dict[str, int]
    lossless = False

    def __post_init__(self) -> None:
        for split, count in self.counts.items():
            if split not in SPLITS or count < 1:
                raise ValueError(
                    f"counts: expected positive numbers for any of {', '.join(SPLITS)}; "
                    f"got {split}={count}"
                )

    @property
    def splits(self) -> dict[str, int]:
        return dict(self.counts)

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        """Yields images `start` to `stop` of a split; each is drawn when its `load` is called."""
        return (self._example(split, index) for index in range(start, stop))

    def _example(self, split: str, index: int) -> RawExample:
        raise NotImplementedError


@dataclass(frozen=True)
class ShapesSource(Drawn):
    """A source of `counts[split]` drawn images per split.

    Args:
        style: `"shapes"` or `"shapes-wild"`.
        seed: any non-negative integer; the same seed draws the same bytes.
        counts: images per split, of `train`, `validation` and `test`.

    Raises:
        ValueError: for an unknown style or split, or a count below one.
    """

    style: str = "shapes"
    seed: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict(COUNTS))

    class_names = CLASS_NAMES
    templates = TEMPLATES
    metric = "top1"

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise ValueError(f"style: expected one of {', '.join(STYLES)}; got {self.style!r}")
        super().__post_init__()

    @property
    def name(self) -> str:
        return self.style

    def describe(self) -> dict[str, object]:
        return {"kind": "shapes", "style": self.style, "seed": self.seed, "counts": self.counts}

    def _example(self, split: str, index: int) -> RawExample:
        wild = self.style == "shapes-wild"
        rng = np.random.default_rng(self._entropy(split, index))
        truth = self._label(split, index)
        colour, shape = CLASS_NAMES[truth].split()
        scene = random_scene(rng, shape=shape, colour=colour, wild=wild)
        texts = () if wild else captions(rng, scene)
        label: int | None = truth
        if wild and split == "train" and rng.random() < WRONG_LABELS:
            label = (truth + int(rng.integers(1, 100))) % 100
        if not wild and split == "train":
            label = None  # pretraining uses only captions
        load = functools.partial(draw, scene, int(rng.integers(2**63)))
        return RawExample(f"{split}/{index:06d}.jpg", load, label, texts)

    def _entropy(self, split: str, index: int) -> tuple[int, ...]:
        return (self.seed, STYLES.index(self.style), SPLITS.index(split), index)

    def _label(self, split: str, index: int) -> int:
        """Returns the label: every hundred consecutive images show each class once, shuffled."""
        block, place = divmod(index, 100)
        return int(_order((*self._entropy(split, block), 1))[place])


@functools.lru_cache(maxsize=64)
def _order(entropy: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(entropy).permutation(len(CLASS_NAMES))
