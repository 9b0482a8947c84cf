"""Penalties that hold a model to what it knew: nothing at the start, the formulas afterwards."""

import keras
import numpy as np
import pytest
from keras import ops
from tiny_models import PIXELS, clip

import classifiers
import dual_encoder
from dual_encoder.training import self_distillation

RNG = np.random.default_rng(0)
BEFORE, AFTER = RNG.normal(size=(2, 6, 8)).astype("float32")


def unit(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def model():
    return dual_encoder.load("shapes-tiny")


def number(tensor):
    return float(ops.convert_to_numpy(tensor))


def test_the_feature_distance_is_the_mean_square_of_unit_features():
    expected = ((unit(AFTER) - unit(BEFORE)) ** 2).mean()
    assert number(self_distillation.feature_distance(AFTER, 3 * BEFORE)) == pytest.approx(
        expected, rel=1e-5
    )
    assert number(self_distillation.feature_distance(BEFORE, 2 * BEFORE)) == pytest.approx(
        0, abs=1e-9
    )


def test_the_teacher_learns_nothing():
    student, teacher = keras.Variable(AFTER), keras.Variable(BEFORE)
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are taken by TensorFlow here")
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = self_distillation.feature_distance(student, teacher)
        loss += self_distillation.random_text_distance(
            student, teacher, np.eye(8, dtype="float32"), scale=2.0
        )
    of_student, of_teacher = tape.gradient(loss, [student.value, teacher.value])
    assert of_teacher is None and np.abs(of_student).max() > 0


def test_random_texts_tell_as_much_as_their_matrix_does():
    """The sum over drawn texts, as published, against the matrix of the same texts."""
    texts = unit(RNG.normal(size=(50, 8))).astype("float32")
    matrix = texts.T @ texts / 50
    scale = 20.0
    change = scale * (unit(AFTER) - unit(BEFORE)) @ texts.T
    expected = (change**2).sum(axis=1).mean() / (2 * 50)
    found = self_distillation.random_text_distance(unit(AFTER), unit(BEFORE), matrix, scale=scale)
    assert number(found) == pytest.approx(expected, rel=1e-4)
    same = self_distillation.random_text_distance(BEFORE, BEFORE, matrix, scale=scale)
    assert number(same) == 0


def test_the_matrix_is_of_unit_texts_and_of_the_seed(model):
    found = self_distillation.random_text_matrix(model, texts=64, batch=24, seed=1)
    assert found.shape == (model.embed_dim, model.embed_dim)
    assert np.trace(found) == pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(found, found.T, atol=1e-7)
    np.testing.assert_allclose(
        found, self_distillation.random_text_matrix(model, texts=64, batch=64, seed=1), atol=1e-6
    )
    other = self_distillation.random_text_matrix(model, texts=64, seed=2)
    assert np.abs(found - other).max() > 1e-4


def test_texts_are_words_between_the_tokenizers_own_marks(model):
    ids = self_distillation._random_ids(model, 200, 5, seed=0)
    marks = model.tokenizer.rows([""])[0]
    real = model.tokenizer(["red circle"])[0]
    assert ids[0, 0] == real[0] == marks[0]
    assert (ids == model.tokenizer.end_id).sum(axis=1).tolist() == [1] * 200
    words = ids[:, 1:6]
    assert not np.isin(words, [*marks, model.tokenizer.pad_id]).any()
    assert len(np.unique(words)) > 20


def test_what_cannot_be_drawn_is_refused(model):
    with pytest.raises(ValueError, match="texts and words: expected 1 or more of each; got 0"):
        self_distillation.random_text_matrix(model, texts=0)
    bare = dual_encoder.DualEncoder(
        model.image_tower,
        model.text_tower,
        embed_dim=model.embed_dim,
        image_projection=model.image_projection,
        text_projection=model.text_projection,
    )
    with pytest.raises(ValueError, match="a tokenizer to encode texts; it has none"):
        self_distillation.random_text_matrix(bare)


# --- A teacher in training ---------------------------------------------------------------------


NAMES = ["red cat", "blue dog", "café"]
KINDS = {
    "dual encoder": clip,
    "classifier": lambda: classifiers.from_model(clip(), NAMES, head="zero-shot"),
}


def moved(kind, weight, *, micro_batch=None, rate=0.003):
    """How far images' features are from those before four steps of training, [3]."""
    keras.utils.set_random_seed(0)
    model = KINDS[kind]().built_now()
    before = unit(np.asarray(model.encode_image(PIXELS)))
    if weight:
        model.teacher = dual_encoder.Teacher(model, weight)
    model.compile(keras.optimizers.Adam(rate), micro_batch=micro_batch, jit_compile=False)
    y, x = np.arange(3), PIXELS
    if kind == "dual encoder":
        x = {"image": PIXELS, "token_ids": model.tokenizer(NAMES)}
    course = [float(model.train_on_batch(x, y)) for _ in range(4)]
    after = unit(np.asarray(model.encode_image(PIXELS)))
    return np.square(after - before).sum(axis=-1), course


@pytest.mark.parametrize("kind", KINDS)
def test_a_teacher_holds_a_model_to_what_it_was(kind, eagerly):
    (free, course), (held, course_held) = moved(kind, 0), moved(kind, 50.0)
    assert course[0] == pytest.approx(course_held[0], rel=1e-4)  # nothing at the start
    assert course_held[-1] > course[-1]
    assert held.mean() < 0.8 * free.mean()


@pytest.mark.parametrize("kind", KINDS)
def test_a_teacher_is_the_same_a_few_rows_at_a_time(kind, eagerly):
    (whole, course), (parts, course_parts) = moved(kind, 5.0), moved(kind, 5.0, micro_batch=1)
    np.testing.assert_allclose(course_parts, course, rtol=1e-3)
    np.testing.assert_allclose(parts, whole, rtol=0.02)


def test_by_random_texts_a_teacher_adds_what_lipsum_ft_does():
    encoder = clip()
    model = classifiers.from_model(encoder, NAMES, head="zero-shot").built_now()
    matrix = dual_encoder.lipsum_matrix(encoder, texts=20, words=2, seed=3)
    teacher = dual_encoder.Teacher(model, 0.5, matrix=matrix)
    theirs = np.asarray(model.features(PIXELS))
    found = number(teacher.distance(PIXELS, {"image": theirs}, None))
    assert found == pytest.approx(0, abs=1e-6)
    moved = {"image": theirs + RNG.normal(size=theirs.shape).astype("float32")}
    plain = self_distillation.random_text_matrix(encoder, texts=20, words=2, seed=3)
    expected = 0.5 * self_distillation.random_text_distance(
        unit(moved["image"]), unit(theirs), plain, scale=encoder.logit_scale
    )
    found = number(teacher.distance(PIXELS, moved, None))
    assert found == pytest.approx(number(expected), rel=1e-4)


def test_the_term_of_a_teacher_leaves_padding_out():
    model = KINDS["classifier"]().built_now()
    teacher = dual_encoder.Teacher(model, 3.0)
    features = {"image": np.asarray(model.features(PIXELS)) + 1}
    theirs = unit(np.asarray(model.features(PIXELS)))
    rows = np.square(unit(features["image"]) - theirs).sum(axis=-1)
    weights = np.array([1.5, 1.5, 0], "float32")
    expected = 3 * rows[:2].mean()
    assert number(teacher.distance(PIXELS, features, weights)) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="teacher: expected a weight over 0; got 0"):
        dual_encoder.Teacher(model, 0)
