"""Set up TensorFlow, devices and seeds for a training run."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from typing import Any

from duet import silenced_stderr

# What TensorFlow and Keras import if it is there, for conversions from JAX, galleries of images and
# scikit-learn's interface: a third of the time of their own import, and 200 MB.
LEFT_OUT = ("jax", "matplotlib", "sklearn")

# Python's defaults (700, 10, 10) look through the million objects of a graph again and again, and
# find no garbage: 8 % of the CPU time of a short training.
COLLECT_EVERY = (50_000, 50, 20)

# A warning that a model of several shapes of batches brings, each of which is meant to be traced.
RETRACED = "triggered tf.function retracing"


def start(
    strategy: str,
    *,
    batch_size: int,
    micro_batch: int = 0,
    virtual_devices: int = 0,
    precision: str = "float32",
    seed: int = 0,
) -> Any:
    """Start TensorFlow without its log messages, and print the devices used.

    Args:
        strategy: one, mirrored or multi-worker.
        batch_size: of all devices together.
        micro_batch: rows that each of them works on at a time; 0 for all of its own.
        virtual_devices: split the CPU into so many devices; 0 for no.
        precision: Keras' dtype policy.
        seed: of weights and dropout.

    Returns:
        The `tf.distribute.Strategy`; build the model in its scope.

    Raises:
        ValueError: no such strategy, TF_CONFIG does not say how to be multi-worker, or the batch
            cannot be cut into equal parts.
    """
    if virtual_devices and strategy != "mirrored":
        raise ValueError(f"--virtual-devices goes with --strategy mirrored, not with {strategy}")
    from pipelines.runs import strategy as strategies

    import_tensorflow()
    import keras

    import dual_encoder  # noqa: F401  before seeding: layers may draw random numbers when imported

    if virtual_devices:
        strategies.set_virtual_devices(virtual_devices)
    built = strategies.build(strategy)
    devices = strategies.describe(built)
    print(f"devices: {', '.join(devices)}")
    if batch_size % built.num_replicas_in_sync:
        raise ValueError(
            f"--batch-size: expected a multiple of the {built.num_replicas_in_sync} devices; "
            f"got {batch_size}"
        )
    each = batch_size // built.num_replicas_in_sync
    if micro_batch and each % micro_batch:
        raise ValueError(
            f"--micro-batch: expected a divisor of the {each} images of a batch that each device "
            f"has; got {micro_batch}"
        )
    keras.utils.clear_session()  # variables of a second run in this process are called the same
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    if line := precision_in_words(precision):
        print(line)
    return built


def precision_in_words(precision: str) -> str:
    """A line on what multiplies half precision on a CPU, and on what gains nothing; else empty."""
    from dual_encoder.towers import cpu_bfloat16_instructions, xla_policy

    if not precision.endswith("float16") or xla_policy.on_accelerator():
        return ""
    if precision.endswith("bfloat16") and cpu_bfloat16_instructions.names():
        return (
            f"precision: {precision}, embeddings by {cpu_bfloat16_instructions.names()} in oneDNN"
        )
    return f"precision: this CPU has no instructions for {precision}; float32 is no slower"


def say_kept_precision(model: Any, name: str) -> None:
    """Print if a model keeps another precision than requested, as .keras files do."""
    import keras

    kept = getattr(model, "image_tower", model).dtype_policy.name
    if kept != keras.config.dtype_policy().name:
        print(
            f"precision: {name} keeps {kept}, which it was saved with; "
            f"--precision {keras.config.dtype_policy().name} changes nothing"
        )


def use_xla(strategy: Any) -> bool:
    """Whether to use XLA: with one accelerator only, as CPUs compile for minutes for nothing."""
    import tensorflow as tf

    return strategy.num_replicas_in_sync == 1 and bool(tf.config.list_logical_devices("GPU"))


def check_backend() -> None:
    """Take TensorFlow for Keras, whatever keras.json has; ValueError where KERAS_BACKEND asks for
    another."""
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND: expected tensorflow, on which all commands work; got {backend}"
        )


def import_tensorflow() -> None:
    """Import TensorFlow; what it says of drivers it did not find goes nowhere.

    It writes these lines from C++ before any log level counts, so standard error itself is turned
    away while the import lasts. What goes wrong is still raised as an exception. `LEFT_OUT` is not
    imported with it; code that needs it imports it afterwards. What was imported is not looked
    through for garbage, nor is the process as often as by default. Of keras.json nothing counts:
    models are of float32 numbers, with channels last.
    """
    check_backend()
    if "tensorflow" in sys.modules:
        return
    gc.disable()
    try:
        with silenced_stderr.silenced(), _without(*LEFT_OUT):
            import keras
            import tensorflow
    finally:
        gc.set_threshold(*COLLECT_EVERY)
        gc.enable()
    gc.freeze()
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    tensorflow.get_logger().addFilter(lambda record: RETRACED not in record.getMessage())


@contextlib.contextmanager
def _without(*packages: str) -> Iterator[None]:
    """Importing one of these packages fails meanwhile, unless it was imported before."""
    blocked = [name for name in packages if name not in sys.modules]
    for name in blocked:
        sys.modules[name] = None  # type: ignore[assignment]  # which `import` refuses
    try:
        yield
    finally:
        for name in blocked:
            sys.modules.pop(name, None)
