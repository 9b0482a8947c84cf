"""Keras' AdamW with less memory, and a fused update on TensorFlow."""

import contextlib
from typing import TYPE_CHECKING, Any

import keras

from duet import keras_private_api

if TYPE_CHECKING:
    from keras.optimizers import Optimizer as _Optimizer
else:
    _Optimizer = object


class WeightByWeight(_Optimizer):
    """Mixin: applies decoupled weight decay and update to each weight once its gradient is ready.

    Keras decays all weights first: TensorFlow then computes all decay terms at once, which takes as
    much memory as the weights, and keeps them until all gradients are ready.

    Reference: Loshchilov and Hutter 2019 (arXiv:1711.05101), algorithm 2.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        self._decays = [keras_private_api.decays(self, variable) for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decays and updates one weight."""
        if self.weight_decay and self._decays[keras_private_api.place_in(self, variable)]:
            rate = keras.ops.cast(learning_rate, variable.dtype)
            with _once_there(gradient):
                self.assign_sub(variable, variable * (self.weight_decay * rate))
        super().update_step(gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Does nothing: `update_step` applies the decay."""

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list:
        """As in Keras; but on one replica, gradients of `in_turn` do not wait for the others.

        They come from one function that has already read its weights. Other weights may still
        be read in the step, so TensorFlow would have to copy them for an early update.
        """
        import tensorflow as tf

        pairs = list(grads_and_vars)
        if tf.executing_eagerly() or tf.distribute.get_strategy().num_replicas_in_sync > 1:
            return super()._all_reduce_sum_gradients(pairs)
        ready = [g is not None and g.op.type == keras_private_api.FUNCTION_CALL for g, _ in pairs]
        others = [pair for pair, done in zip(pairs, ready, strict=True) if not done]
        summed = iter(super()._all_reduce_sum_gradients(others))
        return [pair if done else next(summed) for pair, done in zip(pairs, ready, strict=True)]


class _InPlaceAdam(keras.optimizers.AdamW):
    """Updates with TensorFlow's fused operation; Keras allocates a dozen arrays for it."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if keras.backend.backend() != "tensorflow" or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        weight, m, v = map(_handle, (variable, *keras_private_api.moments(self, variable)))
        beta_1, beta_2, epsilon, rate, step, gradient = (
            tf.cast(number, variable.dtype)
            for number in (
                self.beta_1,
                self.beta_2,
                self.epsilon,
                learning_rate,
                self.iterations + 1,
                gradient,
            )
        )
        tf.raw_ops.ResourceApplyAdam(
            var=weight,
            m=m,
            v=v,
            beta1_power=beta_1**step,
            beta2_power=beta_2**step,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=gradient,
        )


@keras.saving.register_keras_serializable("duet")
class AdamW(WeightByWeight, _InPlaceAdam):
    """Keras' AdamW: the same arguments, state and formula, with a cheaper step on TensorFlow.

    There the update is in place, needs temporary memory for one weight at a time, and is traced in
    a fraction of the time.

    Reference: Kingma and Ba 2015 (arXiv:1412.6980), the form before section 2.1; the decay is that
    of Loshchilov and Hutter 2019 (arXiv:1711.05101).
    """


def _once_there(gradient: Any) -> contextlib.AbstractContextManager:
    """Returns a context in which TensorFlow waits for the gradient."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.control_dependencies([gradient])


def _handle(variable: Any) -> Any:
    """Returns the resource handle of this replica's variable, TensorFlow's or Keras'."""
    return (variable if hasattr(variable, "handle") else variable.value).handle
