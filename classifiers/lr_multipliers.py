"""Optimizers with a learning-rate factor per weight, which Keras lacks.

`keras.optimizers.MultiOptimizer` uses one optimizer per group of weights instead: there is no
single learning rate to log or schedule, and gradients are clipped per group.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from dual_encoder import AdamW, WeightByWeight
from duet import keras_private_api

if TYPE_CHECKING:
    from keras.optimizers import Optimizer as _Optimizer
else:
    _Optimizer = object


EMA_LAG = 9  # a tenth of the steps so far is what an average looks back on


class _Scaled(_Optimizer):
    """Mixin: scales learning rate and weight decay by a factor per weight.

    `use_ema` averages the weights, but does not overwrite them with the averages at the end of
    `fit`, because a resumed run calls `fit` twice. In step t the average keeps no more of itself
    than t / (t + 9): with a momentum of 0.999, it would be the first step's weights for hundreds of
    steps. (The rule of `tf.train.ExponentialMovingAverage` with `num_updates`.)
    """

    ema_momentum: Any  # of Keras: a number, or a tensor while averages are updated

    def __init__(self, *args: Any, scales: Mapping[str, float] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.scales = dict(scales or {})

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        self._factors = [self.scales.get(variable.path, 1.0) for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate = keras.ops.cast(learning_rate, variable.dtype)
        factor = self._factors[keras_private_api.place_in(self, variable)]
        super().update_step(gradient, variable, rate * factor)

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        asked = self.ema_momentum
        step = keras.ops.cast(self.iterations, "float32")
        self.ema_momentum = keras.ops.minimum(step / (step + EMA_LAG), asked)
        try:
            super()._update_model_variables_moving_average(trainable_variables)
        finally:
            self.ema_momentum = asked

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        """Does nothing: see the class."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scales": self.scales}


@keras.saving.register_keras_serializable("duet")
class ScaledAdamW(_Scaled, AdamW):
    """`AdamW` with `scales`: path of a variable -> learning-rate factor, default 1."""


@keras.saving.register_keras_serializable("duet")
class ScaledSGD(_Scaled, WeightByWeight, keras.optimizers.SGD):
    """Keras' SGD with `scales` and decoupled weight decay."""


class averaged_weights:
    """Context in which the model has its averaged weights (`use_ema`), if there are any.

    On exit the previous weights are restored for further training.
    """

    def __init__(self, model: keras.Model):
        optimizer = getattr(model, "optimizer", None)
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
        self.pairs: list[tuple[keras.Variable, keras.Variable]] = []
        if optimizer is not None and optimizer.use_ema and optimizer.iterations.numpy():
            self.pairs = keras_private_api.averages(optimizer)

    def __enter__(self) -> None:
        self.before = [keras.ops.convert_to_numpy(weight) for weight, _ in self.pairs]
        for weight, average in self.pairs:
            weight.assign(average)

    def __exit__(self, *_: Any) -> None:
        for (weight, _), value in zip(self.pairs, self.before, strict=True):
            weight.assign(value)


def adopt_averages(model: keras.Model) -> None:
    """Replace the model's weights by their averages (`use_ema`), if there are any."""
    averaged_weights(model).__enter__()
