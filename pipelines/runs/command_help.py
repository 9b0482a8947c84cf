"""Short and full help of a command, and shell completion, from its dataclass."""

import argparse
import dataclasses
import functools
import re
import typing
from pathlib import Path
from typing import Any

import docstring_parser

from pipelines.runs import hub_revision, rerun_command
from pipelines.runs.help_groups import BASIC, GROUPS

MORE, TRAINING = "more", "training"
PATHS = ("data", "model", "out", "folder", "images", "index", "results", "prompts", "run", "sheet")
SHELLS = ("bash", "zsh", "tcsh")
UNBROKEN = "\u2011"  # a hyphen that argparse breaks no line at; printed as an ordinary one


def text(options: type, *, command: str, everything: bool, recipes: list[str]) -> str:
    """What `--help` prints; with `everything`, `--help-all`, every option and the recipes."""
    made = parser(options, command=command, everything=everything, recipes=recipes)
    return made.format_help().rstrip("\n").replace(UNBROKEN, "-")


def parser(
    options: type,
    *,
    command: str,
    everything: bool,
    recipes: list[str],
    within: Any = None,
    files: Any = None,
) -> argparse.ArgumentParser:
    """A parser that explains the options, and parses nothing.

    Args:
        options: dataclass; command: its name.
        everything: all options, not those needed first.
        recipes: named at the end.
        within: what makes it, in place of `argparse.ArgumentParser`: a command among others.
        files: what shtab completes paths with.
    """
    options = hub_revision.added(options, command=command)
    documented = docstring_parser.parse(options.__doc__ or "")
    helps = {each.arg_name: each.description or "" for each in documented.params}
    hints = typing.get_type_hints(options)
    fields = {field.name: field for field in dataclasses.fields(options)}
    names = list(fields) if everything else _basic(command, list(fields))
    made = (within or argparse.ArgumentParser)(
        prog=f"{rerun_command.program()} {command}",
        usage=_usage(command, fields.values()),
        description=(documented.short_description or "").replace("-", UNBROKEN),
        epilog=_epilog(command, names, fields, recipes=recipes if everything else []),
        add_help=False,
        allow_abbrev=False,
        formatter_class=functools.partial(argparse.HelpFormatter, max_help_position=26),
    )
    for title, members in _grouped(names, trains="epochs" in fields).items():
        group = made.add_argument_group(title)
        for name in members:
            action = _add(group, fields[name], hints[name], helps.get(name, ""))
            if files and name in PATHS:
                action.complete = files  # type: ignore[attr-defined]
    group = made.add_argument_group("about")
    group.add_argument("--config", help="a recipe's name, or a YAML file of options")
    group.add_argument("-h", "--help", action="store_true", help="the options needed first")
    group.add_argument("--help-all", action="store_true", help="all options, and the recipes")
    return made


def completion(commands: dict[str, type], *, shell: str) -> str:
    """A script by which a shell completes commands, options and choices.

    Raises:
        ValueError: no such shell.
        RuntimeError: shtab, which makes it, is not installed.
    """
    if shell not in SHELLS:
        raise ValueError(f"--print-completion: expected {', '.join(SHELLS)}; got {shell!r}")
    try:
        import shtab
    except ImportError:
        raise RuntimeError("--print-completion needs shtab: pip install shtab") from None
    whole = argparse.ArgumentParser(prog="duet", add_help=False)
    below = whole.add_subparsers(dest="command")
    for command, options in commands.items():
        parser(
            options,
            command=command,
            everything=True,
            recipes=[],
            within=functools.partial(below.add_parser, command, help=command),
            files=shtab.FILE,
        )
    return shtab.complete(whole, shell).replace(UNBROKEN, "-")


def _basic(command: str, names: list[str]) -> list[str]:
    wanted = BASIC.get(command)
    return names if wanted is None else [name for name in wanted.split() if name in names]


