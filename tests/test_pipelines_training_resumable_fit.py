"""`resumable_fit.fit` on a small model: killed anywhere, it ends as if nothing had happened."""

import json
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from processes import press

from pipelines.training import checkpoint_file, resumable_fit
from pipelines.training.callbacks import BestWeights
from pipelines.training.checkpoint import Checkpoint
from pipelines.training.optimizer import OptimizerOptions
from pipelines.training.optimizer import optimizer as built

STEPS, EPOCHS, EVERY = 5, 4, 2


class Killed(BaseException):
    """Caught by nobody: what is on disk is what `kill -9` leaves."""


class Die(keras.callbacks.Callback):
    """Dies at a step of the run, or in the validation after that step."""

    def __init__(self, at, *, validating=False, how=None):
        super().__init__()
        self.at, self.validating, self.how = at, validating, how or self.kill

    def kill(self):
        raise Killed

    def _maybe(self, validating):
        if validating == self.validating and self.model.optimizer.iterations.numpy() == self.at:
            self.how()

    def on_train_batch_end(self, batch, logs=None):
        self._maybe(False)

    def on_test_batch_end(self, batch, logs=None):
        self._maybe(True)


def build():
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(6, activation="relu"), keras.layers.Dropout(0.3)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    # So high that the loss does not always fall: early stopping and plateau have something to do.
    model.compile(keras.optimizers.AdamW(0.3), "mse", metrics=["mae"], jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def data(seed, steps):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps * 4, 3)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, x.sum(axis=1, keepdims=True))).batch(4)


def load(step):
    return data(0, STEPS * EPOCHS).skip(step)


def fit(out, *more, **options):
    """A run in the folder `out`. Returns the model and what remembers its course."""
    model = build()
    checkpoint = Checkpoint(out, steps_per_epoch=STEPS, every=EVERY)
    callbacks = [*resumable_fit.stopping(out, **options), *more]
    validation = data(1, 2)
    resumable_fit.fit(
        model,
        load,
        epochs=EPOCHS,
        checkpoint=checkpoint,
        callbacks=callbacks,
        validation=validation,
    )
    return model, checkpoint


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(v) for v in variables]


def assert_same(ours, theirs):
    for one, other in zip(state(ours[0]), state(theirs[0]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert ours[1].history == theirs[1].history
    assert ours[1].step == theirs[1].step


STOPPING = {"early_stopping": 2, "plateau": 1, "plateau_factor": 0.5}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("whole"), **STOPPING)


def test_the_run_that_the_others_are_compared_with_reaches_a_plateau(whole):
    rates = [row["learning_rate"] for row in whole[1].history]
    assert rates[0] == pytest.approx(0.3) and rates[-1] < 0.3
    assert [row["epoch"] for row in whole[1].history] == list(range(len(rates)))


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("step", [1, 4, 6])
def test_killed_in_a_step(step, whole, tmp_path):
    with pytest.raises(Killed):
        fit(tmp_path, Die(step), **STOPPING)
    assert_same(fit(tmp_path, **STOPPING), whole)


@pytest.mark.usefixtures("eagerly")
def test_killed_in_the_validation_of_an_epoch(whole, tmp_path):
    with pytest.raises(Killed):
        fit(tmp_path, Die(5, validating=True), **STOPPING)
    assert checkpoint_file.steps(tmp_path) == [2, 4]
    assert_same(fit(tmp_path, **STOPPING), whole)


@pytest.mark.usefixtures("eagerly")
def test_killed_again_and_again(whole, tmp_path):
    for step in (3, 11):
        with pytest.raises(Killed):
            fit(tmp_path, Die(step), **STOPPING)
    assert_same(fit(tmp_path, **STOPPING), whole)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("number", "step"), [(signal.SIGINT, 3), (signal.SIGTERM, 5)])
def test_a_signal_finishes_the_step_and_saves(number, step, whole, tmp_path):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match=f"after step {step}; the same command"):
        fit(tmp_path, Die(step, how=lambda: press(number)), **STOPPING)
    assert signal.getsignal(number) is before
    assert checkpoint_file.steps(tmp_path)[-1] == step
    assert_same(fit(tmp_path, **STOPPING), whole)


