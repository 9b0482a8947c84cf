"""Augmentation layers from options, in whatever precision the model computes."""

from functools import partial
from operator import attrgetter

import keras
import numpy as np
import pytest

from pipelines.runs import runtime

runtime.import_tensorflow()

import tensorflow as tf  # noqa: E402

from pipelines.finetuning import augmentation  # noqa: E402
from tfrecords import reproducible_augmentation, stateless_random  # noqa: E402

KEY = stateless_random.key(7)
SHAPE = (4, 8, 8, 3)
NAME = attrgetter("name")


@pytest.fixture(params=["float32", "mixed_bfloat16", "mixed_float16"])
def precision(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def test_layers_draw_alike_whatever_order_a_graph_has_its_variables_in(monkeypatch):
    pixels = np.random.default_rng(0).integers(256, size=SHAPE, dtype=np.uint8)
    graph = tf.__internal__.FuncGraph
    variables = graph.variables

    def drawn():
        layers = augmentation.augment(flip=True, random_erasing=1.0)
        return reproducible_augmentation.augmented(layers, SHAPE)(pixels, KEY)

    def in_order(reverse):
        order = partial(sorted, key=NAME, reverse=reverse)
        names = property(lambda self: order(variables.fget(self)), variables.fset)
        monkeypatch.setattr(graph, "variables", names)
        return drawn()

    np.testing.assert_array_equal(in_order(reverse=False), in_order(reverse=True))


@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_images_and_labels_are_mixed_alike_in_every_precision(precision, options):
    pixels = np.random.default_rng(0).integers(256, size=SHAPE, dtype=np.uint8)
    labels = tf.constant([0, 1, 2, 0])
    mixed = reproducible_augmentation.mixed(augmentation.mix(**options), SHAPE, 3)
    images, shares = mixed(pixels, labels, KEY)
    assert images.dtype == "uint8" and shares.dtype == "float32"
    np.testing.assert_allclose(np.sum(shares, axis=1), 1, atol=1e-6)
    keras.config.set_dtype_policy("float32")
    whole = reproducible_augmentation.mixed(augmentation.mix(**options), SHAPE, 3)
    for here, there in zip((images, shares), whole(pixels, labels, KEY), strict=True):
        np.testing.assert_array_equal(here, there)


def test_images_are_augmented_alike_in_every_precision(precision):
    pixels = np.random.default_rng(0).integers(256, size=SHAPE, dtype=np.uint8)
    options = {"flip": True, "rand_augment": 5, "random_erasing": 1.0}
    here = reproducible_augmentation.augmented(augmentation.augment(**options), SHAPE)(pixels, KEY)
    keras.config.set_dtype_policy("float32")
    there = reproducible_augmentation.augmented(augmentation.augment(**options), SHAPE)(pixels, KEY)
    np.testing.assert_array_equal(here, there)
