"""The losses on matrices small enough to work out by hand, and against a slow plain version."""

import keras
import numpy as np
import pytest

from dual_encoder.training import losses
from dual_encoder.training.losses import contrastive_loss, sigmoid_loss

EYE = np.eye(2, dtype="float32")


def unit_rows(rng, count, size=5):
    rows = rng.normal(size=(count, size)).astype("float32")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow_contrastive(image, text, scale, ids, weight):
    """Row by row, over the rows that are not padding."""
    real = np.flatnonzero(weight)
    total = 0.0
    for queries, keys in ((image, text), (text, image)):
        for i in real:
            logits = np.array([scale * queries[i] @ keys[j] for j in real], "float64")
            log_p = logits - np.log(np.sum(np.exp(logits)))
            total -= np.mean([log_p[k] for k, j in enumerate(real) if ids[i] == ids[j]])
    return total / 2 / len(real)


def slow_sigmoid(image, text, scale, bias, ids, weight):
    real = np.flatnonzero(weight)
    total = 0.0
    for i in real:
        for j in real:
            sign = 1 if ids[i] == ids[j] else -1
            total += np.log1p(np.exp(-sign * (scale * float(image[i] @ text[j]) + bias)))
    return total / len(real)


def test_contrastive_of_two_orthogonal_pairs():
    # Both rows: logits (3, 0), the target is the first.
    loss = contrastive_loss(EYE, EYE, scale=3.0)
    assert float(loss) == pytest.approx(np.log(1 + np.exp(-3)), rel=1e-6)


def test_contrastive_shares_the_target_among_equal_ids():
    # Both rows: logits (3, 0), target (1/2, 1/2).
    loss = contrastive_loss(EYE, EYE, scale=3.0, ids=np.array([7, 7]))
    assert float(loss) == pytest.approx(np.log(np.exp(3) + 1) - 1.5, rel=1e-6)


def test_contrastive_of_two_captions_of_one_image_and_a_third():
    rows = np.array([[1, 0], [1, 0], [0, 1]], "float32")
    # Rows 0, 1: logits (2, 2, 0), target (1/2, 1/2, 0). Row 2: logits (0, 0, 2), target (0, 0, 1).
    first, last = np.log(2 * np.exp(2) + 1) - 2, np.log(2 + np.exp(2)) - 2
    loss = contrastive_loss(rows, rows, scale=2.0, ids=np.array([4, 4, 9]))
    assert float(loss) == pytest.approx((2 * first + last) / 3, rel=1e-6)


def test_sigmoid_of_two_orthogonal_pairs():
    # Per row one positive with logit 3 - 1 and one negative with logit -1.
    loss = sigmoid_loss(EYE, EYE, scale=3.0, bias=-1.0)
    assert float(loss) == pytest.approx(np.log1p(np.exp(-2)) + np.log1p(np.exp(-1)), rel=1e-6)


