"""Several devices and several processes train to the weights of one device.

Virtual devices and TF_CONFIG are settings of a whole process, so this file is also the script of
the processes it starts: `python test_distribution.py STRATEGY DEVICES RESULT.npz CASE ...`, or
`python test_distribution.py devices FOLDER` for all that one process can show of two devices.
"""

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import assert_same, finish, leave_graphs_as_traced, run, run_workers

from pipelines.runs import strategy as strategies

BATCH, STEPS, IMAGE_SIZE, TOKENS = 8, 5, 6, 5
CASES = {  # name: (loss, clipping)
    "contrastive": ("contrastive", {"global_clipnorm": 0.3}),
    "sigmoid": ("sigmoid", {"global_clipnorm": 0.3}),
    "clipnorm": ("contrastive", {"clipnorm": 0.1}),
    "clipvalue": ("sigmoid", {"clipvalue": 0.01}),
    "contrastive, a few rows at a time": ("contrastive", {"global_clipnorm": 0.3}),
    "sigmoid, a few rows at a time": ("sigmoid", {"global_clipnorm": 0.3}),
    "contrastive, similarities in turn": ("contrastive", {"global_clipnorm": 0.3}),
}
EVALUATED = ("contrastive", "sigmoid")  # clipping and rows at a time change nothing of it
FEW = [name for name in CASES if name.endswith("at a time")]  # 2 of 8 / devices; on one device 8
REFUSED = {
    "jit_compile=True": {"jit_compile": True},
    "steps_per_execution > 1": {"steps_per_execution": 2},
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 2},
    "ema_overwrite_frequency": {"use_ema": True, "ema_overwrite_frequency": 2},
    "loss_scale_factor": {"loss_scale_factor": 2.0},
    "outside the scope": {},
}


@pytest.fixture(scope="module")
def devices(tmp_path_factory):
    """A folder with what one process with two devices finds, a file for each subject."""
    folder = tmp_path_factory.mktemp("devices")
    finish(run(__file__, "devices", folder))
    return folder


@pytest.fixture(scope="module")
def one_device(devices):
    return devices / "one.npz"


def test_two_devices_train_and_clip_like_one(devices):
    assert_same(devices / "two.npz", devices / "one.npz", CASES)
    with np.load(devices / "two.npz") as result:
        assert list(result["devices"]) == ["CPU:0", "CPU:1"]
    with np.load(devices / "one.npz") as result:
        assert list(result["devices"]) == ["CPU:0"]


def test_four_devices_train_like_one(one_device, tmp_path):
    path = tmp_path / "four.npz"
    finish(run(__file__, "mirrored", 4, path, "contrastive", "sigmoid"))
    assert_same(path, one_device, ["contrastive", "sigmoid"])


def test_two_processes_train_like_one(one_device, tmp_path):
    name = tmp_path / "worker{worker}.npz"
    cases = ["contrastive", "contrastive, a few rows at a time"]
    finish(*run_workers(__file__, "multi-worker", 1, name, *cases))
    for index in range(2):
        path = tmp_path / f"worker{index}.npz"
        assert_same(path, one_device, cases)
        with np.load(path) as result:
            assert list(result["devices"]) == [f"worker {index} of 2, CPU:0"]


def test_two_devices_get_the_crops_of_one_device_bit_for_bit(devices):
    """What differs in the end is rounding alone: sums over devices are added in another order.

    Adam makes full steps of a gradient that is rounding alone, as that of a key's bias is.
    """
    with np.load(devices / "crops.npz") as result:
        one, parts = result["one"], result["parts"]
    assert one.shape == (STEPS, BATCH, IMAGE_SIZE, IMAGE_SIZE, 3) and len(np.unique(one)) > 100
    np.testing.assert_array_equal(parts, one)


def test_what_cannot_work_on_several_devices_is_refused_by_compile(devices):
    with np.load(devices / "refused.npz") as result:
        for name in REFUSED:
            message = str(result[name])
            assert name in message and "\n" not in message


