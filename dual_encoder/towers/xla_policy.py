"""Where XLA compiles: on a GPU or TPU, not whole models on a CPU."""

import keras


def xla_by_default() -> bool | str:
    """Returns the default of `jit_compile`: Keras's `"auto"`, but no XLA on a CPU."""
    on_cpu = keras.backend.backend() == "tensorflow" and not on_accelerator()
    return False if on_cpu else "auto"


def without_xla_on_cpu(model: keras.Model) -> None:
    """Applies `xla_by_default` to `predict` and `evaluate` of an uncompiled model."""
    if xla_by_default() is False:
        model.jit_compile = False


def on_accelerator() -> bool:
    """Returns whether there is a GPU or TPU.

    On a CPU, XLA needs ten seconds per shape to compile a whole transformer, which `in_turn`
    avoids, and minutes for convolutions, which then run slower.
    """
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))
