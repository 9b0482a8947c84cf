"""Where a model is not what a published architecture has, in words."""

from typing import Any

INSTEAD = 'model.save("x.keras") keeps any model'


class NoLayout(ValueError):
    """`transformers` has no architecture for the model."""


def differences(name: str, part: Any, kind: type, facts: dict[str, Any]) -> list[str]:
    """What a part of a model has that the architecture has not; not even a subclass will do."""
    if type(part) is not kind:
        return [f"{name} is a {type(part).__name__}, this has a {kind.__name__}"]
    return [
        f"{name} has {key} {_shown(getattr(part, key))}, this {_shown(expected)}"
        for key, expected in facts.items()
        if getattr(part, key) != expected
    ]


def refuse(architecture: str, found: list[str]) -> None:
    """Raise NoLayout where there are differences."""
    if found:
        raise NoLayout(
            f"transformers has no architecture for this model; {architecture} comes next, but "
            f"{'; '.join(found)}. {INSTEAD}"
        )


def _shown(value: Any) -> str:
    return getattr(value, "__name__", repr(value))