@pytest.mark.parametrize("clipping", ["none", "global_clipnorm", "clipvalue"])
def test_an_overflow_on_one_device_skips_the_step_on_all(devices, clipping):
    with np.load(devices / "scaled.npz") as result:
        scales, steps = result[f"{clipping}/scales"], result[f"{clipping}/steps"]
        weights = result[f"{clipping}/weights"]  # [step, device]
    assert list(scales) == [1024, 512, 512] and list(steps) == [0, 0, 1]
    # Gradients are 1 on the first device and 3 on the second. Clipping works on their sum.
    moved = {"none": 4.0, "global_clipnorm": 0.5, "clipvalue": 0.25}[clipping]
    np.testing.assert_allclose(weights, [[2, 2], [2, 2], [2 - moved, 2 - moved]])


def batches():
    """Five global batches: repeated tokens, equal ids, and half of the last one is padding."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    real, count = STEPS * BATCH - BATCH // 2, STEPS * BATCH
    row = np.arange(count) % real  # padding repeats images
    image = rng.integers(0, 256, [real, IMAGE_SIZE, IMAGE_SIZE, 3], dtype=np.uint8)[row]
    token_ids = rng.integers(0, 6, [real, TOKENS], dtype=np.int32)[row]
    ids = rng.integers(0, 12, real, dtype=np.int32)[row]
    weight = (np.arange(count) < real).astype(np.float32)
    data = ({"image": image, "token_ids": token_ids}, ids, weight)
    return tf.data.Dataset.from_tensor_slices(data).batch(BATCH, drop_remainder=True)


def load(worker):
    """This worker's rows of every global batch, as `tfrecords.load` gives them."""
    import tensorflow as tf

    index, count = worker
    start, stop = index * BATCH // count, (index + 1) * BATCH // count
    return batches().map(lambda *batch: tf.nest.map_structure(lambda x: x[start:stop], batch))


def build_model(loss, *, batch_norm=True):
    """Towers with what is hard to distribute: batch norm and an embedding."""
    import keras

    from dual_encoder import DualEncoder

    keras.utils.set_random_seed(0)  # after the import, which draws seeds too

    class ImageTower(keras.Sequential):
        image_size, output_dim = IMAGE_SIZE, 8

    class TextTower(keras.Sequential):
        context_length, output_dim, trims_exactly = TOKENS, 8, True

    layers = keras.layers
    image_tower = ImageTower(
        [
            keras.Input([IMAGE_SIZE, IMAGE_SIZE, 3]),
            layers.Rescaling(1 / 255),
            # No bias: before batch norm its gradient is rounding alone, which Adam makes a step of.
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization() if batch_norm else layers.Identity(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
        ]
    )
    text_tower = TextTower(
        [
            keras.Input([TOKENS], dtype="int32"),
            layers.Embedding(6, 8),
            layers.GlobalAveragePooling1D(),
        ]
    )
    model = DualEncoder(image_tower, text_tower, embed_dim=8, loss_name=loss)
    model.build()
    return model


def train(name, path, cases):
    import keras

    from dual_encoder.training import losses

    strategy = strategies.build(name)
    results = {"devices": strategies.describe(strategy)}
    for case in cases:
        loss, clipping = CASES[case]
        # Two of the four rows that each of two devices has, with the eight columns of all.
        losses.SIMILARITIES = 16 if case.endswith("in turn") else BATCH**2
        data = strategies.distribute(strategy, load)
        with strategy.scope():
            model = build_model(loss, batch_norm=case not in FEW)
            few = {"micro_batch": 2} if case in FEW and name != "one" else {}
            model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1, **clipping), **few)
        history = model.fit(data, shuffle=False, verbose=0).history
        assert int(model.optimizer.iterations.numpy()) == STEPS
        results[f"{case}/fit"] = history["loss"]
        if case in EVALUATED:
            results[f"{case}/evaluate"] = model.evaluate(data, verbose=0)
        for index, weight in enumerate(model.weights):  # names count the models of a process
            results[f"{case}/{index} {weight.name}"] = weight.numpy()
    np.savez(path, **results)


