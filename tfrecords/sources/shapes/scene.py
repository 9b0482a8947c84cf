"""The content of an image of `shapes`: one or several things, and a background."""

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

    @property
    def things(self) -> tuple[Thing, ...]:
        """All things, in drawing order."""
        return (self.distractor, self.thing) if self.distractor else (self.thing,)


@dataclass(frozen=True)
class Group:
    """Several non-overlapping things on a background."""

    things: tuple[Thing, ...]
    background: str
    pattern: str


def random_group(rng: np.random.Generator) -> Group:
    """Returns one to four random things; any that does not fit is left out."""
    things: list[Thing] = []
    for _ in range(rng.integers(1, 5)):
        shape, colour = str(rng.choice(SHAPES)), str(rng.choice(list(COLOURS)))
        radius, angle = rng.uniform(8, 13), rng.uniform(-0.4, 0.4)
        fill = _fill(rng, shape, wild=False)
        for x, y in rng.uniform(radius, SIZE - radius, size=(20, 2)):
            if all(np.hypot(x - t.x, y - t.y) > radius + t.radius for t in things):
                things.append(Thing(shape, colour, x, y, radius, angle, fill))
                break
    return Group(
        things=tuple(things),
        background=_background(rng, *(thing.colour for thing in things)),
        pattern=str(rng.choice(PATTERNS, p=[0.4, 0.2, 0.2, 0.2])),
    )


def random_scene(rng: np.random.Generator, *, shape: str, colour: str, wild: bool) -> Scene:
    """Returns a scene with a `colour` `shape`; everything else is random."""
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
    """Returns a random fill, mostly solid; never an outlined circle, which is a ring."""
    hollow = 0.2 if wild else 0.1
    outline, hatched = (0, 2 * hollow) if shape == "circle" else (hollow, hollow)
    return str(rng.choice(FILLS, p=[1 - 2 * hollow, outline, hatched]))


def _distractor(rng: np.random.Generator, thing: Thing) -> Thing | None:
    """Returns a much smaller, separate thing of another shape and colour; None if no room."""
    shape = str(rng.choice([name for name in SHAPES if name != thing.shape]))
    colour = str(rng.choice([name for name in COLOURS if name != thing.colour]))
    radius = rng.uniform(5, 7)
    for _ in range(12):
        x, y = rng.uniform(radius, SIZE - radius, size=2)
        if np.hypot(x - thing.x, y - thing.y) > thing.radius + radius:
            return Thing(shape, colour, x, y, radius, rng.uniform(-0.4, 0.4))
    return None


def _background(rng: np.random.Generator, *colours: str) -> str:
    """Returns a background tone clearly distinct from the colours, or if none is, the tone
    with the largest minimum distance to them."""
    contrast = {
        name: min(int(np.abs(np.subtract(tone, COLOURS[c])).sum()) for c in colours)
        for name, tone in BACKGROUNDS.items()
    }
    enough = min(150, max(contrast.values()) - 1)
    return str(rng.choice([name for name in BACKGROUNDS if contrast[name] > enough]))
