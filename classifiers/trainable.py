"""Choose which weights of a classifier are trained, and their learning-rate factors."""

import re
from collections.abc import Iterable

import keras
from keras import ops

from classifiers.image_classifier import ImageClassifier
from duet import keras_private_api

# Names of a tower's blocks in variable paths; the first pattern that matches is used.
BLOCKS = (
    r"(?:^|/)(block_\d+)/",  # Duet's transformers
    r"(?:^|/)(stage_\d+_block_\d+|stage_\d+/block_\d+)",  # CLIP's ResNet
    r"(?:^|/)(conv\d+_block\d+)_",  # ResNet50
    r"(?:^|/)(block\d+[a-z]?)_",  # Xception and EfficientNet
    r"(?:^|/)(?:convolution|norm)_(\d+)/",  # Duet's convolutions
)


def stages(model: ImageClassifier) -> list[list[keras.Variable]]:
    """Returns the weights in order from input to output: stem, each block, the rest, and the head.

    The rest follows the last block, such as norm and projection. In convolutional towers, layers
    between two blocks belong to the first of them.
    """
    tower = _from_input_to_output(model.image_tower)
    pattern = next((p for p in BLOCKS if any(re.search(p, v.path) for v in tower)), None)
    keys = [_block(pattern, variable) for variable in tower]
    last = max((i for i, key in enumerate(keys) if key), default=-1)
    order: dict[str | None, list[keras.Variable]] = {None: []}
    current = None
    for variable, key in zip(tower[: last + 1], keys, strict=False):
        current = key or current
        order.setdefault(current, []).append(variable)
    projection = model.image_projection
    rest = [*tower[last + 1 :], *(projection.trainable_variables if projection else ())]
    return [*order.values(), rest, list(model.head.trainable_variables)]


def _from_input_to_output(tower: keras.layers.Layer) -> list[keras.Variable]:
    """Returns a tower's weights; Keras has them in the order in which layers were made."""
    in_order = getattr(tower, "layers_in_order", None)
    if in_order is None:
        return tower.trainable_variables
    return [variable for layer in in_order() for variable in layer.trainable_variables]


def _block(pattern: str | None, variable: keras.Variable) -> str | None:
    found = re.search(pattern, variable.path) if pattern else None
    return found[1] if found else None


def train_only(model: ImageClassifier, *, last_blocks: int) -> None:
    """Freeze all but the head, the last blocks and what follows them.

    Args:
        last_blocks: number of blocks to train; 0 for the head alone, with fixed features.

    Frozen batch normalisation uses its running statistics without updating them.

    Raises:
        ValueError: the tower has fewer blocks.
    """
    *before, rest, _ = stages(model)
    blocks = len(before) - 1
    if not 0 <= last_blocks <= blocks:
        raise ValueError(
            f"last blocks: expected 0 to the {blocks} blocks of the tower; got {last_blocks}"
        )
    kept = before[len(before) - last_blocks :] if last_blocks else []
    frozen = [variable for stage in before[: len(before) - len(kept)] for variable in stage]
    freeze(model, [*frozen, *([] if last_blocks else rest)])
    for part in (model.image_tower, model.image_projection):
        if part is not None and not last_blocks:
            part.trainable = False  # its dropout, too, which no weights could compensate


def freeze(model: keras.Model, variables: Iterable[keras.Variable]) -> None:
    """Freeze these weights; a layer with only frozen weights runs in inference mode."""
    frozen = {id(variable) for variable in variables}
    for layer in keras_private_api.layers_of(model):
        weights = keras_private_api.own_trainable_variables(layer)
        alone = len(keras_private_api.layers_of(layer)) == 1
        if weights and alone and all(id(variable) in frozen for variable in weights):
            layer.trainable = False
        for variable in weights:
            if id(variable) in frozen:
                variable.trainable = False


def keep_batch_norms(model: keras.Model) -> None:
    """Freeze batch normalisation that has learnt: in training, too, it goes by its statistics.

    By those of a batch of a few classes a pretrained network is another function, from which
    nothing is left of what it answered: not what class names or a probe give a head to start with.
    Layers with the statistics of new ones, mean 0 and variance 1, are left to learn.
    """
    for layer in keras_private_api.layers_of(model):
        if isinstance(layer, keras.layers.BatchNormalization) and not _is_new(layer):
            layer.trainable = False


def _is_new(norm: keras.layers.BatchNormalization) -> bool:
    mean, variance = (ops.convert_to_numpy(v) for v in (norm.moving_mean, norm.moving_variance))
    return bool((mean == 0).all() and (variance == 1).all())


def thaw(model: keras.Model) -> None:
    """Make all weights trainable again."""
    for layer in keras_private_api.layers_of(model):
        layer.trainable = True
        for variable in keras_private_api.own_trainable_variables(layer):
            variable.trainable = True


def scales(
    model: ImageClassifier, *, layer_decay: float = 1.0, head_multiplier: float = 1.0
) -> dict[str, float]:
    """Returns the learning-rate factor of each weight by path, for `ScaledAdamW`.

    Weights after the last block have 1, each block `layer_decay` times the factor of the next one
    (BEiT, Bao et al. 2022, arXiv:2106.08254, appendix), and the head `head_multiplier`. Factors of
    1 are left out.
    """
    *before, rest, head = stages(model)
    factors = {}
    for distance, stage in enumerate(reversed([*before, rest])):
        factors.update({variable.path: layer_decay**distance for variable in stage})
    factors.update({variable.path: head_multiplier for variable in head})
    return {path: factor for path, factor in factors.items() if factor != 1}
