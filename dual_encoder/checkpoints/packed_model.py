"""A dual encoder in one safetensors file: weights by name, configuration in the metadata.

Floats are stored in half precision, which halves the file; `load_packed` gives float32 back.
"""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dual_encoder.model import DualEncoder
from dual_encoder.variable_names import named_variables


def save_packed(model: DualEncoder, path: str | Path) -> None:
    """Write weights (floats rounded to float16), architecture and tokenizer to `path`.

    Raises:
        ValueError: a weight that float16 cannot hold, which ends at 65,504.
    """
    arrays = {name: _halved(name, variable) for name, variable in named_variables(model).items()}
    config = json.dumps(keras.saving.serialize_keras_object(model))
    save_file(arrays, path, metadata={"duet": config})


def load_packed(path: str | Path) -> DualEncoder:
    """Read what `save_packed` wrote, under the global precision, `keras.config.dtype_policy`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not one of `save_packed`'s, or its weights and the variables of the
            model do not match; lists both.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error})") from error
    if "duet" not in metadata:
        raise ValueError(f"{path}: expected a dual encoder; its metadata have no key 'duet'")
    config = _under_global_policy(json.loads(metadata["duet"]))
    model = keras.saving.deserialize_keras_object(config)
    if not model.built:
        model.build()
    variables = named_variables(model)
    found = {f"{name} {array.shape}" for name, array in arrays.items()}
    expected = {f"{name} {tuple(variable.shape)}" for name, variable in variables.items()}
    if found != expected:
        raise ValueError(
            f"{path}: weights without a variable: {sorted(found - expected)}; "
            f"variables without a weight: {sorted(expected - found)}"
        )
    for name, variable in variables.items():
        variable.assign(keras.ops.cast(arrays[name], variable.dtype))
    return model


def _under_global_policy(config: Any) -> Any:
    """The configuration with the global policy for the float32 that it was written under."""
    if isinstance(config, list):
        return [_under_global_policy(each) for each in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and config["config"]["name"] == "float32":
        return keras.saving.serialize_keras_object(keras.config.dtype_policy())
    return {key: _under_global_policy(value) for key, value in config.items()}


def _halved(name: str, variable: keras.Variable) -> np.ndarray:
    array = keras.ops.convert_to_numpy(variable)
    if not np.issubdtype(array.dtype, np.floating):
        return array
    if not np.all(np.abs(array) <= np.finfo(np.float16).max):
        raise ValueError(f"{name}: expected numbers that float16 can hold, at most 65504")
    return array.astype(np.float16)
