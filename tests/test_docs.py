"""The documents: links lead somewhere, modules they name are there, commands they show exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.__main__ import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
MODULE = (
    r"`((?:tfrecords|dual_encoder|classifiers|pipelines|duet|tests|benchmarks|examples)/[\w/.]+)`"
)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_relative_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_that_are_named_exist(page):
    if page.name == "CHANGELOG.md":
        pytest.skip("history names what was")
    named = re.findall(MODULE, page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_that_are_shown_exist(page):
    shown = set(re.findall(r"python -m pipelines (\w+)", page.read_text())) - {"COMMAND"}
    assert shown <= set(COMMANDS), shown - set(COMMANDS)


def test_the_readme_stays_readable():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    done = subprocess.run(
        [*command, str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = (tmp_path / "site/reference/commands.html").read_text()
    assert all(f'id="{command}"' in shown for command in COMMANDS)
    assert "held_out" not in shown and "--held-out" in shown


def test_the_flops_of_networks_are_those_of_the_table_of_methods():
    from pipelines.methods.table import METHODS

    page = (ROOT / "docs/tutorials/phone.md").read_text()
    shown = dict(re.findall(r"\| `([\w-]+)`[^|]*\| ([\d.]+) \|", page))
    table = {name: row.flops / 1e9 for name, row in METHODS.items() if row.flops > 1e9}
    assert {name: float(figure) for name, figure in shown.items()} == pytest.approx(table)
    assert " 32.2" in (ROOT / "docs/tutorials/food101.md").read_text()
