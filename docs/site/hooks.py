"""Pages that are made of the code when the site is built: commands, public names, the results."""

import dataclasses
import importlib
import json
import re
from pathlib import Path

import docstring_parser

ROOT = Path(__file__).parents[2]
REPOSITORY_FILES = re.compile(r"\]\((?:\.\./)+((?:pipelines|benchmarks|examples|tests)/[^)]*)\)")
PACKAGES = ("tfrecords", "dual_encoder", "classifiers")


def on_page_markdown(markdown, page, **_):
    """Fill the generated pages; links to files of the repository become plain paths."""
    path = page.file.src_uri
    if path == "index.md":
        return _home()
    if path == "reference/commands.md":
        return markdown + _commands()
    if path == "guides/recipes.md":
        return markdown + _recipes()
    if path == "reference/results.md":
        return markdown + _results()
    for package in PACKAGES:
        if path == f"reference/{package}.md":
            return markdown + _names(package)
    return REPOSITORY_FILES.sub(r"](#) (`\1`)", markdown).replace("](#) (`", "] (`")


def _home():
    """The README, with its links as they are from the site's front page."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = text.replace("](docs/", "](")
    return re.sub(
        r"\[([^\]]+)\]\((?:benchmarks|examples|CONTRIBUTING|CITATION)[^)]*\)", r"\1", text
    )


def _commands():
    from pipelines.__main__ import COMMANDS

    parts = []
    for command, what in COMMANDS.items():
        options = importlib.import_module(f"pipelines.{command}").Options
        text = docstring_parser.parse(options.__doc__ or "")
        about = {parameter.arg_name: parameter.description for parameter in text.params}
        rows = [
            f"| `--{field.name.replace('_', '-')}` | {_default(field)} | "
            f"{' '.join((about.get(field.name) or '').split()).replace('|', chr(92) + '|')} |"
            for field in dataclasses.fields(options)
        ]
        head = ["| option | default | |", "| --- | --- | --- |"]
        parts.append(
            "\n".join([f"\n## {command}\n", f"{what[0].upper()}{what[1:]}.\n", *head, *rows])
        )
    return "\n".join(parts) + "\n"


def _default(field):
    if field.default is not dataclasses.MISSING:
        return "" if field.default is None else f"`{field.default}`"
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()}`"
    return "required"


def _names(package):
    """Every public name of a package's front door, by the module that defines it."""
    text = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
    found = re.findall(rf"from ({package}[\w.]*) import (\w+) as \2", text)
    return "".join(f"\n::: {module}.{name}\n" for module, name in dict.fromkeys(found))


def _recipes():
    """The head of every recipe."""
    parts = []
    for path in sorted((ROOT / "pipelines/recipes").glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        head = [line[2:] for line in lines[: next(i for i, x in enumerate(lines) if x[:1] != "#")]]
        parts.append("\n".join([f"\n## {path.stem}\n", "```text", *head, "```"]))
    return "\n".join(parts) + "\n"


def _results():
    schema = json.loads((ROOT / "pipelines/runs/schemas/results.schema.json").read_text())
    text = (ROOT / "pipelines/runs/results.py").read_text(encoding="utf-8")
    told = re.match(r'"""(.*?)"""', text, re.DOTALL)
    assert told is not None
    table = told[1].split("\n", 2)[2]
    return (
        f"\n```\n{table}\n```\n\n## JSON Schema\n\n```json\n{json.dumps(schema, indent=1)}\n```\n"
    )
