"""What is in one picture of the miniature world: a thing, perhaps a distractor, a background."""

from dataclasses import dataclass

import numpy as np

SIZE = 64  # pixels, height and width

COLOURS = {
    "red": (214, 32, 38),
    "orange": (252, 128, 14),
    "yellow": (250, 224, 40),
    "green": (40, 160, 60),
    "blue": (38, 84, 214),
    "purple": (128, 46, 170),
    "pink": (252, 138, 186),
    "brown": (112, 66, 28),
    "white": (248, 248, 248),
    "black": (22, 22, 24),
}
SHAPES = (
    "circle", "square", "triangle", "star", "heart",
    "cross", "ring", "crescent", "arrow", "drop",
)  # fmt: skip
BACKGROUNDS = {
    "light": (216, 214, 206),
    "dark": (58, 60, 66),
    "grey": (138, 140, 142),
    "sandy": (202, 178, 130),
    "bluish": (140, 172, 204),
    "greenish": (150, 186, 146),
}
PATTERNS = ("plain", "striped", "dotted", "checked")
FILLS = ("solid", "outline", "hatched")


@dataclass(frozen=True)
class Thing:
    """One drawn object; centre and radius in pixels, angle in radians."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    angle: float
    fill: str = "solid"


@dataclass(frozen=True)
class Scene:
    """A thing on a background; `wild` adds colour cast, clutter and occlusion when drawn."""

    thing: Thing
    distractor: Thing | None
    background: str
    pattern: str
    wild: bool = False


def random_scene(rng: np.random.Generator, *, shape: str, colour: str, wild: bool) -> Scene:
    """A scene whose thing is a `colour` `shape`; all else is drawn by lot."""
    radius = rng.uniform(13, 24)
    x, y = rng.uniform(radius * 0.9, SIZE - radius * 0.9, size=2)
    fill = _fill(rng, shape, wild=wild)
    thing = Thing(shape, colour, x, y, radius, rng.uniform(-0.4, 0.4), fill)
    return Scene(
        thing=thing,
        distractor=_distractor(rng, thing) if rng.random() < 0.5 else None,
        background=_background(rng, colour),
        pattern=str(rng.choice(PATTERNS, p=[0.4, 0.2, 0.2, 0.2])),
        wild=wild,
    )


def _fill(rng: np.random.Generator, shape: str, *, wild: bool) -> str:
    """Mostly solid. Never the outline of a circle, which is a ring."""
    hollow = 0.2 if wild else 0.1
    outline, hatched = (0, 2 * hollow) if shape == "circle" else (hollow, hollow)
    return str(rng.choice(FILLS, p=[1 - 2 * hollow, outline, hatched]))


def _distractor(rng: np.random.Generator, thing: Thing) -> Thing | None:
    """A much smaller thing of another shape and colour, clear of the first; None if no room."""
    shape = str(rng.choice([name for name in SHAPES if name != thing.shape]))
    colour = str(rng.choice([name for name in COLOURS if name != thing.colour]))
    radius = rng.uniform(5, 7)
    for _ in range(12):
        x, y = rng.uniform(radius, SIZE - radius, size=2)
        if np.hypot(x - thing.x, y - thing.y) > thing.radius + radius:
            return Thing(shape, colour, x, y, radius, rng.uniform(-0.4, 0.4))
    return None


def _background(rng: np.random.Generator, colour: str) -> str:
    """A tone far enough from the thing's colour that a person can tell them apart."""
    contrast = {
        name: int(np.abs(np.subtract(tone, COLOURS[colour])).sum())
        for name, tone in BACKGROUNDS.items()
    }
    return str(rng.choice([name for name in BACKGROUNDS if contrast[name] > 150]))
