"""Tip-Adapter by its formula, on memories small enough to check by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from classifiers import TipAdapter

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(5, 3)).astype("float32")
KEYS, LABELS = RNG.normal(size=(6, 5)).astype("float32"), np.array([0, 1, 2, 0, 1, 2])
X = RNG.normal(size=(4, 5)).astype("float32")


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_logits_are_the_formula_s():
    adapter = TipAdapter(KEYS, LABELS, MATRIX, alpha=1.5, beta=3.0)
    expected = unit(X) @ MATRIX
    for i, key in enumerate(unit(KEYS)):
        expected[:, LABELS[i]] += 1.5 * np.exp(-3.0 * (1 - unit(X) @ key))
    np.testing.assert_allclose(adapter.logits(X), expected, atol=1e-5)
    np.testing.assert_allclose(adapter(X), expected, atol=1e-5)
    zero = TipAdapter(KEYS, LABELS, MATRIX, alpha=0)
    np.testing.assert_allclose(zero.logits(X), unit(X) @ MATRIX, atol=1e-6)


def test_search_finds_what_the_memory_knows():
    """Zero-shot knows nothing here, the memory everything."""
    adapter = TipAdapter(KEYS, LABELS, 0.01 * MATRIX, alpha=0)
    noisy = KEYS + 0.01 * RNG.normal(size=KEYS.shape)
    assert adapter.search(noisy, LABELS) == 1.0
    assert adapter.alpha > 0 and (adapter.logits(noisy).argmax(axis=1) == LABELS).all()
    useless = TipAdapter(KEYS, LABELS, MATRIX)
    best = (unit(X) @ MATRIX).argmax(axis=1)
    assert useless.search(X, best) == 1.0 and useless.alpha == 0  # nothing is added in vain


def test_what_was_compiled_before_follows_a_search():
    adapter = TipAdapter(KEYS, LABELS, MATRIX)
    before = adapter.predict(X, verbose=0)
    adapter.search(X, np.zeros(len(X), int))
    adapter.beta = 2.0
    adapter.alpha += 1
    found = adapter.predict(X, verbose=0)
    np.testing.assert_allclose(found, adapter.logits(X), rtol=1e-4)
    assert np.abs(found - before).max() > 1e-3


def test_only_the_keys_are_trained():
    adapter = TipAdapter(KEYS, LABELS, MATRIX)
    assert [weight.name for weight in adapter.weights] == ["keys"]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    adapter.compile(keras.optimizers.AdamW(0.02), loss)
    losses = adapter.fit(KEYS, LABELS, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.abs(keras.ops.convert_to_numpy(adapter.keys) - unit(KEYS)).max() > 0.01


def test_is_saved_and_exported_without_a_call(tmp_path):
    adapter = TipAdapter(KEYS, LABELS, MATRIX, alpha=1.5, beta=3.0)
    adapter.save(tmp_path / "model.keras")
    adapter.export(tmp_path / "saved", verbose=False)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    served = tf.saved_model.load(tmp_path / "saved")
    for logits in (loaded(X), served.serve(X)):
        np.testing.assert_allclose(logits, adapter.logits(X), atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "matrix"),
    [
        (LABELS[:3], MATRIX),
        (LABELS, MATRIX[:4]),
        (LABELS, MATRIX[:, :2]),
        (LABELS - 1, MATRIX),  # of which -1 had been the last class
    ],
)
def test_what_does_not_fit_is_refused(labels, matrix):
    with pytest.raises(ValueError, match=r"a class matrix .* with a column for each label; got"):
        TipAdapter(KEYS, labels, matrix)


def test_search_outvotes_names_that_say_nothing_at_a_high_scale():
    adapter = TipAdapter(KEYS, LABELS, 20 * unit(MATRIX.T).T)
    assert adapter.search(KEYS, LABELS) == 1.0
    assert adapter.alpha > 3


def test_of_pairs_that_are_alike_search_takes_the_surest():
    """Every pair is right about all images; the memory makes them more probable."""
    names = np.eye(3, dtype="float32")
    adapter = TipAdapter(names, np.arange(3), names)
    noisy = names + 0.3 * RNG.normal(size=(3, 3))
    assert (noisy.argmax(axis=1) == np.arange(3)).all()
    noisy = np.concatenate([noisy, [[0.9, 1.0, 0.0]]])
    wanted = np.array([0, 1, 2, 1])
    assert adapter.search(noisy, wanted) == 1.0 and adapter.alpha > 0


def test_losses_by_name_take_logits():
    adapter = TipAdapter(KEYS, LABELS, MATRIX)
    wanted = keras.losses.sparse_categorical_crossentropy(
        LABELS, adapter.logits(KEYS), from_logits=True
    )
    for loss in (None, "sparse_categorical_crossentropy"):
        adapter.compile("sgd", loss, run_eagerly=True)
        found = adapter.evaluate(KEYS, LABELS, verbose=0)
        np.testing.assert_allclose(found, np.mean(wanted), rtol=1e-5)
    with pytest.raises(ValueError, match=r"embeddings: expected those of encode_image, \[b, 5\]"):
        adapter.logits(X[:, :3])
    with pytest.raises(ValueError, match="quantize: expected a model of layers; tip_adapter"):
        adapter.quantize("int8")
