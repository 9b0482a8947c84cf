"""Extract the state dict, tensors by name, from the content of a torch file."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from dual_encoder.checkpoints.torch_files.safe_globals import ScriptObject, Tensor

Scalar = int | float | str | bool | None
Tensors = dict[str, Tensor]
Metadata = dict[str, Scalar]
Declared = Callable[[str], tuple[str, ...] | None]

# Keys under which training scripts keep the state dict beside the optimizer's, the first first.
WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
MOST_WRAPPERS = 8
MOST_VISITS = 200_000  # attributes of modules
MOST_NAME = 1_000  # characters
CLASS = re.compile(
    r"^class (\w+)\(Module\):\n"
    r"  __parameters__ = \[([^\]\n]*)\]\n"
    r"(?:  __buffers__ = \[([^\]\n]*)\]\n)?",
    re.MULTILINE,
)


def of_dictionary(root: Any) -> tuple[Tensors, Metadata]:
    """Tensors of a state dict or of a checkpoint that has one, and the numbers and words beside.

    Raises:
        ValueError: there are none.
    """
    metadata: Metadata = {}
    for _ in range(MOST_WRAPPERS):
        if not isinstance(root, dict):
            raise ValueError(f"expected tensors by name; got {_kind(root)}")
        metadata |= _scalars(root)
        inside = [root[key] for key in WRAPPERS if isinstance(root.get(key), dict)]
        if not inside:
            break
        root = inside[0]
    tensors = {name: value for name, value in root.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"expected tensors by name; its keys are {', '.join(root) or 'none'}")
    return tensors, metadata


def of_script(root: ScriptObject, declared: Declared) -> tuple[Tensors, Metadata]:
    """Parameters and buffers of a module of TorchScript and of those inside, by attribute path.

    Args:
        root: the outermost module.
        declared: from the full name of a class to the attributes that it declares as parameters or
            buffers; None where it does not say, and every tensor counts.

    Raises:
        ValueError: there are none, or too many, as where a module lies in itself.
    """
    tensors: Tensors = {}
    waiting, visits = [("", root)], 0
    while waiting:
        prefix, module = waiting.pop()
        visits += 1 + len(module.attributes)
        if visits > MOST_VISITS:
            raise ValueError(f"has modules of more than {MOST_VISITS} attributes")
        names = declared(module.kind)
        inside = []
        for name, value in module.attributes.items():
            path = f"{prefix}{name}"
            if isinstance(value, Tensor) and (names is None or name in names):
                tensors[path] = value
            elif isinstance(value, ScriptObject):
                inside.append((f"{path}.", value))
            if len(path) > MOST_NAME:
                raise ValueError(f"has names of more than {MOST_NAME} characters")
        waiting += reversed(inside)
    if not tensors:
        raise ValueError("expected a module with parameters; it has none")
    return tensors, _scalars(root.attributes)


def declared_in(code: str) -> dict[str, tuple[str, ...] | None]:
    """What each class of a file of TorchScript's code declares as parameters and buffers.

    None for a class without a list of buffers, as torch before 1.7 wrote them.
    """
    return {
        found[1]: None if found[3] is None else tuple(re.findall(r'"(\w+)"', found[2] + found[3]))
        for found in CLASS.finditer(code)
    }


def _scalars(values: Mapping[str, Any]) -> Metadata:
    return {
        name: value
        for name, value in values.items()
        if value is None or isinstance(value, int | float | str)
    }


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return "one tensor"
    plain = value is None or isinstance(value, int | float | str | bytes | list | tuple)
    return f"a {type(value).__name__}" if plain else "something else"
