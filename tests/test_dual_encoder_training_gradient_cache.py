"""A few rows at a time give the gradients of the whole batch, in the memory of a few rows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dual_encoder import DualEncoder, ProjectionHead
from dual_encoder.training.replica_train_step import ExactTraining

ROWS = 8


@keras.saving.register_keras_serializable("duet-tests")
class Exact(ExactTraining, keras.Sequential):
    pass


def dual_encoder(loss_name="contrastive", **options):
    """Towers of next to nothing: what is tested is how their rows meet."""
    keras.utils.set_random_seed(0)
    image = keras.Sequential([keras.Input([4, 4, 3]), keras.layers.Rescaling(1 / 255)])
    image.add(keras.layers.Flatten())
    image.image_size, image.output_dim = 4, 48
    text = keras.Sequential([keras.Input([5], dtype="int32"), keras.layers.Embedding(6, 8)])
    text.add(keras.layers.GlobalAveragePooling1D())
    text.context_length, text.output_dim, text.trims_exactly = 5, 8, True
    model = DualEncoder(image, text, embed_dim=8, loss_name=loss_name, **options)
    model.build()
    return model


def pairs():
    """Equal ids, repeated tokens, and a row of padding at the end."""
    rng = np.random.default_rng(0)
    image = rng.integers(256, size=(ROWS, 4, 4, 3), dtype=np.uint8)
    token_ids = rng.integers(6, size=(ROWS, 5), dtype=np.int32)
    weight = (np.arange(ROWS) < ROWS - 1).astype("float32")
    return {"image": image, "token_ids": token_ids}, rng.integers(5, size=ROWS), weight


def tensors(batch):
    return tf.nest.map_structure(lambda x: x if x is None else tf.convert_to_tensor(x), batch)


def gradients(model, batch, micro_batch=None, **options):
    """Loss, outputs and gradients by variable, made in a graph as in a step of `fit`."""
    model.compile("sgd", micro_batch=micro_batch, jit_compile=False, **options)
    y_pred, loss, found = tf.function(model.gradients_of, autograph=False)(*tensors(batch))
    by_name = {v.path: g for v, g in zip(model.trainable_variables, found, strict=True)}
    return {"loss": loss, "y_pred": y_pred, **by_name}


def assert_same(ours, theirs):
    tf.nest.assert_same_structure(ours, theirs)
    for name, value in theirs.items():
        for one, other in zip(tf.nest.flatten(ours[name]), tf.nest.flatten(value), strict=True):
            one, other = tf.convert_to_tensor(one), tf.convert_to_tensor(other)
            np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("loss_name", ["contrastive", "sigmoid"])
@pytest.mark.parametrize("size", [1, 4])
def test_all_rows_meet_although_only_a_few_are_worked_on(loss_name, size):
    model, batch = dual_encoder(loss_name), pairs()
    expected = gradients(model, batch)
    assert "log_scale" in " ".join(expected) and len(expected) > 5
    assert_same(gradients(model, batch, size), expected)


def test_a_head_that_is_locked_has_no_gradients():
    model, batch = dual_encoder(), pairs()
    model.image_projection.trainable = False
    expected = gradients(model, batch)
    assert not any("image_projection" in name for name in expected)
    assert_same(gradients(model, batch, 2), expected)


def classifier(*more):
    keras.utils.set_random_seed(0)
    return Exact([keras.Input([6]), keras.layers.Dense(5, activation="relu"), *more])


def rows_of_classes():
    rng = np.random.default_rng(0)
    weight = np.array([1, 2, 1, 0, 1, 1, 0, 0], "float32")
    return rng.normal(size=(ROWS, 6)).astype("float32"), rng.integers(5, size=ROWS), weight


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight", "sum"])
def test_cross_entropy_with_padding_however_it_is_averaged(reduction):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    penalised = keras.layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.1))
    model, batch = classifier(penalised), rows_of_classes()
    expected = gradients(model, batch, loss=loss)
    for size in (1, 2, 4):
        assert_same(gradients(model, batch, size, loss=loss), expected)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_ends_with_the_weights_of_the_large_batch(jit_compile):
    histories, models = [], []
    for size in (None, 2):
        keras.utils.set_random_seed(1)  # of the last layer, which is made before the others
        model = classifier(keras.layers.Dense(5))
        model.compile(
            keras.optimizers.AdamW(0.01, global_clipnorm=0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            weighted_metrics=["accuracy"],
            micro_batch=size,
            jit_compile=jit_compile,
        )
        x, y, weight = rows_of_classes()
        history = model.fit(x, y, sample_weight=weight, batch_size=ROWS, epochs=3, verbose=0)
        histories.append(history.history)
        models.append(model)
    for name, values in histories[0].items():
        assert histories[1][name] == pytest.approx(values, rel=1e-5), name
    for left, right in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_both_passes_draw_the_same_dropout():
    """As if the parts were embedded one by one, all of them seen by one tape."""
    head = ProjectionHead(8, depth=1, dropout=0.5, name="image_projection")
    size, model = 2, dual_encoder(image_projection=head)
    x, y, weight = tensors(pairs())
    (seed,) = (v for v in model.variables if v.name == "seed_generator_state")
    before = seed.numpy()
    with tf.GradientTape() as tape:
        rows = [slice(i, i + size) for i in range(0, ROWS, size)]
        parts = [model({k: v[part] for k, v in x.items()}, training=True) for part in rows]
        whole = {k: tf.concat([part[k] for part in parts], 0) for k in parts[0]}
        loss = model.compute_loss(x, y, whole, weight)
    found = tape.gradient(loss, model.trainable_variables)
    after = seed.numpy()
    assert (after != before).any()
    names = [v.path for v in model.trainable_variables]
    expected = {"loss": loss, "y_pred": whole, **dict(zip(names, found, strict=True))}

    seed.assign(before)
    assert_same(gradients(model, (x, y, weight), size), expected)
    np.testing.assert_array_equal(seed.numpy(), after)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in TensorFlow
def test_a_loaded_model_goes_on_with_as_few(tmp_path):
    model = classifier()
    model.compile("adamw", "mse", micro_batch=2)
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").micro_batch == 2


def test_what_cannot_be_cut_is_refused():
    norm = keras.layers.BatchNormalization(name="norm_1")
    model = classifier(norm)
    with pytest.raises(ValueError, match="statistics from the whole batch at once; freeze 'norm_1"):
        model.compile("sgd", "mse", micro_batch=2)
    norm.trainable = False
    model.compile("sgd", "mse", micro_batch=2)
    for size in (0, 2.0):
        with pytest.raises(ValueError, match="expected a number of rows, 1 or more; got"):
            model.compile("sgd", "mse", micro_batch=size)
    loss = "sparse_categorical_crossentropy"
    with pytest.raises(ValueError, match=r"a divisor of the 8 rows of a batch .* got 3"):
        gradients(classifier(), rows_of_classes(), 3, loss=loss)
    adding = classifier(keras.layers.ActivityRegularization(l1=1.0))
    with pytest.raises(ValueError, match="layers add no loss of their own"):
        gradients(adding, rows_of_classes(), 2, loss=loss)
