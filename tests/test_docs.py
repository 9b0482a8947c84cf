"""The documents: links lead somewhere, modules they name are there, commands they show exist."""

import contextlib
import functools
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipelines.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PATTERNS = ("*.md", "docs/**/*.md", "benchmarks/*.md", "skills/*/SKILL.md", "llms.txt")
PAGES = sorted(page for pattern in PATTERNS for page in ROOT.glob(pattern))
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
    bare = set(re.findall(r"`(\w+\.py)`", page.read_text()))
    assert bare <= {path.name for path in ROOT.glob("[a-z]*/**/*.py")}


def commands_in(page):
    """The code of a page, in blocks and in the line, where `duet` is a command and not a word."""
    text = page.read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"^    \S.*$|`[^`\n]+`", text, re.MULTILINE)])


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_that_are_shown_exist(page):
    shown = set(re.findall(r"(?:python -m pipelines|\bduet) (\w+)", commands_in(page)))
    assert shown - {"COMMAND"} <= set(COMMANDS), shown - set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_people_and_assistants_are_told_to_type_is_understood(page):
    """Every option of every command that is shown in a block of code."""
    lines = page.read_text().replace("\\\n", " ")
    typed = re.findall(r"^(?: {4})?(?:python -m pipelines|duet) (\w.+)$", lines, re.MULTILINE)
    assert typed or page not in (README, ROOT / "llms.txt", ROOT / "skills/duet/SKILL.md")
    for line in typed:
        command, *words = shlex.split(line, comments=True)
        if command not in COMMANDS:
            continue  # `duet --help`, or a sentence
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        known = option_names(command)
        assert given <= known, f"{line}: no option {sorted(given - known)}"


@functools.cache
def option_names(command):
    """The options of a command, as one types them."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main([command, "--help-all"]) == 0
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", said.getvalue()))


def test_the_skill_has_a_name_and_says_when_to_use_it():
    path = ROOT / "skills/duet/SKILL.md"
    about = yaml.safe_load(path.read_text().split("---\n")[1])
    assert set(about) == {"name", "description"}
    assert about["name"] == path.parent.name and 100 < len(about["description"]) <= 1024


def test_the_skill_and_the_readme_list_every_command():
    for page in (ROOT / "README.md", ROOT / "skills/duet/SKILL.md"):
        named = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", page.read_text()))))
        named |= set(re.findall(r"python -m pipelines (\w+)", page.read_text()))
        assert set(COMMANDS) <= named, (page.name, set(COMMANDS) - named)


def test_llms_txt_begins_as_the_format_asks():
    title, _, summary, *rest = (ROOT / "llms.txt").read_text().splitlines()
    assert title == "# Duet" and summary.startswith("> ")
    assert [line for line in rest if line.startswith("## ")][-1] == "## Optional"


def test_the_readme_stays_readable():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170


def test_what_the_readme_says_was_measured_stands_in_the_documents():
    """Figures with decimals, and how many times as fast; other pages say how each was measured."""
    (measured,) = re.findall(r"^## Measured$(.*?)^## ", README.read_text(), re.M | re.S)
    pages = (ROOT / "benchmarks/README.md", *ROOT.glob("docs/**/*.md"))
    documents = "\n".join(page.read_text() for page in pages)
    figures = re.findall(r"\b\d+\.\d+(?:e-\d+)?\b|\b\d\d times\b", measured)
    assert len(figures) >= 6
    assert [each for each in figures if not re.search(rf"\b{re.escape(each)}\b", documents)] == []


def test_the_demos_table_is_that_of_its_results():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs/site"))
        import demo
    if not demo.KEPT.is_file():
        pytest.skip("the table is of version 0.1: make demo, python docs/site/demo.py runs/demo")
    kept = json.loads(demo.KEPT.read_text())
    for page in demo.PAGES:
        assert demo.written(page.read_text(), kept) == page.read_text()
        assert kept["recommendation"]["answer"] in page.read_text()
    recipe = yaml.safe_load((ROOT / "pipelines/recipes/shapes_compare.yaml").read_text())
    assert [row["method"] for row in kept["rows"]] == recipe["methods"]
    assert {name: recipe[name] for name in demo.SETTINGS} == {n: kept[n] for n in demo.SETTINGS}


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


def test_the_flops_of_networks_are_those_of_the_table_of_methods_or_counted():
    import classifiers
    from pipelines.costs import flops
    from pipelines.methods.registry import METHODS

    page = (ROOT / "docs/tutorials/phone.md").read_text()
    shown = dict(re.findall(r"\| `([\w-]+)`[^|]*\| ([\d.]+) \|", page))
    table = {name: row.flops / 1e9 for name, row in METHODS.items() if row.flops > 1e9}
    for name in set(shown) - set(table):
        network = classifiers.build(name, classes=10, weights=None)
        table[name] = round(flops.counted(network) / 1e9, 2)
    assert {name: float(figure) for name, figure in shown.items()} == pytest.approx(table)
    assert " 32.2" in (ROOT / "docs/tutorials/food101.md").read_text()
