"""The table of methods: what the guide and the options of the commands make of it."""

import typing
from pathlib import Path

import pytest

from pipelines.finetuning.options import Options
from pipelines.methods.registry import METHODS, taken_by

GUIDE = (Path(__file__).parents[1] / "docs/guides/finetuning.md").read_text()


def test_the_guide_has_a_row_for_every_method_of_finetune():
    rows = [METHODS[name] for name in taken_by("finetune")]
    lines = [f"| `{row.name}` | {row.what} | {row.paper} |" for row in rows]
    assert [line for line in lines if line not in GUIDE] == []
    table = "\n".join(["| method | trains | from |", "| --- | --- | --- |", *lines, ""])
    assert table in GUIDE
    assert all("arXiv:" in row.paper for row in rows)


def test_the_option_of_finetune_takes_every_method_and_auto():
    choices = typing.get_args(typing.get_type_hints(Options)["method"])
    assert sorted(choices) == sorted(["auto", *taken_by("finetune")])


@pytest.mark.parametrize("row", METHODS.values(), ids=list(METHODS))
def test_a_row_says_in_one_way_how_it_is_run(row):
    ways = [row.fit is not None, bool(row.trains), "method" in row.options]
    assert sum(ways) == 1
    assert bool(row.trains) == bool(row.head)
    assert (row.family == "own network") == (row.flops > 0) == (row.image_size > 0)
    if "method" in row.options:
        assert row.options["method"] in ("auto", *taken_by("finetune"))
    if row.fit is None:
        assert (row.draws or row.name == "model-stock") and row.learns
