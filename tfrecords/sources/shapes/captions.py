"""Free-form captions of a scene, from a small grammar.

caption    = opening subject [place] [background] [company]
subject    = article [size] colour shape
place      = "in the top left corner" | "at the bottom" | "in the middle" ...
background = "on a dark striped background"
company    = "next to a small blue ring"
"""

import numpy as np

from tfrecords.sources.shapes.scene import SIZE, Scene, Thing

OPENINGS = ("", "", "", "a picture of ", "a drawing of ", "there is ", "this is ", "i see ")

ARTICLES = ("a", "the", "one")

NEAR = ("next to", "and", "with", "beside")

SIZES = ((15.5, ("small", "little")), (19.5, ("medium", "")), (SIZE, ("large", "big")))


def captions(rng: np.random.Generator, scene: Scene, *, count: int = 2) -> tuple[str, ...]:
    """Returns `count` captions of a scene, each with colour, shape and some other details."""
    return tuple(_caption(rng, scene) for _ in range(count))


def _caption(rng: np.random.Generator, scene: Scene) -> str:
    parts = [_subject(rng, scene.thing, size=_size(rng, scene.thing))]
    if rng.random() < 0.3:
        parts.append(_place(scene.thing))
    if rng.random() < 0.3:
        tone = f"{scene.background} {scene.pattern}".removesuffix(" plain")
        parts.append(f"on a {tone} background")
    if scene.distractor and rng.random() < 0.4:
        parts.append(f"{rng.choice(NEAR)} {_subject(rng, scene.distractor, size='small')}")
    return str(rng.choice(OPENINGS)) + " ".join(parts)


def _subject(rng: np.random.Generator, thing: Thing, *, size: str) -> str:
    article = str(rng.choice(ARTICLES))
    words = " ".join(filter(None, (size, thing.colour, thing.shape)))
    return f"{'an' if article == 'a' and words[0] == 'o' else article} {words}"


def _size(rng: np.random.Generator, thing: Thing) -> str:
    if rng.random() < 0.5:
        return ""
    return str(rng.choice(next(words for limit, words in SIZES if thing.radius < limit)))


def _place(thing: Thing) -> str:
    row = ("top", "", "bottom")[int(thing.y * 3 / SIZE)]
    column = ("left", "", "right")[int(thing.x * 3 / SIZE)]
    if row and column:
        return f"in the {row} {column} corner"
    return f"at the {row}" if row else f"on the {column}" if column else "in the middle"
