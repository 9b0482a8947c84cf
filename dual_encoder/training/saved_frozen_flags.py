"""Which weights of a model are frozen, as a saved file has it.

Keras keeps `trainable` of a layer that has a configuration of its own; the layers that a tower
makes for itself have none, and would be trained again by whoever loads the model.
"""

from collections.abc import Sequence
from typing import Any

import keras

from duet import keras_private_api


def frozen(model: keras.Model) -> list[dict[str, Any]]:
    """The layers of a model that are frozen, or have frozen weights: for `freeze`, and JSON."""
    found = []
    for place, layer in enumerate(keras_private_api.layers_of(model)):
        weights = keras_private_api.own_trainable_variables(layer)
        still = [number for number, weight in enumerate(weights) if not weight.trainable]
        if still or not layer.trainable:
            about = {"place": place, "name": layer.name, "whole": not layer.trainable}
            found.append({**about, "weights": still})
    return found


def freeze(model: keras.Model, found: Sequence[dict[str, Any]]) -> None:
    """Freeze in a built model what `frozen` found in one of the same layers."""
    layers = dict(enumerate(keras_private_api.layers_of(model)))
    for each in found:
        layer = layers.get(each["place"])
        if layer is None or layer.name != each["name"]:
            continue  # a model of other layers
        if each["whole"]:
            layer.trainable = False
        weights = dict(enumerate(keras_private_api.own_trainable_variables(layer)))
        for number in each["weights"]:
            if number in weights:
                weights[number].trainable = False