def _grouped(names: list[str], *, trains: bool) -> dict[str, list[str]]:
    """Names by their group, in the order of `GROUPS`; the group "training" where a command trains.

    What the others have of it (`--batch-size`, `--seed`) is listed last.
    """
    groups = {title: members for title, members in GROUPS.items() if trains or title != TRAINING}
    found = {title: [n for n in members.split() if n in names] for title, members in groups.items()}
    known = {name for members in found.values() for name in members}
    found[MORE] = [name for name in names if name not in known]
    return {title: members for title, members in found.items() if members}


def _usage(command: str, fields: Any) -> str:
    required = [field for field in fields if default_of(field) is dataclasses.MISSING]
    words = [f"{rerun_command.flag(field.name)} {_metavar(field.name, str)}" for field in required]
    return " ".join([rerun_command.program(), command, *words, "[OPTIONS]"])


def _epilog(command: str, names: list[str], fields: dict, *, recipes: list[str]) -> str | None:
    if recipes:
        return f"recipes for --config: {', '.join(recipes)}".replace("-", UNBROKEN)
    hidden = len(fields) - len(names)
    if not hidden:
        return None
    more = f"{hidden} more options: {rerun_command.program()} {command} --help-all"
    return more.replace("-", UNBROKEN)


def _add(group: Any, field: dataclasses.Field, hint: Any, told: str) -> argparse.Action:
    default, flags = default_of(field), flags_of(field)
    if hint is bool:
        flags = [f"--no-{flags[-1][2:]}"] if default is True else flags
        return group.add_argument(*flags, dest=field.name, action="store_true", help=_escaped(told))
    choices = [str(choice) for choice in choices_of(hint)]
    several = any(typing.get_origin(each) is list for each in (hint, *typing.get_args(hint)))
    return group.add_argument(
        *flags,
        dest=field.name,
        metavar=_metavar(field.name, hint),
        choices=choices or None,
        nargs="+" if several else None,
        help=_escaped(_told(told, choices, default)),
    )


def _told(told: str, choices: list[str], default: Any) -> str:
    """The text of an option, its choices if it does not name them, and what it is without."""
    told = " ".join(told.split())
    notes = []
    if choices and not all(re.search(rf"\b{re.escape(each)}\b", told) for each in choices):
        notes.append(f"one of {', '.join(choices)}")
    if default not in (None, dataclasses.MISSING, "", []) and default is not False:
        shown = " ".join(map(str, default)) if isinstance(default, list) else f"{default}"
        notes.append(f"default {shown}")
    return f"{told} ({'; '.join(notes)})" if notes else told


def choices_of(hint: Any) -> list[Any]:
    """Those of a `Literal`, or of one in a union."""
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [choice for each in typing.get_args(hint) for choice in choices_of(each)]


def default_of(field: dataclasses.Field) -> Any:
    """What an option is where nobody gives it; `dataclasses.MISSING` of one that is needed."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def flags_of(field: dataclasses.Field) -> list[str]:
    """What is typed for an option; of one letter with one dash as well."""
    short = [f"-{field.name}"] if len(field.name) == 1 else []
    return [*short, rerun_command.flag(field.name)]


def _metavar(name: str, hint: Any) -> str:
    """N of a number, and of anything else the last word of its name."""
    kinds = leaves(hint) - {type(None)}
    return "N" if kinds <= {int, float} else name.split("_")[-1].upper()


def leaves(hint: Any) -> set[Any]:
    """The plain types of a hint: int and None of `list[int] | None`."""
    inner = typing.get_args(hint)
    return set().union(*map(leaves, inner)) if inner else {hint}


def _escaped(told: str) -> str:
    """For argparse, which formats with % and breaks lines inside `--an-option`."""
    return told.replace("%", "%%").replace("-", UNBROKEN)


def recipes_of(command: str, folder: Path) -> list[str]:
    """The recipes whose comment shows how this command runs them."""
    shown = re.compile(rf"python -m pipelines {command} .*--config")
    return sorted(
        path.stem
        for path in folder.glob("*.yaml")
        if shown.search(path.read_text(encoding="utf-8").replace("\\\n#", " "))
    )
