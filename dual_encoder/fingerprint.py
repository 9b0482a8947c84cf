"""A hash of everything that determines a model's embeddings, to identify it."""

import hashlib
import json
from typing import Any

import keras
import numpy as np

from dual_encoder.model import DualEncoder
from dual_encoder.variable_names import named_variables


def fingerprint(model: DualEncoder) -> str:
    """Returns a hash of a dual encoder's weights, pixel statistics, preprocessing and tokenizer.

    32 hexadecimal digits of BLAKE2b, the same in every process, however the model was loaded. The
    temperature is left out, as embeddings do not depend on it.

    Example:
        >>> fingerprint(dual_encoder.load("shapes-tiny")) == fingerprint(other)
        False
    """
    digest = hashlib.blake2b(digest_size=16)
    tower, tokenizer = model.image_tower, model.tokenizer
    settings: dict[str, Any] = {
        "preprocessing": model.preprocessing,
        "statistics": [getattr(tower, name, None) for name in ("mean", "std")],
        "tokenizer": tokenizer.get_config() if tokenizer is not None else None,
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for name, variable in sorted(named_variables(model).items()):
        if "/" in name:  # weights of a tower or a projection
            values = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
            digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
            digest.update(values.tobytes())
    return digest.hexdigest()
