"""Classifiers train on several devices, and a few rows at a time, to the weights of one device.

Virtual devices are a setting of a whole process, so this file is also the script of the processes
it starts: `python test_classifiers_distribution.py devices FOLDER`, or with the arguments of a
command.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from processes import assert_same, finish, leave_graphs_as_traced, run, run_workers
from saved_runs import valid_results, weights

BATCH, STEPS, SIZE, CLASSES = 8, 3, 6, 3
CASES = ("numbers", "soft labels", "several labels")


def test_two_devices_train_like_one(tmp_path):
    finish(run(__file__, "devices", tmp_path))
    assert_same(tmp_path / "two.npz", tmp_path / "one.npz", CASES)
    assert_same(tmp_path / "two at a time.npz", tmp_path / "one.npz", CASES)


def test_two_processes_fine_tune_like_one(tmp_path):
    """The whole command; the first process writes, both measure what is forgotten."""
    import keras
    from colours import Colours
    from tiny_models import clip

    import tfrecords
    from pipelines.__main__ import main

    tfrecords.write(Colours(), tmp_path / "records", workers=1, progress=False)
    keras.utils.set_random_seed(0)
    model = clip(image={"depth": 1}, text={"depth": 1})
    model.build()
    model.save(tmp_path / "clip.keras")
    command = ["finetune", "--data", tmp_path / "records", "--model", tmp_path / "clip.keras"]
    command += ["--method", "flyp", "--epochs", "1", "--batch-size", "20", "--bootstrap", "0"]
    command += ["--held-out", "2", "--learning-rate", "0.003", "--teacher", "7.4", "--out"]
    several = ["--strategy", "multi-worker", "--micro-batch", "5"]
    two = run_workers(__file__, *command, tmp_path / "two", *several)
    assert main([str(word) for word in (*command, tmp_path / "one")]) == 0
    first, second = finish(*two)
    assert "worker 0 of 2" in first and "the first worker writes the results" in second
    ours, theirs = weights(tmp_path / "two"), weights(tmp_path / "one")
    for name, expected in theirs.items():
        # The bias of keys has no gradient but rounding, of which Adam makes steps.
        keys = name.endswith("query_key_value/vars/1")
        tolerance = 1e-3 if keys else 1e-5
        np.testing.assert_allclose(ours[name], expected, atol=tolerance, err_msg=name)
    ours, theirs = (valid_results(tmp_path / name)["history"] for name in ("two", "one"))
    assert len(ours) == len(theirs) == 2
    for row, expected in zip(ours, theirs, strict=True):
        figures = {name for name in expected if name.startswith("val_")}
        assert "val_unseen_top1" in figures
        for name in figures:
            assert row[name] == pytest.approx(expected[name], abs=1e-4), name


def labels(case, count):
    """As `tfrecords.load` gives them: a number, or a column per class."""
    numbers = np.random.default_rng(1).integers(CLASSES, size=[count, 2])
    columns = np.eye(CLASSES, dtype="float32")[numbers]
    if case == "several labels":
        return columns.max(axis=1)  # one class or two
    return columns.mean(axis=1) if case == "soft labels" else numbers[:, 0]


def batches(case):
    """More than half of the last one is padding: on two devices, one has none but that."""
    import tensorflow as tf

    count, real = STEPS * BATCH, STEPS * BATCH - 5
    image = np.random.default_rng(0).integers(256, size=[count, SIZE, SIZE, 3], dtype=np.uint8)
    weight = (np.arange(count) < real).astype("float32")
    data = ({"image": image}, labels(case, count), weight)
    return tf.data.Dataset.from_tensor_slices(data).batch(BATCH, drop_remainder=True)


def build_model(case):
    import keras

    from classifiers import ImageClassifier

    keras.utils.set_random_seed(0)
    layers = [
        keras.Input([SIZE, SIZE, 3]),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(8, 3, kernel_regularizer=keras.regularizers.L2(0.1)),
        keras.layers.GlobalAveragePooling2D(),
    ]
    tower = keras.Sequential(layers, name="tower")
    tower.image_size, tower.output_dim = SIZE, 8
    head = keras.layers.Dense(CLASSES, name="head")
    several = case == "several labels"
    model = ImageClassifier(tower, head, class_names=list("abc"), multi_label=several)
    model.build()
    return model


def compile_model(model, case, **few):
    import keras

    from classifiers import ScaledAdamW

    loss = None
    if case == "soft labels":
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    scales = {variable.path: 3.0 for variable in model.head.variables}
    options = {"weight_decay": 0.1, "global_clipnorm": 0.3, "use_ema": True, "ema_momentum": 0.5}
    optimizer = ScaledAdamW(0.01, scales=scales, **options)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False, **few)


def train(name, path, **few):
    from classifiers import adopt_averages
    from pipelines.runs import strategy as strategies

    strategy, results = strategies.build(name), {}
    for case in CASES:
        data = strategies.distribute(strategy, lambda worker, case=case: batches(case))
        with strategy.scope():
            model = build_model(case)
            compile_model(model, case, **few)
        history = model.fit(data, shuffle=False, verbose=0).history
        results[f"{case}/fit"] = [history["loss"], history["accuracy"]]
        for index, weight in enumerate(model.weights):  # names count the models of a process
            results[f"{case}/{index} {weight.name}"] = weight.numpy()
        adopt_averages(model)
        results[f"{case}/evaluate"] = model.evaluate(data, verbose=0)
        for index, weight in enumerate(model.trainable_variables):
            results[f"{case}/average {index} {weight.name}"] = weight.numpy()
    np.savez(path, **results)


if __name__ == "__main__":
    if sys.argv[1] == "finetune":
        from pipelines.__main__ import main

        sys.exit(main(sys.argv[1:]))
    from pipelines.runs import strategy as strategies

    leave_graphs_as_traced()
    folder = Path(sys.argv[2])
    strategies.set_virtual_devices(2)
    train("one", folder / "one.npz")
    train("mirrored", folder / "two.npz")
    train("mirrored", folder / "two at a time.npz", micro_batch=2)
