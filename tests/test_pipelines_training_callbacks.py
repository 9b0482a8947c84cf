"""What is watched reaches the logs, the progress bar and TensorBoard."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.training import callbacks, tensorboard


def build(rate=0.1):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse", jit_compile=False)
    return model


def fit(*watched, epochs=1, initial_epoch=0, model=None, **options):
    x = np.ones((12, 3), "float32")
    model = model or build()
    data = (x, x[:, :1])
    return model.fit(
        *data,
        batch_size=4,
        epochs=epochs,
        initial_epoch=initial_epoch,
        validation_data=data,
        callbacks=list(watched),
        **options,
    ).history


def test_throughput_leaves_out_the_step_that_compiles(monkeypatch):
    ticks = iter([0.0, 100.0, 101.0, 102.0, 200.0, 202.0, 204.0, 206.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    throughput = callbacks.Throughput(batch_size=4, devices=2)
    throughput.on_train_begin()
    rates = []
    for _ in range(2):
        throughput.on_epoch_begin(0)
        for batch in range(3):
            logs = {}
            throughput.on_train_batch_end(batch, logs)
            rates.append(logs.get("images_per_second"))
        epoch = {}
        throughput.on_epoch_end(0, epoch)
        assert epoch["images_per_second_per_device"] == epoch["images_per_second"] / 2
    # Compiled from 0 to 100; then 4 and 8 images in 1 and 2 s; then 4 to 12 in 2 to 6 s.
    assert rates == [None, 4, 4, 2, 2, 2]


def test_throughput_is_on_the_progress_bar(capsys):
    fit(callbacks.Throughput(batch_size=4), verbose=1)
    assert "images_per_second: " in capsys.readouterr().out


def test_gauges():
    history = fit(callbacks.Gauges(), verbose=0)
    assert history["learning_rate"] == [pytest.approx(0.1)] and "temperature" not in history
    model = build()
    model.logit_scale = keras.ops.convert_to_tensor(20.0)
    assert callbacks.gauges(model)["temperature"] == pytest.approx(0.05)


def test_validation_has_a_bar_on_a_terminal_only(capfd):
    bar = callbacks.ProgressBar()
    fit(bar, verbose=0)
    assert capfd.readouterr().err == "" and bar.bar.disable


def test_curves_go_over_the_steps_of_the_run(tmp_path):
    model = build()
    for first, last in ((0, 1), (1, 3)):  # two fits, as after an interruption
        curves = tensorboard.Curves(tmp_path, every=2)
        fit(curves, model=model, initial_epoch=first, epochs=last, verbose=0)
    training = points(tmp_path / "train")
    assert [step for step, _ in training["loss"]] == [2, 3, 4, 6, 6, 8, 9]
    assert [step for step, _ in training["learning_rate"]] == [2, 4, 6, 8]
    validation = points(tmp_path / "validation")
    assert list(validation) == ["loss"]
    assert [step for step, _ in validation["loss"]] == [3, 6, 9]


def points(directory):
    events = EventAccumulator(str(directory))
    events.Reload()
    found = {}
    for name in events.Tags()["tensors"]:
        tensors = events.Tensors(name)
        # Files begun within one second are read in no order of time: "10" before "9".
        found[name] = sorted(
            (event.step, float(tf.make_ndarray(event.tensor_proto))) for event in tensors
        )
    return found


def test_image_grid_is_written_as_a_run_begins_and_not_again(tmp_path):
    asked = []

    def load():
        asked.append(1)
        x = {"image": np.zeros([3, 5, 5, 3], np.uint8), "token_ids": np.array([[1], [2], [3]])}
        return [(x, np.arange(3), np.ones(3))]

    def describe(x, y):
        return [f"text {row[0]}" for row in x["token_ids"]]

    images = tensorboard.ImageGrid(tmp_path, load=load, describe=describe, count=2)
    model = build()
    fit(images, model=model, verbose=0)
    fit(images, model=model, verbose=0)
    assert len(asked) == 1
    events = EventAccumulator(str(tmp_path / "images"))
    events.Reload()
    (image,) = events.Tensors("training images")
    width, height, png = image.tensor_proto.string_val
    assert (width, height) == (b"10", b"5") and png[1:4] == b"PNG"
    (texts,) = events.Tensors("their texts, in reading order")
    assert list(texts.tensor_proto.string_val) == [b"text 1", b"text 2"]


def test_grid_is_read_row_by_row():
    images = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones([1, 2, 2, 3], np.uint8)
    sheet = tensorboard.grid(images, columns=2)
    assert sheet.shape == (4, 4, 3)
    assert sheet[::2, ::2, 0].tolist() == [[0, 1], [2, 255]]
    assert tensorboard.grid(images).shape == (2, 6, 3)
