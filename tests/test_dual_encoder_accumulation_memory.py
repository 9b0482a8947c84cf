"""A few rows at a time take the memory of a few rows.

In processes of their own: memory that one has taken stays with it.
"""

import os
import sys
from pathlib import Path

import keras
import pytest
from processes import finish, run

from dual_encoder.training.replica_train_step import ExactTraining

ROWS, WIDTH = 64, 100_000
ACTIVATION = ROWS * WIDTH * 4  # bytes of the hidden layer
CLEAR = Path("/proc/self/clear_refs")


@keras.saving.register_keras_serializable("duet-tests")
class Exact(ExactTraining, keras.Sequential):
    pass


def test_memory_grows_with_the_part_and_not_with_the_batch():
    if not CLEAR.exists():
        pytest.skip("the peak of a process cannot be measured here")
    whole, parts = (int(said.split()[-1]) for said in finish(run(__file__, ROWS), run(__file__, 2)))
    assert whole > 2 * ACTIVATION
    assert parts < whole - ACTIVATION


def gradients(rows, size):
    """As a step of `fit` takes them, `size` rows at a time."""
    import tensorflow as tf

    layers = [keras.layers.Dense(WIDTH, activation="gelu"), keras.layers.Dense(2)]
    model = Exact([keras.Input([1]), *layers])
    model.compile("sgd", "mse", micro_batch=size, jit_compile=False)
    tf.function(model.gradients_of, autograph=False)(tf.ones([rows, 1]), tf.ones([rows, 2]))


def peak(size):
    """Bytes that a step takes at the most, above those before; one on less data comes first."""
    gradients(4, 2)  # pays for what TensorFlow keeps
    CLEAR.write_text("5")  # the peak so far is forgotten
    before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    gradients(ROWS, size)
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 - before


if __name__ == "__main__":
    print(peak(int(sys.argv[1])))
