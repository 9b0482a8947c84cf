"""Typed options of a command, from its dataclass, a recipe or YAML file, and the command line."""

import dataclasses
import difflib
import json
import os
import re
import types
import typing
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import jsonargparse
import yaml

from duet import atomic_files, json_validation, name_list
from pipelines.runs import command_help, hub_revision, rerun_command
from pipelines.runs.help_groups import USUAL
from pipelines.runs.rerun_command import flag

RECIPES = Path(__file__).parents[1] / "recipes"

WORDS = {int: "a whole number", float: "a number", str: "text", type(None): "null"}

SEVERAL = {
    int: "whole numbers separated by spaces",
    float: "numbers separated by spaces",
    str: "texts",
}

# Options whose values people add up; of others, such as --seeds, what comes later is meant.
GATHERED = ("images", "image", "query", "recipes", "splits", "distractors", "held_out_classes")

YES_OR_NO = ("true", "false", "yes", "no")  # as text in a file

FROM_IMAGES = " It takes records, which `prepare --folder X --out records/X` makes of a folder."

UNIONS = (types.UnionType, typing.Union)  # `int | None`, and what Python makes of `Literal | None`

Options = TypeVar("Options")


def parse(options: type[Options], *, command: str, argv: list[str]) -> Options:
    """Read `argv` into the dataclass `options`; field `short_side` is `--short-side`.

    `--config` takes the name of a recipe or a YAML file; the command line wins over it, wherever it
    stands. `~/` at the beginning of a text is the user's home.

    Raises:
        ValueError: an unknown option or key, a missing one, a value of the wrong type, or one of
            `GATHERED` that is given twice.
        SystemExit: `--help` or `--help-all` was asked for, and printed.
    """
    if asked := {"-h", "--help", "--help-all"} & set(argv):
        recipes = command_help.recipes_of(command, RECIPES)
        everything = "--help-all" in asked
        print(command_help.text(options, command=command, everything=everything, recipes=recipes))
        raise SystemExit(0)
    parser = _Parser(prog=f"{rerun_command.program()} {command}", allow_abbrev=False)
    parser.add_argument("--config", action="config")
    accepted = hub_revision.added(options, command=command)
    parser.hints, parser.given = typing.get_type_hints(accepted), argv
    for field in dataclasses.fields(accepted):
        _add(parser, field, parser.hints[field.name])
    _check_given_once(argv, parser.hints)
    argv, files = _with_config_first(argv, parser.hints)
    try:
        parsed = parser.parse_args(argv)
    except IndexError:  # PyYAML, of a value such as `!!int`
        raise ValueError("a value on the command line is not YAML; quote it") from None
    at_home = {name: _at_home(value) for name, value in vars(parsed).items()}
    values = hub_revision.folded(at_home, command=command)
    for recipe in (path for path in files if path.parent == RECIPES):
        _check_records(recipe, values)
    for name, value in values.items():
        if value == ["null"] and type(None) in typing.get_args(parser.hints.get(name)):
            values[name] = None  # as of all other options; words of a list are not read as YAML
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and "\0" in each:
                raise ValueError(f"{flag(name)}: expected no zero byte; got {each!r}")
    fields = dataclasses.fields(options)  # type: ignore[arg-type]
    return options(**{field.name: values[field.name] for field in fields})


def check_ranges(options: Any, ranges: Mapping[str, tuple[str, ...]]) -> None:
    """Raise a ValueError for the first number outside its range; a number may be null.

    `ranges` has the names of options by range, such as `{"(0, 1]": ("crop_scale",)}`: a round
    bracket leaves the end out, a square one lets it in.
    """
    for text, names in ranges.items():
        least, most = (float(end) for end in text[1:-1].split(","))
        ends = {end for end, bracket in ((least, text[0]), (most, text[-1])) if bracket in "[]"}
        for name in names:
            value = getattr(options, name)
            if not (value is None or least < value < most or value in ends):
                raise ValueError(f"{flag(name)}: expected a number in {text}; got {value}")


def refuse_without(options: Any, usual: Mapping[str, Any], *, other: str) -> None:
    """Raise a ValueError for the first option that is not as usual, because only `other` reads it.

    usual: names of options, and what they are where nobody gives them.
    """
    for name, value in usual.items():
        if getattr(options, name) != value:
            raise ValueError(f"{flag(name)} goes with {other}")


def recipe_names() -> str:
    """The recipes that ship with Duet, comma-separated."""
    return ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))


