"""The option `--revision`: appended to the name of a hub model after an @."""

import dataclasses
from pathlib import Path
from typing import Any

NAME = "revision"

AT = "@"  # as `dual_encoder.load` reads it

#: The option of each command that names a model which may lie on the hub.
NAMED = {
    **dict.fromkeys(["train", "finetune", "evaluate", "predict", "export", "compare"], "model"),
    **dict.fromkeys(["inspect", "retrieve", "serve"], "model"),
    "prompt": "models",
    "models": "check",
}

TOLD = """
        revision: of --{}, on the hub: a branch, a tag, a commit or refs/pr/N. It is kept behind
            the name, NAME@REVISION.
"""


def added(options: type, *, command: str) -> type:
    """The dataclass of a command's options, with `revision` where it takes a model of the hub."""
    if command not in NAMED:
        return options
    more = dataclasses.make_dataclass(
        options.__name__,
        [(NAME, str | None, None)],
        bases=(options,),
        frozen=options.__dataclass_params__.frozen,  # type: ignore[attr-defined]
    )
    more.__doc__ = (options.__doc__ or "").rstrip() + TOLD.format(NAMED[command])
    return more


def folded(values: dict[str, Any], *, command: str) -> dict[str, Any]:
    """The values without `revision`, which stands behind the name of the model.

    Raises:
        ValueError: no model, several, one with a revision of its own, or one that lies here.
    """
    values = dict(values)
    revision = values.pop(NAME, None)
    if revision is None:
        return values
    option = NAMED[command]
    given = values[option]
    names = given if isinstance(given, list) else [given] if given else []
    if len(names) != 1:
        raise ValueError(
            f"--{NAME}: expected one name after --{option}; got {', '.join(names) or 'none'}; "
            f"of several, write NAME{AT}REVISION"
        )
    if Path(names[0]).exists():
        raise ValueError(f"--{NAME}: only models of the hub have one; {names[0]} lies here")
    if AT in names[0]:
        raise ValueError(f"--{NAME}: --{option} {names[0]} has a revision already")
    name = f"{names[0]}{AT}{revision}"
    return values | {option: [name] if isinstance(given, list) else name}
