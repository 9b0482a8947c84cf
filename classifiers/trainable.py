"""Choose which weights of a classifier are trained, and their learning-rate factors."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from classifiers.models import ImageClassifier
from duet import private_api

# Names of a tower's blocks in variable paths; the first pattern that matches is used.
BLOCKS = (
    r"(?:^|/)(block_\d+)/",  # Duet's transformers
    r"(?:^|/)(stage_\d+_block_\d+|stage_\d+/block_\d+)",  # CLIP's ResNet
    r"(?:^|/)(conv\d+_block\d+)_",  # ResNet50
    r"(?:^|/)(block\d+[a-z]?)_",  # Xception and EfficientNet
    r"(?:^|/)(?:convolution|norm)_(\d+)/",  # Duet's convolutions
)

LORA = ("query_key_value", "attention_output", "mlp_hidden", "mlp_output")


def stages(model: ImageClassifier) -> list[list[keras.Variable]]:
    """Returns the weights in order from input to output: stem, each block, the rest, and the head.

    The rest follows the last block, such as norm and projection. In convolutional towers, layers
    between two blocks belong to the first of them.
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


def freeze(model: keras.Model, variables: Iterable[keras.Variable]) -> None:
    """Freeze these weights; a layer with only frozen weights runs in inference mode."""
    frozen = {id(variable) for variable in variables}
    for layer in private_api.layers_of(model):
        weights = private_api.own_trainable_variables(layer)
        alone = len(private_api.layers_of(layer)) == 1
        if weights and alone and all(id(variable) in frozen for variable in weights):
            layer.trainable = False
        for variable in weights:
            if id(variable) in frozen:
                variable.trainable = False


def train_image_side(model: ImageClassifier) -> None:
    """Freeze the head, and the batch normalisation with its statistics."""
    freeze(model, model.head.trainable_variables)
    freeze(model, batch_norms(model))


def batch_norms(model: keras.Model) -> list[keras.Variable]:
    """Returns the weights of all batch normalisation layers; frozen, they keep their statistics."""
    kind = keras.layers.BatchNormalization
    layers = [layer for layer in private_api.layers_of(model) if isinstance(layer, kind)]
    return [variable for layer in layers for variable in layer.trainable_variables]


def thaw(model: keras.Model) -> None:
    """Make all weights trainable again."""
    for layer in private_api.layers_of(model):
        layer.trainable = True
        for variable in private_api.own_trainable_variables(layer):
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


def add_lora(model: ImageClassifier, *, rank: int, alpha: float | None = None) -> None:
    """Train only the head and low-rank updates of all matrices in the tower's blocks.

    LoRA, Hu et al. 2022 (arXiv:2106.09685), with Keras' `Dense.enable_lora`.

    Args:
        rank: r of the update `alpha / r · A B`.
        alpha: its scale; default `rank`.

    Raises:
        ValueError: the tower has no such matrices, being convolutional.
    """
    matrices = _matrices(model.image_tower, LORA)
    if not matrices:
        raise ValueError("LoRA: expected a tower of transformer blocks; this one has none")
    freeze(model, [v for stage in stages(model)[:-1] for v in stage])
    _enable_lora(matrices, rank=rank, alpha=alpha)


def add_lora_to_both(model: ImageClassifier, *, rank: int, alpha: float = 1.0) -> None:
    """Train only low-rank updates of the attention's queries, keys and values, in both towers.

    CLIP-LoRA, Zanella and Ben Ayed 2024 (arXiv:2405.18541), without its dropout; the three share
    the first of the two matrices, as they share a kernel here. A convolutional tower
    stays as it is.

    Args:
        model: its head is a `ClassTextHead`.
        rank, alpha: as in `add_lora`; the paper has 2 and 1.

    Raises:
        ValueError: neither tower has such matrices.
    """
    matrices = _matrices(model, LORA[:1])
    if not matrices:
        raise ValueError("LoRA: expected a tower of transformer blocks; neither tower has any")
    freeze(model, model.trainable_variables)
    _enable_lora(matrices, rank=rank, alpha=alpha)


def _matrices(part: keras.layers.Layer, names: Sequence[str]) -> list[keras.layers.Dense]:
    layers = private_api.layers_of(part)
    return [each for each in layers if isinstance(each, keras.layers.Dense) and each.name in names]


def _enable_lora(matrices: Iterable[keras.layers.Dense], *, rank: int, alpha: float | None) -> None:
    for layer in matrices:
        layer.trainable = True
        layer.enable_lora(rank, lora_alpha=alpha)
        layer.bias.trainable = False


def without_lora(model: Any) -> Any:
    """Returns the classifier or dual encoder with the updates merged into the matrices."""
    plain = type(model).from_config(model.get_config())
    plain.build()
    kept = [variable for variable in model.variables if "lora" not in variable.name]
    for variable, source in zip(plain.variables, kept, strict=True):
        variable.assign(source)
    pairs = zip(private_api.layers_of(plain), private_api.layers_of(model), strict=True)
    for layer, source in pairs:
        if getattr(source, "lora_enabled", False):
            layer.kernel.assign(source.kernel)
    return plain


#: What a method may train (`Method.trains` of the table of methods), of a built classifier; the
#: options are those of `finetune`.
WAYS: dict[str, Callable[[ImageClassifier, Any], None]] = {
    "all": lambda model, options: None,
    "image": lambda model, options: train_image_side(model),
    "last": lambda model, options: train_only(model, last_blocks=options.last_blocks),
    "head": lambda model, options: train_only(model, last_blocks=0),
    "lora": lambda model, options: add_lora(model, rank=options.lora_rank),
    "lora in both": lambda model, options: add_lora_to_both(model, rank=options.lora_rank),
}


def recompute(model: keras.Model) -> None:
    """Recompute activations inside the tower's blocks for the gradient instead of storing them.

    Gradient checkpointing, Chen et al. 2016 (arXiv:1604.06174): less memory for a third more time.

    Raises:
        ValueError: the tower has no blocks, or has dropout, whose masks would differ.
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
        # Gradients flow only to arguments, so `wanted` tokens have to be an argument.
        if wanted is None:
            return keras.remat(lambda x: call(x, **options))(x)
        return keras.remat(lambda x, wanted: call(x, wanted=wanted, **options))(x, wanted)

    return recomputed