def recipe_path(name: str, *, option: str) -> Path:
    """The file of a recipe, or the YAML file of this name. Raises a ValueError for neither."""
    path = Path(name) if Path(name).is_file() else RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise ValueError(f"--{option}: no file and no recipe {name!r}; recipes: {recipe_names()}")
    return path


def write_config(options: Any, path: Path) -> None:
    """The options as YAML: what `--config` takes to run the same again. Never half a file."""
    atomic_files.write(path, yaml.safe_dump(dataclasses.asdict(options), sort_keys=False))


def read_config(path: Path) -> dict[str, Any]:
    """What `write_config` wrote.

    Raises:
        ValueError: the file is not YAML, or not one option per line, each once.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found, lines = yaml.safe_load(text), yaml.compose(text, yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not YAML ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(
            f"{path}: expected lines like `epochs: 10`; got {json_validation.shown(found)}"
        )
    keys = [key.value for key, _ in lines.value] if isinstance(lines, yaml.MappingNode) else []
    for key, count in Counter(keys).items():
        if count > 1:
            raise ValueError(f"{path}: expected each option once; {key} is there {count} times")
    return found


class _Parser(jsonargparse.ArgumentParser):
    """Complains in one line, with what was expected or the nearest name."""

    hints: dict[str, Any]
    given: list[str]

    def error(self, message: str, *_: Any, **__: Any) -> NoReturn:
        line = " ".join(str(message).split()).removeprefix('Parser key "config": ')
        wrong_type = re.match(r'Parser key "(\w+)".*(?:Got|Given) value: ?(.*)$', line)
        if wrong_type:
            key, value = wrong_type.groups()
            expected = _words(self.hints.get(key, str))
            line = f"{flag(key)}: expected {expected}; got {value!r}"
            choices = command_help.choices_of(self.hints.get(key))
            line += name_list.did_you_mean(value.strip("'"), map(str, choices))
        if missing := re.match(r"the following arguments are required: (.*)$", line):
            line = f"expected {', '.join(map(flag, missing[1].split(', ')))}; missing"
        raise ValueError(line + self._nearest(line))

    def _nearest(self, line: str) -> str:
        if "not accepted" not in line and "unrecognized" not in line:
            return ""
        known = {name.replace("_", "-"): name for name in self.hints}
        if usual := self._usual(line):
            return usual
        if stray := re.match("unrecognized arguments: ([^ -][^ ]*)", line):
            return self._before(stray[1], known)
        for word in line.replace("'", " ").replace("=", " ").split():
            dashes = "--" if word.startswith("-") else ""
            close = difflib.get_close_matches(
                word.lstrip("-").replace("_", "-"), known, n=1, cutoff=0.75
            )
            if close:
                return f"; did you mean {dashes + close[0] if dashes else known[close[0]]}?"
        return ""

    def _before(self, stray: str, known: Mapping[str, str]) -> str:
        """What a word that belongs to no option stands behind, as of a path with spaces."""
        before = self.given[: self.given.index(stray)] if stray in self.given else []
        if len(before) > 1 and before[-2].startswith("--") and before[-2][2:] in known:
            return f" behind {before[-2]} {before[-1]}, which takes one value (quote its spaces)"
        return "; expected the name of an option, such as --out, before it"

    def _usual(self, line: str) -> str:
        """What is meant by a word that other libraries use; empty if it is none of those."""
        for word in line.replace("=", " ").split():
            name = word.lstrip("-").replace("-", "_") if word.startswith("--") else ""
            meant = [each for each in USUAL.get(name, "").split() if each in self.hints]
            if meant:
                more = FROM_IMAGES if (name, meant[0]) == ("folder", "data") else ""
                return f"; did you mean {flag(meant[0])}?{more}"
        return ""


def _words(hint: Any) -> str:
    """A type in words: `int | None` as "a whole number or null"."""
    choices = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(str, choices))
    if typing.get_origin(hint) in UNIONS:
        return " or ".join(map(_words, choices))
    if typing.get_origin(hint) is list:
        return SEVERAL.get(choices[0], f"some of: {_words(choices[0])}")
    return WORDS.get(hint, str(hint))


def _add(parser: _Parser, field: dataclasses.Field, hint: Any) -> None:
    names, default = command_help.flags_of(field), command_help.default_of(field)
    is_required = default is dataclasses.MISSING
    extra: dict[str, Any] = {"required": True} if is_required else {"default": default}
    if hint is bool:
        parser.add_argument(*names, action=jsonargparse.ActionYesNo(no_prefix="no-"), **extra)
    elif (item := _list_item(hint)) is not None:
        nargs = field.metadata.get("nargs", "+")
        parser.add_argument(*names, type=item, nargs=nargs, **extra)
    else:
        parser.add_argument(*names, type=hint, **extra)


def _list_item(hint: Any) -> Any:
    """`int` for `list[int]` and for `list[int] | None`; None for what is not a list."""
    choices = typing.get_args(hint) if typing.get_origin(hint) in UNIONS else (hint,)
    lists = [choice for choice in choices if typing.get_origin(choice) is list]
    return typing.get_args(lists[0])[0] if lists else None


def _check_records(recipe: Path, values: dict[str, Any]) -> None:
    """Raise a FileNotFoundError with the command that makes a recipe's records, if they are not.

    The command is in the comment that the recipe begins with.
    """
    data = values.get("data")
    if data is None or data != read_config(recipe).get("data") or Path(data).exists():
        return
    lines = recipe.read_text(encoding="utf-8").replace("\\\n#", " ").splitlines()
    prepare = [line.strip("# ") for line in lines if line.startswith("#   python -m pipelines pre")]
    if prepare:
        raise FileNotFoundError(
            f"{data} holds no records; recipe {recipe.stem} makes them with: "
            f"{' '.join(prepare[0].split())}"
        )


def _check_given_once(argv: list[str], hints: Mapping[str, Any]) -> None:
    """Raise a ValueError for one of `GATHERED` given twice: the first would be lost."""
    given = [word.split("=")[0] for word in argv if word.startswith("--")]
    for name in (name for name in GATHERED if _list_item(hints.get(name)) is not None):
        if given.count(flag(name)) > 1:
            raise ValueError(
                f"{flag(name)} is given {given.count(flag(name))} times; expected once, with all "
                f"its values behind it, as in {flag(name)} A B"
            )


def _at_home(value: Any) -> Any:
    """`~/x` as the path that it means, which a shell leaves as it is behind `=` and in a file."""
    if isinstance(value, list):
        return [_at_home(each) for each in value]
    is_at_home = isinstance(value, str) and value.startswith("~/")
    return os.path.expanduser(value) if is_at_home else value


def _with_config_first(argv: list[str], hints: Mapping[str, Any]) -> tuple[list[str], list[Path]]:
    """The content of every file that `--config` names as JSON, before all other words, which win
    over it; and the paths of these files."""
    argv = [part for arg in argv for part in _split_config(arg)]
    files, words, waiting = [], [], list(argv)
    while waiting:
        word = waiting.pop(0)
        if word == "--config" and waiting and not waiting[0].startswith("--"):
            files.append(recipe_path(_at_home(waiting.pop(0)), option="config"))
        else:
            words.append(word)
    given = [json.dumps(_of_file(path, hints), default=str) for path in files]
    return [part for text in given for part in ("--config", text)] + words, files


def _of_file(path: Path, hints: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a file. Texts are as they stand there, though YAML reads `no` or `1`
    otherwise, and one value of an option that takes several is a list.

    Raises a ValueError for what is neither true nor false, and for the name of another file.
    """
    values, texts = read_config(path), yaml.load(path.read_bytes(), yaml.BaseLoader)
    if "config" in values:
        raise ValueError(f"{path}: config: expected options; a file names no other file")
    for name in (name for name in values if name in hints and values[name] is not None):
        values[name] = _as_it_stands(values[name], texts[name], hints[name])
        if hints[name] is bool and str(values[name]).lower() not in YES_OR_NO:
            shown = json_validation.shown(values[name])
            raise ValueError(f"{flag(name)}: expected true or false; got {shown}")
    return values


def _as_it_stands(value: Any, text: Any, hint: Any) -> Any:
    """A value of a YAML file, which is `text` there, for an option of that type."""
    item = _list_item(hint)
    if item is not None:
        pairs = zip(value, text, strict=True) if isinstance(value, list) else [(value, text)]
        return [_as_it_stands(each, told, item) for each, told in pairs]
    kinds = command_help.leaves(hint) - {type(None)}
    is_text = all(kind is str or isinstance(kind, str) for kind in kinds)
    return text if is_text and isinstance(text, str) else value


def _split_config(arg: str) -> list[str]:
    return arg.split("=", 1) if arg.startswith("--config=") else [arg]
