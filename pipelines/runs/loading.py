"""Loads whatever the commands take after `--model`."""

from typing import Any


def load(name: str, **options: Any) -> Any:
    """As `dual_encoder.load`, which then knows what `finetune` saved as well."""
    import classifiers  # noqa: F401  Keras can read its models from here on
    import dual_encoder

    return dual_encoder.load(name, **options)