def crop(folder):
    """Batches of random crops as one device gets them, and as two do, put together again."""
    from colours import Colours

    import tfrecords

    tfrecords.write(Colours(), folder / "records", shard_size=40, workers=1, progress=False)
    options = {"training": True, "crop_scale": (0.9, 1.0), "seed": 0, "image_size": IMAGE_SIZE}
    read = functools.partial(
        tfrecords.load, folder / "records", "train", batch_size=BATCH, epochs=1, **options
    )
    strategy = strategies.build("mirrored")
    shared = strategies.distribute(strategy, read).take(STEPS)
    parts = [
        np.concatenate(strategy.experimental_local_results(x["image"]))
        for x, *_ in strategy.experimental_distribute_dataset(shared)  # as `fit` does
    ]
    one = [x["image"] for x, *_ in read().take(STEPS)]
    np.savez(folder / "crops.npz", one=one, parts=parts)


def refuse(path):
    """What compile says to each of the options in REFUSED, and `distribute` to an odd batch."""
    import keras

    strategy = strategies.build("mirrored")
    messages = {}
    for name, given in REFUSED.items():
        options = {k: v for k, v in given.items() if k in ("jit_compile", "steps_per_execution")}
        with strategy.scope():
            model = build_model("contrastive")
            adam = {k: v for k, v in given.items() if k not in options}
            optimizer = keras.optimizers.Adam(**adam)
        if name == "outside the scope":
            optimizer = keras.optimizers.Adam()
        with pytest.raises(ValueError) as error:
            model.compile(optimizer, **options)
        messages[name] = str(error.value)
    model.compile("adamw", jit_compile="auto")  # a name is made inside the scope
    pairs = {
        "image": np.zeros((11, IMAGE_SIZE, IMAGE_SIZE, 3), "uint8"),
        "token_ids": np.zeros((11, TOKENS), "int32"),
    }
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="2 devices share evenly; got 11 rows in batches of 8"):
            method(pairs, np.arange(11), batch_size=8)
    with pytest.raises(ValueError, match="multiple of the 2 devices, got 3"):
        strategies.distribute(strategy, lambda worker: batches().rebatch(3, drop_remainder=True))
    with pytest.raises(ValueError, match="batches of a fixed size"):
        strategies.distribute(strategy, lambda worker: batches().rebatch(3))
    np.savez(path, **messages)


def scale_losses(path):
    """A weight, the loss scale and the steps done: at the start, after an overflow on the second
    device, and after a step."""
    import keras
    import tensorflow as tf

    from dual_encoder.training.replica_train_step import ExactTraining

    class Sum(ExactTraining, keras.Model):
        """The loss is weight x sum(x), in all."""

        def build(self, input_shape=None):
            self.weight = self.add_weight((), keras.initializers.Constant(2.0), name="weight")
            self.built = True

        def call(self, x, training=None):
            return self.weight * x

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return tf.reduce_sum(y_pred)

    strategy = strategies.build("mirrored")
    results = {}
    for name, limit in {"none": None, "global_clipnorm": 0.5, "clipvalue": 0.25}.items():
        with strategy.scope():
            model = Sum()
            model.build()
            inner = keras.optimizers.SGD(1.0, **({} if limit is None else {name: limit}))
            model.compile(keras.optimizers.LossScaleOptimizer(inner, initial_scale=1024.0))
            model.optimizer.build(model.trainable_variables)
        states = []
        for x in (None, [1.0, np.inf], [1.0, 3.0]):
            if x is not None:
                data = tf.data.Dataset.from_tensor_slices(np.float32(x)).batch(2)
                model.fit(data, verbose=0)
            optimizer, each = model.optimizer, strategy.experimental_local_results
            weights = [float(v.numpy()) for v in each(model.weight.value)]
            scale, steps = optimizer.dynamic_scale.numpy(), optimizer.iterations.numpy()
            states.append((float(scale), int(steps), weights))
        for place, key in enumerate(("scales", "steps", "weights")):
            results[f"{name}/{key}"] = [state[place] for state in states]
    np.savez(path, **results)


if __name__ == "__main__":
    leave_graphs_as_traced()
    if sys.argv[1] == "devices":
        folder = Path(sys.argv[2])
        strategies.set_virtual_devices(2)
        train("one", folder / "one.npz", CASES)
        train("mirrored", folder / "two.npz", CASES)
        crop(folder)
        refuse(folder / "refused.npz")
        scale_losses(folder / "scaled.npz")
    else:
        name, count, path, *cases = sys.argv[1:]
        if int(count) > 1:
            strategies.set_virtual_devices(int(count))
        train(name, path, cases)
