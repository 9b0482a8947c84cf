"""Draw a scene of `shapes` as a JPEG, with Pillow and NumPy."""

import functools
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tfrecords.sources.shapes.scene import BACKGROUNDS, COLOURS, SIZE, Group, Scene, Thing

SCALE = 2  # supersampling factor of masks, for smooth edges

JPEG_QUALITY = 90


def draw(scene: Scene | Group, seed: int) -> bytes:
    """Draws a scene as JPEG bytes; `seed` fixes shading, texture, clutter, blur and noise."""
    rng = np.random.default_rng(seed)
    wild = isinstance(scene, Scene) and scene.wild
    canvas = _background(rng, scene)
    if wild:
        canvas = _clutter(rng, canvas)
    for thing in scene.things:
        canvas = _paint(canvas, _mask(thing), _shade(rng, thing))
    if wild:
        canvas = _occlude(rng, canvas, scene.things[-1]) * rng.uniform(0.85, 1.0, size=3)
    return _photograph(rng, canvas, wild)


@functools.cache
def outline(shape: str) -> np.ndarray:
    """Returns the shape as an upright polygon [n, 2] in the unit circle, y downwards."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    a = 0.31  # half the width of the cross's arms
    arms = [(-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a)]
    heart = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    crescent = (np.linspace(0.7, 2 * np.pi - 0.7, 32), np.linspace(2 * np.pi - 1.11, 1.11, 32))
    outlines = {
        "circle": _polar(turn, 0.95),
        "ring": _polar(turn, 1.0),
        "square": np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.8,
        "triangle": _polar(np.arange(3) * 2 * np.pi / 3, 1.05),
        "star": _polar(np.arange(10) * np.pi / 5, np.where(np.arange(10) % 2, 0.42, 1.08)),
        "heart": np.stack([16 * np.sin(turn) ** 3, -heart - 2], axis=1) / 16,
        "cross": np.array(arms + [(-x, -y) for x, y in arms]),
        "crescent": np.concatenate([_polar(crescent[0]), _polar(crescent[1], 0.72) + (0, -0.45)]),
        "arrow": np.array(
            [(-1, -0.3), (0.1, -0.3), (0.1, -0.85), (1, 0), (0.1, 0.85), (0.1, 0.3), (-1, 0.3)]
        ),
        "drop": np.stack([np.sin(turn) * np.sin(turn / 2) ** 1.7 * 0.95, -np.cos(turn)], axis=1),
    }
    return outlines[shape]


def _polar(angles: np.ndarray, radii: np.ndarray | float = 1.0) -> np.ndarray:
    return np.stack([np.sin(angles) * radii, -np.cos(angles) * radii], axis=1)


def _mask(thing: Thing) -> np.ndarray:
    """Returns the coverage of each pixel by the thing, [SIZE, SIZE] in 0-1."""
    cos, sin = np.cos(thing.angle), np.sin(thing.angle)
    turned = outline(thing.shape) @ np.array([[cos, sin], [-sin, cos]])
    centre, radius = np.array([thing.x, thing.y]) * SCALE, thing.radius * SCALE
    points = [tuple(p) for p in turned * radius + centre]
    image = Image.new("L", (SIZE * SCALE, SIZE * SCALE))
    pen = ImageDraw.Draw(image)
    pen.polygon(points, fill=255)
    if thing.shape == "ring":
        pen.circle(tuple(centre), radius * 0.55, fill=0)
    if thing.fill != "solid":
        image = _hollow(image, thing)
    return np.asarray(image.reduce(SCALE), np.float32) / 255


def _hollow(image: Image.Image, thing: Thing) -> Image.Image:
    """Returns the outline of a filled mask, with hatching inside if the thing is hatched."""
    inside = image.filter(ImageFilter.MinFilter(4 * SCALE + 1))
    edge = Image.fromarray(np.asarray(image) - np.asarray(inside))
    if thing.fill == "outline":
        return edge
    y, x = np.mgrid[: image.height, : image.width]
    stripes = (x * np.cos(thing.angle * 3) + y * np.sin(thing.angle * 3)) % (4.5 * SCALE)
    hatch = np.where(stripes < 2.4 * SCALE, np.asarray(image), 0).astype(np.uint8)
    return Image.fromarray(np.maximum(np.asarray(edge), hatch))


def _shade(rng: np.random.Generator, thing: Thing) -> np.ndarray:
    """Returns the thing's colour with jitter and soft side light, [SIZE, SIZE, 3]."""
    colour = np.array(COLOURS[thing.colour], np.float32) + rng.normal(0, 6, size=3)
    return colour * _slope(rng, 0.88, 1.06)[..., None]


def _slope(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Returns a linear ramp across the image in a random direction, [SIZE, SIZE]."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) - 0.5
    ramp = (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(2) + 0.5
    return (low + (high - low) * ramp).astype(np.float32)


def _paint(canvas: np.ndarray, mask: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return canvas + mask[..., None] * (colour - canvas)


def _background(rng: np.random.Generator, scene: Scene | Group) -> np.ndarray:
    tone = np.array(BACKGROUNDS[scene.background], np.float32) + rng.normal(0, 8, size=3)
    second = tone * rng.choice([0.84, 1.16])
    canvas = np.broadcast_to(tone, (SIZE, SIZE, 3))
    canvas = _paint(canvas, _pattern(rng, scene.pattern), second)
    return canvas * _slope(rng, 0.85, 1.1)[..., None]


def _pattern(rng: np.random.Generator, pattern: str) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] + rng.uniform(0, 16, size=(2, 1, 1))
    step = rng.uniform(8, 14)
    if pattern == "striped":
        angle = rng.uniform(0, np.pi)
        return ((x * np.cos(angle) + y * np.sin(angle)) % step < step / 2).astype(np.float32)
    if pattern == "checked":
        return ((x // step + y // step) % 2).astype(np.float32)
    if pattern == "dotted":
        return (np.hypot(x % step - step / 2, y % step - step / 2) < step / 4).astype(np.float32)
    return np.zeros((SIZE, SIZE), np.float32)


def _clutter(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Draws a few thin lines and specks in random colours."""
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 4)):
        ends = [tuple(p) for p in rng.uniform(0, SIZE, size=(2, 2))]
        pen.line(ends, fill=tuple(map(int, rng.integers(0, 256, 3))), width=1)
    for _ in range(rng.integers(1, 5)):
        centre, radius = tuple(rng.uniform(0, SIZE, size=2)), rng.uniform(1, 2.5)
        pen.circle(centre, radius, fill=tuple(map(int, rng.integers(0, 256, 3))))
    return np.asarray(image, np.float32)


def _occlude(rng: np.random.Generator, canvas: np.ndarray, thing: Thing) -> np.ndarray:
    """Covers up to a sixth of the thing with a grey bar, in a third of the images."""
    if rng.random() < 2 / 3:
        return canvas
    offset = rng.uniform(-0.8, 0.8) * thing.radius
    width = rng.uniform(0.1, 0.3) * thing.radius
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:SIZE, :SIZE]
    along = (x - thing.x) * np.cos(angle) + (y - thing.y) * np.sin(angle)
    bar = (np.abs(along - offset) < width / 2).astype(np.float32)
    return _paint(canvas, bar, np.full(3, rng.uniform(60, 200), np.float32))


def _photograph(rng: np.random.Generator, canvas: np.ndarray, wild: bool) -> bytes:
    """Adds blur and sensor noise, and encodes as JPEG."""
    noisy = canvas + rng.normal(0, rng.uniform(1, 9 if wild else 6), size=canvas.shape)
    image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.9)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
