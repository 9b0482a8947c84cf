"""The miniature world: what is drawn, what is said about it, and that a seed fixes both."""

import hashlib
import io
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tfrecords.sources.shapes.captions import captions
from tfrecords.sources.shapes.drawing import outline
from tfrecords.sources.shapes.scene import COLOURS, SHAPES, SIZE, Scene, Thing, random_scene
from tfrecords.sources.shapes.source import CLASS_NAMES, HELD_OUT, STYLES, TEMPLATES, ShapesSource

COUNTS = {"train": 3000, "validation": 200, "test": 1000}


def source(style="shapes", **options):
    return ShapesSource(style, **{"counts": COUNTS} | options)


def thing(example):
    """What is really in an image, whatever its label says."""
    scene = example.load.args[0]
    return scene.thing


def name_of(example):
    return f"{thing(example).colour} {thing(example).shape}"


def digest(style="shapes", seed=0, split="train"):
    """Of some images, captions and labels."""
    examples = list(source(style, seed=seed).read(split, 3, 9))
    facts = repr([(e.filename, e.label, e.captions) for e in examples]).encode()
    return hashlib.sha256(facts + b"".join(e.load() for e in examples)).hexdigest()


def test_classes():
    assert len(CLASS_NAMES) == len(set(CLASS_NAMES)) == 100
    assert {tuple(name.split()) for name in CLASS_NAMES} == {
        (c, s) for c in COLOURS for s in SHAPES
    }
    assert all("{}" in template for template in TEMPLATES)


def test_held_out_classes_take_every_colour_and_every_shape_once():
    colours, shapes = zip(*(name.split() for name in HELD_OUT), strict=True)
    assert sorted(colours) == sorted(COLOURS) and sorted(shapes) == sorted(SHAPES)
    assert set(HELD_OUT) < set(CLASS_NAMES)


@pytest.mark.parametrize("style", STYLES)
def test_same_seed_same_bytes(style):
    assert digest(style) == digest(style)
    others = [digest(style, seed=1), digest(style, split="test"), digest(style, split="validation")]
    others += [digest(other) for other in STYLES if other != style]
    assert len({digest(style), *others}) == 1 + len(others)


def test_same_bytes_in_another_process():
    program = f"import sys; sys.path.insert(0, {sys.path[0]!r}); import {__name__} as t; "
    program += "print(t.digest('shapes-wild', 5))"
    options = {"capture_output": True, "text": True, "check": True}
    result = subprocess.run([sys.executable, "-c", program], **options)
    assert result.stdout.strip() == digest("shapes-wild", 5)


@pytest.mark.parametrize("style", STYLES)
def test_a_range_is_its_single_images(style):
    world = pickle.loads(pickle.dumps(source(style)))
    together = list(world.read("train", 98, 103))
    for index, example in enumerate(together, start=98):
        (alone,) = source(style).read("train", index, index + 1)
        assert (alone.filename, alone.label) == (example.filename, example.label)
        assert alone.captions == example.captions and alone.load() == example.load()
    assert len({example.filename for example in together}) == 5


@pytest.mark.parametrize("style", STYLES)
def test_every_hundred_has_every_class_once(style):
    for split in ("train", "test"):
        names = [name_of(example) for example in source(style).read(split, 0, 300)]
        blocks = [names[:100], names[100:200], names[200:]]
        assert all(sorted(block) == sorted(CLASS_NAMES) for block in blocks)
        assert blocks[0] != blocks[1] != blocks[2], "always in the same order"


def test_labels_are_true_but_for_a_twentieth_of_wild_train():
    wrong = {}
    for style in STYLES:
        for split in ("train", "validation", "test"):
            examples = list(source(style).read(split, 0, COUNTS[split]))
            if (style, split) == ("shapes", "train"):
                assert {example.label for example in examples} == {None}
                continue
            errors = [CLASS_NAMES[e.label] != name_of(e) for e in examples]
            wrong[style, split] = np.mean(errors)
    assert 0.035 < wrong.pop(("shapes-wild", "train")) < 0.065
    assert set(wrong.values()) == {0}


def test_captions_name_the_colour_and_the_shape():
    seen = set()
    for example in source().read("train", 0, 500):
        assert len(example.captions) == 2
        for caption in example.captions:
            first = re.search(f"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})", caption)
            assert first and first[0] == name_of(example), caption
            assert not re.search(r"\ba [aeio]|\ban [^aeio]|  |^ | $", caption), caption
            seen |= set(caption.split())
    assert {"small", "large", "corner", "background", "next", "picture"} <= seen
    assert all(not example.captions for example in source("shapes-wild").read("train", 0, 50))


def test_captions_tell_the_truth_about_the_rest():
    big = Thing("star", "red", x=50, y=10, radius=22, angle=0)
    other = Thing("ring", "blue", x=10, y=50, radius=6, angle=0)
    scene = Scene(big, other, background="dark", pattern="striped")
    said = " | ".join(captions(np.random.default_rng(0), scene, count=200))
    for phrase in ("in the top right corner", "on a dark striped background", "small blue ring"):
        assert phrase in said
    assert "large red star" in said and "big red star" in said
    assert not re.search(
        "(small|little|medium) red|bottom|left|light|dotted|(large|big) blue", said
    )


def test_distractors_are_other_smaller_things_beside():
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng, shape="star", colour="red", wild=False) for _ in range(300)]
    others = [scene for scene in scenes if scene.distractor]
    assert 75 < len(others) < 200
    for scene in others:
        thing, other = scene.thing, scene.distractor
        assert other.shape != thing.shape and other.colour != thing.colour
        assert other.radius < thing.radius * 0.7
        assert np.hypot(other.x - thing.x, other.y - thing.y) > other.radius + thing.radius


@pytest.mark.parametrize("style", STYLES)
def test_images_are_colour_jpeg_that_vary(style):
    first, *others = (example.load() for example in source(style).read("test", 0, 20))
    for jpeg in (first, *others):
        with Image.open(io.BytesIO(jpeg)) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIZE, SIZE))
    assert first not in others


def test_things_have_the_colour_of_their_name():
    """At the centre of those that are filled there."""
    right = []
    for example in source().read("test", 0, 200):
        here = thing(example)
        if here.fill != "solid" or here.shape in ("ring", "crescent"):
            continue
        pixels = np.asarray(Image.open(io.BytesIO(example.load())), float)
        x, y = int(here.x), int(here.y)
        found = pixels[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))
        distance = {name: np.linalg.norm(found - rgb) for name, rgb in COLOURS.items()}
        right.append(min(distance, key=distance.get) == here.colour)
    assert len(right) > 50 and np.mean(right) > 0.97


def test_outlines_fill_the_unit_circle_and_differ():
    for shape in SHAPES:
        radii = np.linalg.norm(outline(shape), axis=1)
        assert 0.8 < radii.max() < 1.25, shape
    assert len({outline(shape).tobytes() for shape in SHAPES}) == len(SHAPES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style": "shape"}, "style: expected one of shapes, shapes-wild; got 'shape'"),
        ({"counts": {"train": 0}}, "counts: expected positive numbers .* got train=0"),
        ({"counts": {"dev": 5}}, "counts: .* any of train, validation, test; got dev=5"),
    ],
)
def test_impossible_worlds(options, message):
    with pytest.raises(ValueError, match=message):
        ShapesSource(**options)
