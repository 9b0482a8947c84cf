"""Which weights of a classifier are trained, and how fast."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import keras

from classifiers.models import ImageClassifier

# How the blocks of a tower are called in the paths of its variables; the first that occurs counts.
BLOCKS = (
    r"(?:^|/)(block_\d+)/",  # of our transformers
    r"(?:^|/)(stage_\d+_block_\d+|stage_\d+/block_\d+)",  # of CLIP's ResNet
    r"(?:^|/)(conv\d+_block\d+)_",  # of ResNet50
    r"(?:^|/)(block\d+[a-z]?)_",  # of Xception and EfficientNet
    r"(?:^|/)(?:convolution|norm)_(\d+)/",  # of our convolutions
)

LORA = ("query_key_value", "attention_output", "mlp_hidden", "mlp_output")


def stages(model: ImageClassifier) -> list[list[keras.Variable]]:
    """The weights from the images to the logits: stem, every block, the rest, and the head.

    The rest is what follows the last block, such as its norm and the projection. Convolutional
    towers have what lies between two blocks with the first of them.
    """
    tower = model.image_tower.trainable_variables
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


def _block(pattern: str | None, variable: keras.Variable) -> str | None:
    found = re.search(pattern, variable.path) if pattern else None
    return found[1] if found else None


def train_only(model: ImageClassifier, *, last_blocks: int) -> None:
    """Freeze all but the head, the last blocks and what follows them.

    Args:
        last_blocks: how many; 0 for the head alone, so that the features never change.

    Frozen batch normalisation uses its running statistics and leaves them as they are.

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


def freeze(model: keras.Model, variables: Iterable[keras.Variable]) -> None:
    """Train these no more. A layer of which nothing is trained any more works as in evaluation."""
    frozen = {id(variable) for variable in variables}
    for layer in model._flatten_layers():
        own = layer._trainable_variables
        if own and not layer._layers and all(id(variable) in frozen for variable in own):
            layer.trainable = False
        for variable in own:
            if id(variable) in frozen:
                variable.trainable = False


def batch_norms(model: keras.Model) -> list[keras.Variable]:
    """The weights of all batch normalisation, which, frozen, keeps its running statistics too."""
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    return [variable for layer in layers for variable in layer.trainable_variables]


def thaw(model: keras.Model) -> None:
    """Everything is trained again."""
    for layer in model._flatten_layers():
        layer.trainable = True
        for variable in layer._trainable_variables:
            variable.trainable = True


def scales(
    model: ImageClassifier, *, layer_decay: float = 1.0, head_multiplier: float = 1.0
) -> dict[str, float]:
    """Factor of each weight's learning rate, by path: what `ScaledAdamW` takes.

    The weights behind the last block have 1, those of each block before `layer_decay` times as
    much as the next one (BEiT, Bao et al. 2022, arXiv:2106.08254, appendix), and the head
    `head_multiplier`. Factors of 1 are left out.
    """
    *before, rest, head = stages(model)
    factors = {}
    for distance, stage in enumerate(reversed([*before, rest])):
        factors.update({variable.path: layer_decay**distance for variable in stage})
    factors.update({variable.path: head_multiplier for variable in head})
    return {path: factor for path, factor in factors.items() if factor != 1}


def add_lora(model: ImageClassifier, *, rank: int, alpha: float | None = None) -> None:
    """Train the head, and a low-rank change of every matrix of the tower's blocks, alone.

    LoRA, Hu et al. 2022 (arXiv:2106.09685), by Keras' own `Dense.enable_lora`.

    Args:
        rank: r of the change `alpha / r · A B`.
        alpha: its scale; `rank` without it.

    Raises:
        ValueError: the tower has no such matrices, being convolutional.
    """
    matrices = [
        layer
        for layer in model.image_tower._flatten_layers()
        if isinstance(layer, keras.layers.Dense) and layer.name in LORA
    ]
    if not matrices:
        raise ValueError("LoRA: expected a tower of transformer blocks; this one has none")
    freeze(model, [v for stage in stages(model)[:-1] for v in stage])
    for layer in matrices:
        layer.trainable = True
        layer.enable_lora(rank, lora_alpha=alpha)
        layer.bias.trainable = False


def without_lora(model: ImageClassifier) -> ImageClassifier:
    """The same classifier with the low-rank changes added to the matrices."""
    plain = ImageClassifier.from_config(model.get_config())
    plain.build()
    kept = [variable for variable in model.variables if "lora" not in variable.name]
    for variable, source in zip(plain.variables, kept, strict=True):
        variable.assign(source)
    pairs = zip(plain._flatten_layers(), model._flatten_layers(), strict=True)
    for layer, source in pairs:
        if getattr(source, "lora_enabled", False):
            layer.kernel.assign(source.kernel)
    return plain


def recompute(model: keras.Model) -> None:
    """Keep no activations inside the tower's blocks for the gradient, but compute them again.

    Gradient checkpointing, Chen et al. 2016 (arXiv:1604.06174): less memory for a third more time.

    Raises:
        ValueError: the tower has no blocks, or dropout, whose second draw would be another one.
    """
    blocks: list[Any] = getattr(model.image_tower, "blocks", [])
    if not blocks:
        raise ValueError("recomputing: expected a tower of transformer blocks; this one has none")
    if any(block.dropout_rate for block in blocks):
        raise ValueError("recomputing: expected blocks without dropout, which is drawn only once")
    for block in blocks:
        block.call = _recomputed(block.call)


def _recomputed(call: Callable) -> Callable:
    def recomputed(x, wanted=None, **options):
        # Gradients flow to the arguments alone, so tokens that are wanted have to be one.
        if wanted is None:
            return keras.remat(lambda x: call(x, **options))(x)
        return keras.remat(lambda x, wanted: call(x, wanted=wanted, **options))(x, wanted)

    return recomputed
