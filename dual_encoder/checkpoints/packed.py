"""A dual encoder as one safetensors file: weights by name, the configuration in the metadata.

Weights are stored in half precision, which halves the file; `load` gives float32 back.
"""

import json
from pathlib import Path

import keras
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from dual_encoder.model import DualEncoder


def save(model: DualEncoder, path: str | Path) -> None:
    """Write weights (rounded to float16), architecture and tokenizer to `path`."""
    arrays = {name: np.asarray(weight, np.float16) for name, weight in _named(model).items()}
    config = json.dumps(keras.saving.serialize_keras_object(model))
    save_file(arrays, path, metadata={"duet": config})


def load(path: str | Path) -> DualEncoder:
    """Read what `save` wrote.

    Raises:
        ValueError: weights of the file and variables of the model do not match; lists both.
    """
    with safe_open(path, framework="numpy") as file:
        config = json.loads(file.metadata()["duet"])
        model = keras.saving.deserialize_keras_object(config)
        model.build()
        variables, names = _named(model), set(file.keys())
        if names != set(variables):
            raise ValueError(
                f"{path}: weights without a variable: {sorted(names - set(variables))}; "
                f"variables without a weight: {sorted(set(variables) - names)}"
            )
        for name, variable in variables.items():
            variable.assign(file.get_tensor(name).astype(variable.dtype))
    return model


def _named(model: DualEncoder) -> dict[str, keras.Variable]:
    """Weights by their path inside the model."""
    return {weight.path.split("/", 1)[1]: weight for weight in model.weights}
