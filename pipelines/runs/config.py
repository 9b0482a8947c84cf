"""Typed options of a command, from its dataclass, a recipe or YAML file, and the command line."""

import dataclasses
import difflib
import sys
import types
import typing
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import docstring_parser
import jsonargparse
import yaml

RECIPES = Path(__file__).parents[1] / "recipes"
Options = TypeVar("Options")


class _Parser(jsonargparse.ArgumentParser):
    """Complains in one line, with the nearest name, and exits with 2."""

    def error(self, message: str, *_: Any, **__: Any) -> NoReturn:
        line = " ".join(str(message).split())
        print(f"error: {line}{self._nearest(line)}", file=sys.stderr)
        sys.exit(2)

    def _nearest(self, line: str) -> str:
        if "not accepted" not in line and "unrecognized" not in line:
            return ""
        names = {name for action in self._actions for name in (action.dest, *action.option_strings)}
        for word in line.replace("'", " ").replace("=", " ").split():
            bare = word.lstrip("-").replace("-", "_")
            known = {name.lstrip("-").replace("-", "_"): name for name in names}
            close = difflib.get_close_matches(bare, known, n=1, cutoff=0.75)
            if close and bare != close[0]:
                return f"; did you mean {close[0]}?"
        return ""


def parse(options: type[Options], *, command: str, argv: list[str]) -> Options:
    """Read `argv` into the dataclass `options`; field `short_side` is `--short-side`.

    `--config` takes the name of a recipe or a YAML file; the command line wins over it. An unknown
    option or key, or a value of the wrong type, is one line on stderr and exit status 2.
    """
    parser = _Parser(
        prog=f"python -m pipelines {command}",
        allow_abbrev=False,
        description=docstring_parser.parse(options.__doc__ or "").short_description,
    )
    parser.add_argument(
        "--config", action="config", help=f"one of {recipe_names()}, or a YAML file"
    )
    helps = {
        p.arg_name: p.description for p in docstring_parser.parse(options.__doc__ or "").params
    }
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        _add(parser, field, typing.get_type_hints(options)[field.name], helps.get(field.name))
    values = vars(parser.parse_args(_recipe_paths(argv)))
    return options(**{f.name: values[f.name] for f in dataclasses.fields(options)})  # type: ignore[arg-type]


def _add(parser: _Parser, field: dataclasses.Field, hint: Any, help_text: str | None) -> None:
    name = "--" + field.name.replace("_", "-")
    default: Any = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    extra: dict[str, Any] = {"help": help_text}
    if default is dataclasses.MISSING:
        extra["required"] = True
    else:
        extra["default"] = default
    if hint is bool:
        parser.add_argument(name, action=jsonargparse.ActionYesNo(no_prefix="no-"), **extra)
    elif (item := _list_item(hint)) is not None:
        parser.add_argument(name, type=item, nargs="+", **extra)
    else:
        parser.add_argument(name, type=hint, **extra)


def _list_item(hint: Any) -> Any:
    """`int` for `list[int]` and for `list[int] | None`; None for what is not a list."""
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    lists = [choice for choice in choices if typing.get_origin(choice) is list]
    return typing.get_args(lists[0])[0] if lists else None


def recipe_names() -> str:
    """The recipes that ship with Duet, comma-separated."""
    return ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))


def _recipe_paths(argv: list[str]) -> list[str]:
    """Replace the name of a recipe after `--config` by its path."""
    argv = [part for arg in argv for part in _split_config(arg)]
    for i, value in enumerate(argv[1:], start=1):
        if argv[i - 1] != "--config" or Path(value).is_file():
            continue
        if not (RECIPES / f"{value}.yaml").is_file():
            raise ValueError(
                f"--config: no file and no recipe {value!r}; recipes: {recipe_names()}"
            )
        argv[i] = str(RECIPES / f"{value}.yaml")
    return argv


def _split_config(arg: str) -> list[str]:
    return arg.split("=", 1) if arg.startswith("--config=") else [arg]


def write_config(options: Any, path: Path) -> None:
    """The options as YAML: what `--config` takes to run the same again."""
    path.write_text(yaml.safe_dump(dataclasses.asdict(options), sort_keys=False))


def read_config(path: Path) -> dict[str, Any]:
    """What `write_config` wrote."""
    return yaml.safe_load(path.read_text())
