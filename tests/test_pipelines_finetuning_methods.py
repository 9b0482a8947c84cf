"""The guide's table of methods is made of the facts that the command goes by."""

import typing
from pathlib import Path

from pipelines.finetuning.methods import METHODS
from pipelines.finetuning.options import Options

GUIDE = (Path(__file__).parents[1] / "docs/guides/finetuning.md").read_text()


def test_the_readme_has_a_row_for_every_method():
    rows = [f"| `{name}` | {row.what} | {row.paper} |" for name, row in METHODS.items()]
    table = "\n".join(["| method | trains | from |", "| --- | --- | --- |", *rows, ""])
    assert table in GUIDE


def test_the_option_takes_every_method_and_auto():
    choices = typing.get_args(typing.get_type_hints(Options)["method"])
    assert sorted(choices) == sorted(["auto", *METHODS])
    assert all("arXiv:" in row.paper for row in METHODS.values())
