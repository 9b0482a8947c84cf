"""Name a model's variables by a path that depends only on its architecture."""

from typing import Any

import keras

PARTS = ("image_tower", "text_tower", "image_projection", "text_projection", "head")


def named_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns weights by model part and path, independent of how the parts were built.

    Raises:
        ValueError: two weights have the same path.
    """
    named = {}
    for name in ("log_scale", "logit_bias"):
        if hasattr(model, name):
            named[name] = getattr(model, name)
    for part in PARTS:
        layer: Any = getattr(model, part, None)
        for weight in layer.weights if layer is not None else ():
            name = f"{part}/{weight.path.rpartition(f'{layer.name}/')[-1]}"
            if name in named:
                raise ValueError(f"two weights are called {name}")
            named[name] = weight
    return named
