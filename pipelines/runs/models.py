"""Loads the model that a command is given, by name, folder or run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dual_encoder import DualEncoder


def parameters(model: Any) -> dict[str, int]:
    """Weights of a Keras model: `trained` by gradient, and in `all`."""

    def count(weights: Sequence[Any]) -> int:
        return sum(int(weight.value.shape.num_elements()) for weight in weights)

    return {"trained": count(model.trainable_weights), "all": count(model.weights)}


def load_dual_encoder(name: str) -> "DualEncoder":
    """The model of that name; ValueError where it has one tower."""
    import dual_encoder

    model = load(name)
    if not isinstance(model, dual_encoder.DualEncoder):
        raise ValueError(
            "--model: expected a dual encoder, which puts images and words in one space; "
            f"{name} has one tower ({type(model).__name__})"
        )
    return model


def load(name: str, **options: Any) -> Any:
    """As `dual_encoder.load`, which then knows what `finetune` saved as well."""
    import classifiers  # noqa: F401  Keras can read its models from here on
    import dual_encoder

    return dual_encoder.load(name, **options)
