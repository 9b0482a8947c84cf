"""Prompts learnt on two devices are those of one.

Virtual devices are a setting of a whole process, so this file is also the script of the processes
it starts: `python test_dual_encoder_prompt_distribution.py FOLDER`
"""

import sys
from pathlib import Path

import numpy as np
from processes import assert_same, finish, run
from prompted_models import model_of

from pipelines.runs import strategy as strategies

BATCH, STEPS = 8, 5
CASES = ("coop", "cocoop")


def test_two_devices_learn_like_one(tmp_path):
    finish(run(__file__, tmp_path))
    assert_same(tmp_path / "mirrored.npz", tmp_path / "one.npz", CASES)
    with np.load(tmp_path / "mirrored.npz") as result:
        assert list(result["devices"]) == ["CPU:0", "CPU:1"]


def learn(case):
    """Fits five steps; CoCoOp with one or two images at a time."""
    import keras
    import tensorflow as tf

    import dual_encoder

    kinds = {"coop": dual_encoder.CoOp, "cocoop": dual_encoder.CoCoOp}
    options = {"chunk": 6} if case == "cocoop" else {"n_ctx": 3}
    names = ["cat", "dog", "red house"]
    model = kinds[case](model_of("clip"), names, seed=1, decay=0.1, **options)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9))
    rng = np.random.default_rng(0)
    x = rng.normal(size=[STEPS * BATCH, 6]).astype("float32")
    y = rng.integers(0, 3, STEPS * BATCH, dtype=np.int32)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH, drop_remainder=True)
    history = model.fit(data, shuffle=False, verbose=0).history
    weights = {
        f"{case}/{i} {weight.name}": weight.numpy() for i, weight in enumerate(model.weights)
    }
    return {f"{case}/loss": history["loss"], **weights}


if __name__ == "__main__":
    strategies.set_virtual_devices(2)
    for name in ("one", "mirrored"):
        strategy = strategies.build(name)
        found = {"devices": strategies.describe(strategy)}
        for case in CASES:
            with strategy.scope():
                found |= learn(case)
        np.savez(Path(sys.argv[1]) / f"{name}.npz", **found)
