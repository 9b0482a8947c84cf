"""Loads the model that a command is given, by name, folder or run."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dual_encoder import DualEncoder


MODEL = "model.keras"  # of a run that trains
DUAL = "dual_encoder.keras"  # of a run of `finetune`: its image side beside texts for any names

IN_ONE_SPACE = "--model: expected a dual encoder, which puts images and words in one space"


def parameters(model: Any) -> dict[str, int]:
    """Weights of a Keras model: `trained` by gradient, and in `all`."""

    def count(weights: Sequence[Any]) -> int:
        return sum(int(weight.value.shape.num_elements()) for weight in weights)

    return {"trained": count(model.trainable_weights), "all": count(model.weights)}


def load_dual_encoder(name: str) -> "DualEncoder":
    """The model of that name; ValueError where it has one tower."""
    model = load(name)
    check_dual_encoder(model, name)
    return model


def check_dual_encoder(model: Any, name: str, expected: str = IN_ONE_SPACE) -> None:
    """Raises ValueError, with what was expected, for a model that has one tower."""
    import dual_encoder

    if not isinstance(model, dual_encoder.DualEncoder):
        raise ValueError(
            f"{expected}; {name} has one tower ({type(model).__name__}){dual_encoder_beside(name)}"
        )


def dual_encoder_beside(name: str) -> str:
    """What to say of the dual encoder that `finetune` left in the folder of a run beside its
    classifier; empty where there is none."""
    path = Path(name) / DUAL
    return f"; {path} beside it is one" if path.is_file() else ""


def load(name: str, **options: Any) -> Any:
    """As `dual_encoder.load`, which then knows what `finetune` saved as well."""
    import classifiers  # noqa: F401  Keras can read its models from here on
    import dual_encoder

    return dual_encoder.load(name, **options)


def untouched(name: str) -> Any:
    """Loads a model that is not trained; reuses the last one if name, strategy and precision
    are the same."""
    import keras
    import tensorflow as tf

    path = Path(name)
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _untouched(name, changed, tf.distribute.get_strategy(), keras.config.dtype_policy().name)


@functools.lru_cache(maxsize=1)
def _untouched(name: str, changed: int, strategy: Any, precision: str) -> Any:
    return load(name)


def forget_untouched() -> None:
    """Free the memory of the model that `untouched` keeps."""
    _untouched.cache_clear()
