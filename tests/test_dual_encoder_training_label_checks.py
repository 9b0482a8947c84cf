"""Labels and class weights that would train something else, or nothing, are refused at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models

import classifiers
from dual_encoder import CoOp

IMAGES = tiny_models.PIXELS
LABELS = np.arange(3, dtype="int32")


@pytest.fixture(scope="module")
def model():
    model = classifiers.from_model(tiny_models.vision(), 3)
    model.compile("sgd", run_eagerly=True)
    return model


WRONG = {
    "from 1 to 3": (LABELS + 1, r"got 3$"),
    "below 0": (LABELS - 1, r"got -1$"),
    "halves": (LABELS + 0.5, r"got 0.5$"),
    "missing": (np.array([0, 1, np.nan]), r"got nan$"),
    "names": (np.array(["a", "b", "c"]), r"got values of type <U1$"),
    "of two classes": (np.eye(2)[[0, 1, 0]], r"got \[3, 2\]$"),
    "columns of percentages": (100 * np.eye(3), r"from 0 to 1; got 100.0$"),
    "columns of texts": (np.full((3, 3), "1"), r"got values of type <U1$"),
    "none": (None, r"got none$"),
    "a tensor": (tf.constant([0, 1, 7]), r"got 7$"),
}


@pytest.mark.parametrize("y, said", WRONG.values(), ids=WRONG)
def test_labels_that_no_class_has_are_refused(model, y, said):
    expected = r"y: expected labels \[b\], 0 to 2 or a column for each class, \[b, 3\](; |, )"
    with pytest.raises(ValueError, match=expected + said):
        model.fit(IMAGES, y, verbose=0)
    with pytest.raises(ValueError, match=expected + said):
        model.evaluate(IMAGES, y, verbose=0)


@pytest.mark.parametrize(
    "y",
    [LABELS, LABELS[:, None], LABELS.astype("float64"), LABELS.astype("uint8"), np.eye(3)[LABELS]],
    ids=["index", "column", "float", "uint8", "one-hot"],
)
def test_labels_of_every_kind_are_taken(model, y):
    assert np.isfinite(model.evaluate(IMAGES, y, verbose=0))


def test_the_form_is_that_of_the_loss():
    model = classifiers.from_model(tiny_models.vision(), 3)
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"y: expected a column for each class, \[b, 3\]; got \[3"):
        model.fit(IMAGES, LABELS)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"y: expected labels \[b\], 0 to 2; got \[3, 3\]"):
        model.fit(IMAGES, np.eye(3))
    model.compile("sgd", lambda y, logits: keras.ops.mean(logits) + 0 * keras.ops.mean(y))
    model.fit(IMAGES, LABELS + 7.5, verbose=0)  # what it means is its own affair
    several = classifiers.from_model(tiny_models.vision(), 3, multi_label=True)
    several.compile("sgd")
    with pytest.raises(ValueError, match=r"y: expected a column for each class, \[b, 3\]; got \[N"):
        several.fit(tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(2))


def test_the_columns_of_a_dataset_are_looked_at(model):
    data = tf.data.Dataset.from_tensor_slices((IMAGES, np.eye(5)[LABELS])).batch(2)
    with pytest.raises(ValueError, match=r"y: expected labels .* got \[None, 5\]"):
        model.fit(data)


def test_prompts_look_at_labels_too():
    coop = CoOp(tiny_models.clip(), ["a cat", "x", "a photo"], n_ctx=2)
    coop.compile("sgd")
    with pytest.raises(ValueError, match=r"y: expected labels \[b\], 0 to 2; got 3"):
        coop.fit(np.ones((3, 6), "float32"), LABELS + 1)


def test_a_loss_that_ignores_a_class_may_be_given_it(model):
    other = classifiers.from_model(model, 3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    other.compile("sgd", loss, run_eagerly=True)
    assert np.isfinite(other.evaluate(IMAGES, LABELS - 1, verbose=0))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    "given, said",
    [
        (np.ones(3), "got ndarray, of which dict"),
        ([1.0, 1.0, 0.0], "got list, of which dict"),
        ({"red": 1.0}, r"got \{'red': 1.0\}"),
        ({0: None}, r"got \{0: None\}"),
    ],
)
def test_class_weights_that_keras_would_pass_over_are_refused(model, weighted, given, said):
    x, y = IMAGES, LABELS
    if weighted:
        x, y = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, np.ones(3))).batch(3), None
    with pytest.raises(ValueError, match=f"class_weight: expected a dict of labels to.*{said}"):
        model.fit(x, y, class_weight=given)


def test_no_class_weights_at_all_are_no_error(model):
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, np.ones(3))).batch(3)
    model.fit(data, class_weight={}, verbose=0)
