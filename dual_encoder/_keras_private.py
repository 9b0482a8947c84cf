"""Wrappers of the private Keras names that Duet needs and that have no public equivalent.

`tests/test_dual_encoder_plain_keras.py` fails if Keras removes one of them.
Overridden: `_maybe_symbolic_build`, by `ExactTraining`.
"""

from typing import Any

import keras


def layers_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layer and all layers nested in it; `Model.layers` has only the first level."""
    return list(layer._flatten_layers())


def is_scoped(model: keras.Model) -> bool:
    """Returns whether the model was created in a strategy's scope: Keras then takes a batch before
    training."""
    return model._distribute_strategy is not None


def added_losses(model: keras.Model) -> Any:
    """Returns this replica's share of the losses that layers add to the model's loss."""
    return sum(map(model._aggregate_additional_loss, model.losses))
