"""Keras' AdamW, with an update that is one operation on TensorFlow."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("duet")
class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW: the same arguments, state and formula, and a cheaper step on TensorFlow.

    There Keras makes a dozen arrays as large as the weight, one after the other; TensorFlow's own
    operation works in place, and is traced in a fraction of the time.

    Reference: Kingma and Ba 2015 (arXiv:1412.6980), the form before section 2.1; the decay is that
    of Loshchilov and Hutter 2019 (arXiv:1711.05101).
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The step of one weight, once it has been decayed."""
        if keras.backend.backend() != "tensorflow" or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        index = self._get_variable_index(variable)
        weight, m, v = map(_handle, (variable, self._momentums[index], self._velocities[index]))
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


def _handle(variable: Any) -> Any:
    """Of this replica's variable, TensorFlow's own or Keras'."""
    return (variable if hasattr(variable, "handle") else variable.value).handle
