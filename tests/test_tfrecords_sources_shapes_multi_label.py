"""Several things per image: the labels say what is drawn, and a seed fixes both."""

import io
import pickle
import time

import numpy as np
import pytest
from PIL import Image

from tfrecords import sources
from tfrecords.sources.catalog import dataset
from tfrecords.sources.shapes.multi_label import CLASS_NAMES, COUNTS, ShapesMultiSource
from tfrecords.sources.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, SIZE


def examples(count=1000, split="train", **options):
    return list(ShapesMultiSource(**options).read(split, 0, count))


def things(example):
    return example.load.args[0].things


def test_labels_are_the_shapes_and_colours_that_are_drawn():
    assert (*SHAPES, *COLOURS) == CLASS_NAMES and len(set(CLASS_NAMES)) == 20
    for example in examples():
        said = {CLASS_NAMES[label] for label in example.label}
        assert said == {word for t in things(example) for word in (t.shape, t.colour)}
        assert list(example.label) == sorted(set(example.label))


def test_every_class_is_in_some_images_and_not_in_most():
    found = examples()
    shown = np.bincount([label for e in found for label in e.label], minlength=20) / len(found)
    assert shown.min() > 0.15 and shown.max() < 0.30
    numbers = np.bincount([len(things(example)) for example in found])
    assert numbers[0] == 0 and len(numbers) == 5 and numbers[1:].min() > 150


def test_things_do_not_cover_each_other_and_stand_out():
    for example in examples(300):
        group = example.load.args[0]
        for i, one in enumerate(group.things):
            assert one.radius <= min(one.x, one.y, SIZE - one.x, SIZE - one.y)
            for other in group.things[:i]:
                distance = np.hypot(one.x - other.x, one.y - other.y)
                assert distance > one.radius + other.radius
            tone = np.array(BACKGROUNDS[group.background])
            assert np.abs(tone - COLOURS[one.colour]).sum() > 90


def test_a_seed_fixes_the_bytes_and_a_range_is_its_single_images():
    world = pickle.loads(pickle.dumps(ShapesMultiSource(seed=4)))
    together = list(world.read("test", 7, 10))
    for index, example in enumerate(together, start=7):
        (alone,) = ShapesMultiSource(seed=4).read("test", index, index + 1)
        assert (alone.filename, alone.label) == (example.filename, example.label)
        assert alone.load() == example.load()
    images = [e.load() for seed in (0, 1) for s in COUNTS for e in examples(1, s, seed=seed)]
    assert len(set(images)) == 6
    with Image.open(io.BytesIO(images[0])) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIZE, SIZE))


def test_it_is_drawn_in_seconds():
    start = time.process_time()
    for example in examples(100):
        example.load()
    assert (time.process_time() - start) / 100 < 0.02  # some 4 ms on a slow core


def test_it_can_be_named():
    source, entry = sources.named("shapes-multi", seed=3), dataset("shapes-multi")
    assert source == ShapesMultiSource(seed=3)
    assert (source.name, source.multi_label, source.metric) == ("shapes-multi", True, "map")
    assert entry.multi_label and entry.images == sum(source.splits.values())
    assert entry.class_names == source.class_names and entry.templates == source.templates


@pytest.mark.parametrize("counts", [{"train": 0}, {"dev": 5}])
def test_impossible_counts(counts):
    with pytest.raises(ValueError, match="counts: expected positive numbers for any of train"):
        ShapesMultiSource(counts=counts)