def test_sigmoid_calls_every_pair_with_equal_ids_positive():
    loss = sigmoid_loss(EYE, EYE, scale=3.0, bias=-1.0, ids=np.array([7, 7]))
    assert float(loss) == pytest.approx(np.log1p(np.exp(-2)) + np.log1p(np.exp(1)), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_against_the_slow_version(seed):
    rng = np.random.default_rng(seed)
    image, text = unit_rows(rng, 9), unit_rows(rng, 9)
    ids = rng.integers(0, 5, 9)
    weight = np.array([1, 1, 0, 1, 1, 1, 1, 0, 0], "float32")  # padding repeats ids of real rows
    given = {"ids": ids.astype("int32"), "sample_weight": weight}
    loss = contrastive_loss(image, text, scale=7.0, **given)
    assert float(loss) == pytest.approx(slow_contrastive(image, text, 7.0, ids, weight), rel=1e-5)
    loss = sigmoid_loss(image, text, scale=7.0, bias=-2.0, **given)
    assert float(loss) == pytest.approx(slow_sigmoid(image, text, 7.0, -2.0, ids, weight), rel=1e-5)


@pytest.mark.parametrize("loss", [contrastive_loss, sigmoid_loss])
def test_padding_changes_neither_value_nor_gradient(loss):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    image, text = unit_rows(rng, 6), unit_rows(rng, 6)
    ids, weight = np.array([0, 1, 1, 2, 0, 1]), np.array([1, 1, 1, 1, 0, 0], "float32")
    options = {"scale": 10.0} | ({"bias": -3.0} if loss is sigmoid_loss else {})

    def value_and_gradient(rows, **given):
        variable = tf.Variable(image[:rows])
        with tf.GradientTape() as tape:
            value = loss(variable, text[:rows], ids=ids[:rows], **given, **options)
        return float(value), tape.gradient(value, variable).numpy()

    value, gradient = value_and_gradient(4)
    padded_value, padded_gradient = value_and_gradient(6, sample_weight=weight)
    assert padded_value == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(padded_gradient[:4], gradient, atol=1e-6)
    assert not padded_gradient[4:].any()


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("loss", [contrastive_loss, sigmoid_loss])
def test_a_few_rows_at_a_time_give_the_same_value_and_gradients(loss, graph):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    weight = np.array([1, 1, 2, 0, 1, 1, 1], "float32")
    data = {"ids": np.array([0, 1, 1, 2, 0, 3, 1]), "sample_weight": weight}
    given = {"image": unit_rows(rng, 7), "text": unit_rows(rng, 7), "scale": np.float32(9)}
    given |= {"bias": np.float32(-3)} if loss is sigmoid_loss else {}
    variables = {name: tf.Variable(value) for name, value in given.items()}

    def value_and_gradients(chunk):
        with tf.GradientTape() as tape:
            value = loss(**variables, **data, chunk=chunk)
        return value, tape.gradient(value, variables)

    run = tf.function(value_and_gradients) if graph else value_and_gradients
    whole, gradients = run(None)
    for chunk in (2, 7):  # four parts, of which the last is half empty, and one
        value, found = run(chunk)
        assert float(value) == pytest.approx(float(whole), rel=1e-6)
        for name, gradient in gradients.items():
            np.testing.assert_allclose(found[name], gradient, atol=1e-6, err_msg=name)


def test_many_rows_are_compared_a_few_at_a_time_by_themselves(monkeypatch):
    rng = np.random.default_rng(0)
    image, text = unit_rows(rng, 6), unit_rows(rng, 6)
    whole, shapes, in_turn = contrastive_loss(image, text, scale=5.0), [], losses._in_turn
    monkeypatch.setattr(losses, "SIMILARITIES", 20)  # three rows have 18 with six columns

    def spy(function, parts):
        shapes.append(tuple(parts["image"].shape))
        return in_turn(function, parts)

    monkeypatch.setattr(losses, "_in_turn", spy)
    assert float(contrastive_loss(image, text, scale=5.0)) == pytest.approx(float(whole), rel=1e-6)
    assert shapes == [(2, 3, 5)]


def test_nothing_but_padding_is_zero_and_not_nan():
    nothing = np.zeros(2, "float32")
    assert float(contrastive_loss(EYE, EYE, scale=3.0, sample_weight=nothing)) == 0
    assert float(sigmoid_loss(EYE, EYE, scale=3.0, bias=0.0, sample_weight=nothing)) == 0


def test_half_precision_embeddings_are_compared_in_float32():
    half = keras.ops.cast(EYE, "bfloat16")
    loss = contrastive_loss(half, half, scale=3.0)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == pytest.approx(np.log(1 + np.exp(-3)), rel=1e-6)


def test_shapes_that_do_not_fit():
    three = np.ones([3, 2], "float32")
    with pytest.raises(ValueError, match=r"same shape \[b, e\], received \(2, 2\) and \(3, 2\)"):
        contrastive_loss(EYE, three, scale=1.0)
    with pytest.raises(ValueError, match=r"same shape .* received \(2,\) and \(2,\)"):
        sigmoid_loss(EYE[0], EYE[0], scale=1.0, bias=0.0)
    with pytest.raises(
        ValueError, match=r"ids must have one entry .* 3 rows, received shape \(2,\)"
    ):
        contrastive_loss(three, three, scale=1.0, ids=np.array([0, 1]))
    with pytest.raises(ValueError, match=r"sample_weight must .* received shape \(2, 1\)"):
        weight = np.ones([2, 1], "float32")
        sigmoid_loss(EYE, EYE, scale=1.0, bias=0.0, sample_weight=weight)


@pytest.mark.parametrize("chunk", [0, -1, 1.5])
def test_no_rows_at_a_time_are_refused(chunk):
    with pytest.raises(ValueError, match="chunk: expected a whole number of at least 1; got"):
        contrastive_loss([[1.0, 0.0]], [[1.0, 0.0]], scale=1.0, chunk=chunk)
