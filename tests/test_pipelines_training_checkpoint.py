"""Checkpoints: whole or not there, of this model or refused. fitting has the resumed runs."""

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from pipelines.training import checkpoint_file
from pipelines.training.checkpoint import Checkpoint


def build(units=2):
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(units)]
    )
    model.compile(keras.optimizers.AdamW(0.1), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_everything_comes_back(tmp_path):
    model = build()
    for variable in (*model.variables, *model.optimizer.variables):
        variable.assign(np.full(variable.shape, 3, variable.dtype))
    state = {"step": 7, "best": float("inf"), "history": [{"loss": 0.1}]}
    assert checkpoint_file.save(model, tmp_path / "a" / "one.safetensors", state)
    other = build()
    assert checkpoint_file.restore(other, tmp_path / "a" / "one.safetensors") == state
    for variable in (*other.variables, *other.optimizer.variables):
        if "loss" not in variable.path:  # the running mean of a pass is added by add_means
            assert np.all(keras.ops.convert_to_numpy(variable) == 3), variable.path


def test_the_loss_scale_of_half_precision_comes_back(tmp_path):
    def scaled():
        model = build()
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(0.1))
        model.compile(optimizer, "mse", jit_compile=False)
        optimizer.build(model.trainable_variables)
        return model

    model, other = scaled(), scaled()
    x = np.float32([[1, 2, 3]])
    model.train_on_batch(x, np.float32([[np.inf, 0]]))  # overflows: the scale is halved
    model.train_on_batch(x, np.float32([[1, 0]]))
    checkpoint_file.save(model, tmp_path / "one.safetensors", {})
    checkpoint_file.restore(other, tmp_path / "one.safetensors")
    assert float(other.optimizer.dynamic_scale) == 2.0**14
    assert int(other.optimizer.step_counter) == int(other.optimizer.iterations) == 1


def test_running_means_are_added(tmp_path):
    model = build()
    total, count = model.metrics_variables
    total.assign(6.0), count.assign(3.0)
    checkpoint_file.save(model, tmp_path / "one", {})
    total.assign(2.0), count.assign(1.0)
    checkpoint_file.add_means(model, tmp_path / "one")
    assert float(model.get_metrics_result()["loss"]) == 8 / 4


def test_nan_is_not_saved(tmp_path):
    model = build()
    model.layers[-1].bias.assign([np.nan, 0])
    assert not checkpoint_file.save(model, tmp_path / "one.safetensors", {})
    assert not list(tmp_path.iterdir())


def test_only_the_writer_writes(tmp_path):
    assert checkpoint_file.save(build(), tmp_path / "one.safetensors", {}, writes=False)
    assert not list(tmp_path.iterdir())


def test_another_model_is_refused(tmp_path):
    checkpoint_file.save(build(), tmp_path / "one.safetensors", {})
    model = build()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    with pytest.raises(ValueError, match="a checkpoint of another model or optimizer"):
        checkpoint_file.restore(model, tmp_path / "one.safetensors")


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_damaged_file_is_named(size, tmp_path):
    path = tmp_path / "step-00000003.safetensors"
    checkpoint_file.save(build(), path, {})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"step-00000003.safetensors is damaged .*; remove it"):
        Checkpoint(tmp_path, steps_per_epoch=5).resume(build(), [])


def test_a_full_disk_keeps_the_earlier_checkpoints(tmp_path, monkeypatch):
    checkpoint_file.save(build(), tmp_path / "step-00000001.safetensors", {})

    def full(arrays, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_file, "save_file", full)
    with pytest.raises(
        RuntimeError, match=r"step-00000002.* could not be written: .*no space left"
    ):
        checkpoint_file.save(build(), tmp_path / "step-00000002.safetensors", {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.safetensors"]


def test_steps_are_in_order_and_partial_files_are_none(tmp_path):
    for step in (200, 1000, 20):
        checkpoint_file.path_of(tmp_path, step).touch()
    (tmp_path / ".unfinished.1.step-00000030.safetensors").touch()
    (tmp_path / "best.safetensors").touch()
    assert checkpoint_file.steps(tmp_path) == [20, 200, 1000]
    assert checkpoint_file.steps(tmp_path / "nowhere") == []


def test_one_that_a_killed_process_had_still_to_remove_goes(tmp_path):
    model = build()
    for step in (2, 3, 4, 6):
        path = checkpoint_file.path_of(tmp_path, step)
        checkpoint_file.save(
            model, path, {"step": step, "seconds": 0, "history": [], "callbacks": []}
        )
    assert Checkpoint(tmp_path, steps_per_epoch=5, writes=False).resume(model, []) == 6
    assert checkpoint_file.steps(tmp_path) == [2, 3, 4, 6]
    assert Checkpoint(tmp_path, steps_per_epoch=5).resume(model, []) == 6
    assert checkpoint_file.steps(tmp_path) == [4, 6]


def test_a_new_run_starts_at_nothing(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoints", steps_per_epoch=5)
    assert checkpoint.resume(build(), []) == 0 and not checkpoint.stopped_early
    assert not (tmp_path / "checkpoints").exists()


def test_a_payload_that_was_zeroed_is_noticed(tmp_path):
    model = build()
    model.layers[-1].kernel.assign(np.ones((3, 2)))
    checkpoint_file.save(model, path := tmp_path / "step-00000001.safetensors", {"step": 1})
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    path.write_bytes(data[:start] + bytes(len(data) - start))
    with pytest.raises(ValueError, match=r"step-00000001.safetensors is damaged \(its checksum"):
        checkpoint_file.restore(build(), path)


def test_a_state_that_was_changed_is_noticed(tmp_path):
    checkpoint_file.save(build(), path := tmp_path / "step-00000001.safetensors", {"step": 1})
    path.write_bytes(path.read_bytes().replace(b'step\\": 1', b'step\\": 3'))
    with pytest.raises(ValueError, match=r"damaged \(its checksum is another\); remove it"):
        checkpoint_file.restore(build(), path)
    save_file({}, path)
    with pytest.raises(ValueError, match="a checkpoint of another model"):
        checkpoint_file.restore(build(), path)


def test_stray_names_are_no_checkpoints(tmp_path):
    for name in ("step-00000004", "step-backup", "step-00000004 (copy)", "step-4"):
        (tmp_path / f"{name}.safetensors").touch()
    (tmp_path / "step-00000008.safetensors").mkdir()
    assert checkpoint_file.steps(tmp_path) == [4]
