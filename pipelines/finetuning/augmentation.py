"""Build Keras augmentation layers from options."""

from typing import Any

import keras

# Whatever the model computes in: half precision would round labels, and CutMix does not run in it.
DTYPE = "float32"


def augment(
    *, flip: bool = False, rand_augment: float = 0.0, random_erasing: float = 0.0, seed: int = 0
) -> keras.Sequential | None:
    """What happens to every training image besides the random crop; None for nothing.

    Args:
        flip: left and right, half of the time.
        rand_augment: magnitude of 10 of two random operations (Cubuk et al. 2020,
            arXiv:1909.13719); 0 for none.
        random_erasing: how often a rectangle is erased (Zhong et al. 2020, arXiv:1708.04896).
        seed: of the layers; what is drawn for a batch follows from the run's seed and the step.
    """
    layers: list[keras.layers.Layer] = []
    drawn: dict[str, Any] = {"seed": seed, "dtype": DTYPE}
    if flip:
        layers.append(keras.layers.RandomFlip("horizontal", **drawn))
    if rand_augment:
        layers.append(keras.layers.RandAugment(num_ops=2, factor=rand_augment / 10, **drawn))
    if random_erasing:
        layers.append(keras.layers.RandomErasing(factor=random_erasing, **drawn))
    return keras.Sequential(layers) if layers else None


def mix(*, mixup: float = 0.0, cutmix: float = 0.0, seed: int = 0) -> Any:
    """What blends the images of a batch and their labels; None for nothing.

    Args:
        mixup: alpha of MixUp (Zhang et al. 2018, arXiv:1710.09412).
        cutmix: alpha of CutMix (Yun et al. 2019, arXiv:1905.04899); one of the two.
        seed: as in `augment`.
    """
    if mixup and cutmix:
        raise ValueError("--mixup and --cutmix: expected one of them; got both")
    if mixup:
        return keras.layers.MixUp(alpha=mixup, seed=seed, dtype=DTYPE)
    return keras.layers.CutMix(factor=cutmix, seed=seed, dtype=DTYPE) if cutmix else None
