"""The training step on one device: what Keras' own step gets wrong there, too."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dual_encoder.training.replica_train_step import ExactTraining


@keras.saving.register_keras_serializable("duet-tests")
class Exact(ExactTraining, keras.Sequential):
    pass


def regression(count=16, batch=4):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, count, 1)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch, drop_remainder=True)


def linear(optimizer, **options):
    keras.utils.set_random_seed(0)
    model = Exact([keras.Input([1]), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", **options)
    return model


def test_repeated_tokens_train_like_dense_rows():
    """Adam's first step is the learning rate for every entry, however often a token occurs."""
    ids = np.array([[1, 1, 1, 2]], "int32")
    model = Exact(
        [
            keras.Input([4], dtype="int32"),
            keras.layers.Embedding(4, 3, embeddings_initializer="zeros"),
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(ids, np.ones([1, 3]), verbose=0)
    expected = np.array([0, 0.1, 0.1, 0])[:, None] * np.ones(3)
    np.testing.assert_allclose(model.get_weights()[0][:2], expected[:2], atol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0][2], 0.1, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras: how it learns the length
def test_no_phantom_step_at_the_end_of_a_dataset_of_unknown_length():
    known = regression()
    unknown = known.filter(lambda *batch: True)
    assert unknown.cardinality() == tf.data.UNKNOWN_CARDINALITY
    models = []
    for data in (known, unknown):
        model = linear(keras.optimizers.AdamW(0.01, weight_decay=0.1))
        model.fit(data, epochs=3, shuffle=False, verbose=0)
        models.append(model)
    assert [int(model.optimizer.iterations) for model in models] == [12, 12]
    for left, right in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("clip", [{"clipnorm": 0.1}, {"global_clipnorm": 0.1}, {"clipvalue": 0.1}])
def test_clipping_limits_the_step(clip):
    model = linear(keras.optimizers.SGD(1.0, **clip))
    before = np.concatenate([np.ravel(w) for w in model.get_weights()])
    x = np.full([4, 1], 10.0, "float32")
    model.fit(x, -x, batch_size=4, verbose=0)
    step = np.concatenate([np.ravel(w) for w in model.get_weights()]) - before
    norm = np.linalg.norm(step)
    # Weight and bias have one entry each, and both gradients are far beyond the limit.
    assert norm == pytest.approx(0.1 if "global_clipnorm" in clip else 0.1 * np.sqrt(2), rel=1e-5)


def test_metrics_and_loss_are_those_of_keras_on_the_rows_that_count():
    model = linear("sgd", weighted_metrics=["mae"])
    keras.utils.set_random_seed(0)
    plain = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    plain.compile("sgd", "mse", weighted_metrics=["mae"])
    x, y = next(iter(regression(8, 8)))
    weight = np.array([1, 1, 1, 1, 1, 0, 0, 0], "float32")
    ours = model.fit(x, y, sample_weight=weight, batch_size=4, shuffle=False, verbose=0).history
    rows = {"x": x[:5], "y": y[:5], "sample_weight": weight[:5]}
    theirs = plain.fit(**rows, batch_size=4, shuffle=False, verbose=0).history
    for name in ("loss", "mae"):
        assert ours[name] == pytest.approx(theirs[name])
    for left, right in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in TensorFlow
def test_a_saved_model_is_compiled_when_loaded_and_goes_on(tmp_path):
    x, y = next(iter(regression(8, 8)))
    model = linear(keras.optimizers.AdamW(0.1), metrics=["mae"])
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 1
    histories = [m.fit(x, y, epochs=2, shuffle=False, verbose=0).history for m in (model, loaded)]
    assert histories[0] == histories[1]


def test_runs_under_xla():
    x, y = next(iter(regression(8, 8)))
    models = [linear("adam", jit_compile=jit) for jit in (False, True)]
    losses = [m.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"] for m in models]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_batch_norm_stays_as_it_was():
    layer = keras.layers.BatchNormalization()
    model = Exact([keras.Input([1]), layer])
    model.compile("sgd", "mse")
    model.fit(np.ones([4, 1]), np.ones([4, 1]), verbose=0)
    assert not layer.synchronized
