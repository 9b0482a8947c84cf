"""The private names of Keras that Duet's models need, each with the public name it lacks.

`tests/test_dual_encoder_plain_keras.py` fails where one of them goes.
Overridden: `_maybe_symbolic_build`, by `ExactTraining`.
"""

from typing import Any

import keras


def layers_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layer itself and every layer inside it, however deep; `Model.layers` stops at the first
    level."""
    return list(layer._flatten_layers())


def is_scoped(model: keras.Model) -> bool:
    """Whether the model was made in the scope of a strategy: Keras then looks at a batch before it
    trains."""
    return model._distribute_strategy is not None


def added_losses(model: keras.Model) -> Any:
    """The sum of what the layers of a model add to its loss, this replica's share of it."""
    return sum(map(model._aggregate_additional_loss, model.losses))
