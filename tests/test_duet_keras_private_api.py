"""What Duet loses where a new version of Keras or TensorFlow drops a private name."""

from functools import reduce

import keras
import numpy as np
import pytest
import tensorflow as tf

from duet import keras_private_api


@pytest.fixture
def model():
    inner = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization()])
    model = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dropout(0.5, seed=1)])
    model.build()
    return model


def test_every_nested_layer_is_found_so_that_all_of_a_tower_can_be_frozen(model):
    inner = model.layers[0]
    assert {id(each) for each in (model, inner, *inner.layers)} <= {
        id(each) for each in keras_private_api.layers_of(model)
    }


def test_weights_to_train_are_told_from_statistics_also_when_frozen(model):
    _, norm = model.layers[0].layers
    norm.trainable = False
    assert [each.name for each in keras_private_api.own_trainable_variables(norm)] == [
        "gamma",
        "beta",
    ]
    assert keras_private_api.own_trainable_variables(model) == []  # they are its layers'


def test_states_of_dropout_are_found_so_that_a_second_pass_draws_the_same_masks(model):
    (state,) = keras_private_api.random_states(model)
    before = np.array(state)
    model(np.zeros((1, 3)), training=True)
    assert not np.array_equal(before, np.array(state))


def test_first_values_of_variables_that_wait_can_be_set_without_drawing_them():
    with keras.StatelessScope():  # in which variables have no values yet
        variable = keras.Variable(initializer="zeros", shape=(2,), dtype="float32")
        keras_private_api.set_initializer(variable, lambda shape, dtype: np.full(shape, 7, dtype))
    assert np.array(variable).tolist() == [7, 7]


def test_a_first_value_that_cannot_be_had_is_not_asked_for_again():
    def fails(shape, dtype):
        keras_private_api.forget_uninitialized()
        raise TypeError("none")

    with pytest.raises(TypeError, match="none"), keras.StatelessScope():
        for initializer in (keras.initializers.Zeros(), fails):
            variable = keras.Variable(initializer="zeros", shape=(2,), dtype="float32")
            keras_private_api.set_initializer(variable, initializer)
    with keras.StatelessScope():
        variable = keras.Variable(initializer="ones", shape=(1,), dtype="float32")
    assert np.array(variable).tolist() == [1]


def test_a_model_of_a_strategy_is_told_since_keras_takes_a_batch_of_it_before_training(model):
    assert not keras_private_api.is_scoped(model)
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        assert keras_private_api.is_scoped(keras.Sequential([keras.layers.Dense(2)]))


def test_metrics_are_made_before_a_step_is_traced():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=["accuracy"])
    shapes = keras.KerasTensor((None,)), keras.KerasTensor((None, 2))
    keras_private_api.make_metrics(model, *shapes)
    keras_private_api.make_metrics(model, *shapes)  # which are not made again
    (made,) = [metric for metric in model.metrics if metric.name == "compile_metrics"]
    assert [type(metric).__name__ for metric in made.metrics] == ["SparseCategoricalAccuracy"]


def test_penalties_on_weights_are_in_the_loss():
    penalised = keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.5))
    model = keras.Sequential([keras.Input((3,)), penalised])
    expected = 0.5 * np.sum(np.square(penalised.kernel))
    assert float(keras_private_api.added_losses(model)) == pytest.approx(expected)


def test_state_of_an_optimizer_by_variable():
    first, second = keras.Variable([1.0, 2.0]), keras.Variable([3.0])
    optimizer = keras.optimizers.AdamW(0.1, use_ema=True, ema_momentum=0.5, beta_1=0.5, beta_2=0.9)
    optimizer.exclude_from_weight_decay([second])
    optimizer.build([first, second])
    assert keras_private_api.place_in(optimizer, second) == 1
    assert [keras_private_api.decays(optimizer, each) for each in (first, second)] == [True, False]
    optimizer.apply([np.array([1.0, 1.0], "float32"), np.array([2.0], "float32")])
    moment, square = keras_private_api.moments(optimizer, second)
    assert np.array(moment) == pytest.approx([1.0])  # (1 - 0.5) · 2
    assert np.array(square) == pytest.approx([0.4])  # (1 - 0.9) · 2²
    (weight, average), *_ = keras_private_api.averages(optimizer)
    assert weight is first
    assert np.array(average).shape == (2,)


@pytest.mark.parametrize("kind, names", keras_private_api.OVERRIDDEN.items())
def test_keras_still_has_the_methods_that_are_overridden(kind, names):
    cls = reduce(getattr, kind.split(".")[1:], keras)
    assert all(callable(getattr(cls, name)) for name in names)


def test_keras_asks_an_optimizer_to_decay_and_to_sum_over_replicas():
    """Through these two `dual_encoder.AdamW` applies each gradient once it is ready."""
    asked = []

    class Watched(keras.optimizers.AdamW):
        def _apply_weight_decay(self, variables):
            asked.append("decay")

        def _all_reduce_sum_gradients(self, grads_and_vars):
            asked.append("sum")
            return super()._all_reduce_sum_gradients(grads_and_vars)

    weight = keras.Variable([1.0])
    Watched(0.1).apply([np.array([1.0], "float32")], [weight])
    assert sorted(asked) == ["decay", "sum"]


def test_gradients_of_a_function_are_told_by_their_operation():
    inner = tf.function(lambda x: x * x)
    inner.get_concrete_function(tf.TensorSpec((), tf.float32))

    @tf.function
    def outer(x):
        kinds.append(inner(x).op.type)
        return x

    kinds = []
    outer(tf.constant(2.0))
    assert kinds == [keras_private_api.FUNCTION_CALL]


def test_a_litert_file_can_be_read_and_written():
    schema, files = keras_private_api.litert_schema()
    assert hasattr(schema, "MetadataT") and hasattr(schema, "BufferT")
    for name in ("convert_bytearray_to_object", "convert_object_to_bytearray", "opcode_to_name"):
        assert callable(getattr(files, name))


def test_variables_get_names_that_a_saved_model_takes(tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="_head")(inputs))
    images = np.ones((3, 2), "float32")

    def write():
        archive = keras.export.ExportArchive()
        signature = [tf.TensorSpec((None, 2), tf.float32)]
        archive.add_endpoint("serve", lambda x: model(x), input_signature=signature)
        archive.write_out(str(tmp_path / "out"), verbose=False)

    with pytest.raises(ValueError, match="root scope name"):
        write()
    keras_private_api.name_for_export(model)
    write()
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    np.testing.assert_allclose(loaded.serve(tf.constant(images)), model(images), rtol=1e-6)
    assert {each.path for each in model.variables} == {"_head/kernel", "_head/bias"}