@pytest.mark.usefixtures("eagerly")
def test_a_second_ctrl_c_stops_at_once(tmp_path):
    def twice():
        press(signal.SIGINT)
        press(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as stop:
        fit(tmp_path, Die(3, how=twice))
    assert not str(stop.value) and checkpoint_file.steps(tmp_path) == [2]


@pytest.mark.usefixtures("eagerly")
def test_a_finished_run_does_nothing_more(whole, tmp_path, capsys):
    fit(tmp_path, **STOPPING)
    again = fit(tmp_path, Die(whole[1].step), **STOPPING)
    assert_same(again, whole)
    assert f"going on after step {whole[1].step} of 20" in capsys.readouterr().out


@pytest.mark.usefixtures("eagerly")
def test_early_stopping_ends_with_the_best_weights(tmp_path):
    model, checkpoint = fit(tmp_path, early_stopping=1)
    losses = [row["val_loss"] for row in checkpoint.history]
    best = int(np.argmin(losses))
    assert checkpoint.stopped_early and best < len(losses) - 1
    assert model.evaluate(data(1, 2), verbose=0)[0] == pytest.approx(losses[best], rel=1e-6)
    assert model.optimizer.iterations.numpy() == (best + 1) * STEPS


@pytest.mark.usefixtures("eagerly")
def test_an_early_stop_is_not_forgotten(tmp_path):
    class DieAtTheEnd(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            raise Killed

    with pytest.raises(Killed):
        fit(tmp_path, DieAtTheEnd(), early_stopping=1)
    ours, theirs = fit(tmp_path, early_stopping=1), fit(tmp_path / "whole", early_stopping=1)
    assert_same(ours, theirs)


def test_nan_stops_and_says_where(tmp_path, as_for_users):
    class Nan(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.optimizer.iterations.numpy() == 6:
                kernel = self.model.layers[0].kernel
                kernel.assign(np.full(kernel.shape, np.nan, "float32"))

    # Where oneDNN's fused ReLU makes 0 of NaN the loss does not show it, and the weight does.
    message = "(loss|a weight) became NaN or infinite at step 7; the last good"
    with pytest.raises(RuntimeError, match=message):
        fit(tmp_path, Nan())
    assert checkpoint_file.steps(tmp_path) == [5, 6]
    assert_same(fit(tmp_path), fit(tmp_path / "whole"))


def test_a_weight_that_is_nan_is_not_saved(tmp_path):
    class Nan(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations.numpy() == 2:
                self.model.layers[-1].bias.assign([np.nan])

    with pytest.raises(
        RuntimeError, match=r"a weight became NaN .* at step 2; there is no earlier"
    ):
        fit(tmp_path, Nan())
    assert not checkpoint_file.steps(tmp_path)


@pytest.mark.usefixtures("eagerly")
def test_without_validation(tmp_path):
    model, checkpoint = build(), Checkpoint(tmp_path, steps_per_epoch=STEPS)
    resumable_fit.fit(model, load, epochs=1, checkpoint=checkpoint, callbacks=[])
    assert set(checkpoint.history[0]) == {"epoch", "loss", "mae"}
    assert checkpoint.seconds > 0


@pytest.mark.usefixtures("eagerly")
def test_best_weights_of_several_epochs(tmp_path):
    path = tmp_path / "best.safetensors"
    model, best = build(), BestWeights(path)
    best.set_model(model)
    best.on_epoch_end(0, {"val_loss": 2.0})
    kept = state(model)
    model.layers[0].kernel.assign(model.layers[0].kernel + 1)
    best.on_epoch_end(1, {"val_loss": 3.0})
    best.restore(model)
    for one, other in zip(state(model), kept, strict=True):
        np.testing.assert_array_equal(one, other)
    assert json.loads(snapshot_metadata(path))["epoch"] == 0


def snapshot_metadata(path):
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return file.metadata()["duet"]


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_adamw_follows_its_schedule(schedule):
    options = OptimizerOptions(learning_rate=0.5, schedule=schedule, warmup_steps=10)
    rate = built(options, steps=100)._learning_rate
    if schedule == "constant":
        assert float(rate) == 0.5
    else:
        assert float(rate(0)) == pytest.approx(0.05)
        assert float(rate(10)) == pytest.approx(0.5)
        assert float(rate(55)) == pytest.approx(0.25)
        assert float(rate(100)) == pytest.approx(0, abs=1e-6)


def test_adamw_decays_matrices_alone():
    layer = keras.layers.Dense(2)
    layer.build((None, 2))
    optimizer = built(OptimizerOptions(learning_rate=0.1, weight_decay=0.5), steps=1)
    optimizer.build(layer.trainable_variables)
    before = [keras.ops.convert_to_numpy(v) for v in layer.trainable_variables]
    layer.bias.assign([1.0, 1.0])
    optimizer.apply_gradients([(tf.zeros(v.shape), v) for v in layer.trainable_variables])
    np.testing.assert_allclose(layer.kernel.numpy(), before[0] * 0.95, rtol=1e-6)
    np.testing.assert_array_equal(layer.bias.numpy(), [1, 1])
    assert optimizer.global_clipnorm is None
