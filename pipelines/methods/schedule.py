"""Length and learning-rate schedule of a few-shot run."""

import math

import keras

EPOCHS = {1: 50, 4: 100}  # up to so many shots; CoOp's README

MOST_EPOCHS = 200


def epochs_of(shots: int) -> int:
    """CoOp's: 50 for one shot, 100 for 2 and 4, 200 for 8 and 16."""
    return next((epochs for most, epochs in EPOCHS.items() if shots <= most), MOST_EPOCHS)


class CoOpSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """One epoch at 1e-5, then a cosine that is stepped once per epoch.

    In epoch e of T the rate is half the highest times 1 + cos(pi (e - 1) / T), as CoOp's own
    configuration has it.

    Args:
        learning_rate: the highest.
        steps: of one epoch.
        epochs: T.
    """

    WARMUP = 1e-5

    def __init__(self, learning_rate: float, *, steps: int, epochs: int):
        self.learning_rate, self.steps, self.epochs = learning_rate, steps, epochs

    def __call__(self, step):
        ops = keras.ops
        epoch = ops.floor(ops.cast(step, "float32") / self.steps)
        cosine = ops.cos(math.pi * (epoch - 1) / self.epochs)
        return ops.where(epoch < 1, self.WARMUP, 0.5 * self.learning_rate * (1 + cosine))

    def get_config(self):
        return {"learning_rate": self.learning_rate, "steps": self.steps, "epochs": self.epochs}
