"""Every private name of Keras and TensorFlow that Duet uses, each behind a function.

None has a public equivalent. `tests/test_duet_keras_private_api.py` says what breaks without each.
"""

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# Methods that Duet's subclasses override: nothing fails where Keras stops calling one.
OVERRIDDEN = {
    "keras.Model": ("_maybe_symbolic_build",),  # by `ExactTraining`
    "keras.layers.Layer": ("_check_quantize_args",),  # by `TakesLoraAndIntegers`
    "keras.optimizers.AdamW": ("_apply_weight_decay", "_all_reduce_sum_gradients"),  # by `AdamW`
    "keras.optimizers.Optimizer": ("_update_model_variables_moving_average",),  # by `ScaledAdamW`
}

RANDOM_STATE = "seed_generator_state"  # name of the variable of a `keras.random.SeedGenerator`
FUNCTION_CALL = "PartitionedCall"  # type of the graph's operation that calls a `tf.function`


def layers_of(layer: "keras.layers.Layer") -> "list[keras.layers.Layer]":
    """Returns the layer and all layers nested in it; `Model.layers` has only the first level."""
    return list(layer._flatten_layers())


def layer_kinds(model: "keras.Model") -> int:
    """Returns a number that changes where LoRA or quantization replaces the weights of a layer: a
    graph traced before holds the old ones."""
    layers = layers_of(model)
    return hash(
        tuple((each.dtype_policy.name, getattr(each, "lora_enabled", 0)) for each in layers)
    )


def own_trainable_variables(layer: "keras.layers.Layer") -> "list[keras.Variable]":
    """Returns the weights that the layer itself made to be trained, also where it is frozen."""
    return list(layer._trainable_variables)


def random_states(model: "keras.Model") -> "list[keras.Variable]":
    """Returns the states of all random generators of the model."""
    return [v for v in model.non_trainable_variables if v.name == RANDOM_STATE]


def set_initializer(variable: "keras.Variable", initializer: Callable) -> None:
    """Sets what gives the variable its first value, `initializer(shape, dtype=)`."""
    variable._initializer = initializer


def forget_uninitialized() -> None:
    """Takes back what the end of a `StatelessScope` failed to initialize: Keras would try it again
    at the end of every later one, and fail there."""
    import keras

    keras.src.backend.common.global_state.set_global_attribute("uninitialized_variables", [])


def is_scoped(model: "keras.Model") -> bool:
    """Returns whether the model was created in a strategy's scope: Keras then takes a batch before
    training. Other backends than TensorFlow have none."""
    return getattr(model, "_distribute_strategy", None) is not None


def make_metrics(model: "keras.Model", y: Any, y_pred: Any) -> None:
    """Makes the metrics that `compile` was given, from the shapes of targets and predictions.

    Keras makes them in the first step, whose variables have TensorFlow trace it a second time.
    """
    metrics = model._compile_metrics
    if metrics is not None and not metrics.built:
        metrics.build(y, y_pred)


def added_losses(model: "keras.Model") -> Any:
    """Returns this replica's share of the losses that layers add to the model's loss."""
    return sum(map(model._aggregate_additional_loss, model.losses))


def place_in(optimizer: "keras.optimizers.Optimizer", variable: Any) -> int:
    """Returns the variable's place among those that the optimizer was built for."""
    return optimizer._get_variable_index(variable)


def decays(optimizer: "keras.optimizers.Optimizer", variable: "keras.Variable") -> bool:
    """Returns whether the optimizer applies weight decay to this variable."""
    return optimizer._use_weight_decay(variable)


def moments(optimizer: "keras.optimizers.Adam", variable: Any) -> tuple[Any, Any]:
    """Returns Adam's first and second moment of a variable."""
    index = place_in(optimizer, variable)
    return optimizer._momentums[index], optimizer._velocities[index]


def averages(
    optimizer: "keras.optimizers.Optimizer",
) -> "list[tuple[keras.Variable, keras.Variable]]":
    """Returns each trained weight with its moving average, of an optimizer with `use_ema`."""
    found = optimizer._model_variables_moving_average
    return list(zip(optimizer._trainable_variables, found, strict=True))


def name_for_export(model: "keras.Model") -> None:
    """Renames TensorFlow's variables whose names no SavedModel takes: those that begin with `_`, as
    layers of networks converted from PyTorch may. Keras' own names and paths stay."""
    for variable in model.variables:
        name = getattr(variable.value, "_handle_name", "")
        if name.startswith("_"):
            variable.value._handle_name = f"v{name}"


def litert_schema() -> tuple[ModuleType, ModuleType]:
    """Returns TensorFlow's modules of a `.tflite` file: its classes, and how to read and write."""
    from tensorflow.lite.python import schema_py_generated
    from tensorflow.lite.tools import flatbuffer_utils

    return schema_py_generated, flatbuffer_utils
