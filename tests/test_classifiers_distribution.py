"""Classifiers train on several devices, and a few rows at a time, to the weights of one device.

Virtual devices are a setting of a whole process, so this file is also the script of the processes
it starts: `python test_classifiers_distribution.py STRATEGY DEVICES RESULT.npz`
"""

import sys

import numpy as np
import pytest
from processes import assert_same, finish, run

BATCH, STEPS, SIZE, CLASSES = 8, 4, 6, 3
CASES = ("numbers", "soft labels", "several labels", "batch norm")
FEW = CASES[:3]  # batch norm sees all rows at once


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "one.npz"
    finish(run(__file__, "one", 1, path))
    return path


def test_two_devices_train_like_one(one_device, tmp_path):
    path = tmp_path / "two.npz"
    finish(run(__file__, "mirrored", 2, path))
    assert_same(path, one_device, CASES + tuple(f"{case}, 2 at a time" for case in FEW))


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
        # No bias: before batch norm its gradient is rounding alone, which Adam makes a step of.
        keras.layers.Conv2D(8, 3, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.1)),
        keras.layers.BatchNormalization() if case == "batch norm" else keras.layers.Identity(),
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


def train(name, path):
    from classifiers import adopt_averages
    from pipelines.runs import strategy as strategies

    strategy, results = strategies.build(name), {}
    runs = [(case, case, {}) for case in CASES]
    # On one device, what the others are compared with: all rows at once.
    few = {} if name == "one" else {"micro_batch": 2}
    runs += [(f"{case}, 2 at a time", case, few) for case in FEW]
    for title, case, options in runs:
        data = strategies.distribute(strategy, lambda worker, case=case: batches(case))
        with strategy.scope():
            model = build_model(case)
            compile_model(model, case, **options)
        history = model.fit(data, shuffle=False, verbose=0).history
        results[f"{title}/fit"] = [history["loss"], history["accuracy"]]
        for index, weight in enumerate(model.weights):  # names count the models of a process
            results[f"{title}/{index} {weight.name}"] = weight.numpy()
        adopt_averages(model)
        results[f"{title}/evaluate"] = model.evaluate(data, verbose=0)
        for index, weight in enumerate(model.trainable_variables):
            results[f"{title}/average {index} {weight.name}"] = weight.numpy()
    np.savez(path, **results)


if __name__ == "__main__":
    from pipelines.runs import strategy as strategies

    name, devices, path = sys.argv[1:]
    if int(devices) > 1:
        strategies.set_virtual_devices(int(devices))
    train(name, path)
