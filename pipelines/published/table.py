"""Read and check the YAML table of published figures.

A file of `figures/` is a list of blocks. A block has `all`, what its figures have in common,
`columns`, what each column has besides, and `rows`: a list that begins with what the row has, then
one figure per column: a number, a pair of a number and its deviation, or `~` where there is none.
What a column has wins over `all`, and what a row has over both. `FIELDS` has what can be said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from duet import name_list
from pipelines.published.allowed_terms import ALL, MEASURES, METHODS, PROMPTS

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Split:
    """A split of a set as the authors of a figure used it.

    Attributes:
        names: what Duet, or a folder of images, calls it.
        images, classes: how many there are; 0 for not known.
        published: whether it is the set's own, and not CoOp's.
    """

    names: tuple[str, ...]
    images: int = 0
    classes: int = 0
    published: bool = True


@dataclass(frozen=True)
class Dataset:
    """What has to be known of a set to compare figures on it; see `datasets.yaml`."""

    splits: Mapping[str, Split]
    coop: str = ""
    templates: int = 0


@dataclass(frozen=True)
class Figure:
    """One published figure.

    Attributes:
        dataset: a name of `datasets.yaml`; model: a checkpoint's name, or another where `unlisted`.
        method: one of `METHODS` of `allowed_terms`, as are measure and prompts.
        value: in per cent.
        source: where it was published: a project and its commit, a thread or a paper.
        measure: of `MEASURES`.
        shots: images per class that were learnt from; 0 for none, "all" for every one.
        split: one of the dataset's; prompts: a key of `PROMPTS`, or a template.
        held_out: "none", or "half" of the classes.
        deviation: of the value over seeds, or what it may be misread by, in points.
        settings: options of the run that have to be the same.
        unlisted: the model is none of `dual_encoder.CHECKPOINTS`.
        not_comparable: why no run is held against it: it is, in words, ...
        note: what else to know.
    """

    dataset: str
    model: str
    method: str
    value: float
    source: str
    measure: str = "top1"
    shots: int | str = 0
    split: str = "test"
    prompts: str = "unstated"
    held_out: str = "none"
    deviation: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    unlisted: bool = False
    not_comparable: str = ""
    note: str = ""


FIELDS = tuple(each.name for each in fields(Figure))
REQUIRED = ("dataset", "model", "method", "value", "source")
NOT_KEY = ("value", "deviation", "unlisted", "not_comparable", "note")  # may differ in one figure


@cache
def datasets() -> Mapping[str, Dataset]:
    """The sets of the table by name."""
    found = {}
    for name, facts in _yaml(HERE / "datasets.yaml").items():
        splits = {
            split: Split(**{**row, "names": tuple(row["names"])}, published=split != "coop-test")
            for split, row in facts.pop("splits", {}).items()
        }
        found[name] = Dataset(splits, **facts)
    return found


@cache
def figures() -> tuple[Figure, ...]:
    """Every published figure that ships with Duet."""
    return tuple(
        figure for path in sorted((HERE / "figures").glob("*.yaml")) for figure in read(path)
    )


def read(path: Path) -> list[Figure]:
    """The figures of one file.

    Raises:
        ValueError: an unknown key or name, one that is missing, a row that is not as long as the
            columns are, a figure that is no percentage, or one that is there twice.
    """
    found: dict[tuple, Figure] = {}
    for block in _yaml(path):
        _check_keys(block, ("all", "columns", "rows"), where=str(path))
        for facts in _facts(block, path):
            figure = _figure(facts, where=f"{path}: {_words(facts)}")
            key = tuple(str(getattr(figure, name)) for name in FIELDS if name not in NOT_KEY)
            if key in found:
                raise ValueError(f"{path}: {_words(facts)}: it is there twice")
            found[key] = figure
    return list(found.values())


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _facts(block: Mapping[str, Any], path: Path) -> Iterator[dict[str, Any]]:
    """The fields that each figure of a block has."""
    columns = block["columns"]
    for own, *cells in block["rows"]:
        if len(cells) != len(columns):
            raise ValueError(f"{path}: {own}: expected {len(columns)} figures; got {len(cells)}")
        for column, cell in zip(columns, cells, strict=True):
            if cell is not None:
                pair = cell if isinstance(cell, list) else [cell]
                said = dict(zip(("value", "deviation"), pair, strict=False))
                yield {**block.get("all", {}), **column, **own, **said}


def _figure(facts: dict[str, Any], *, where: str) -> Figure:
    """The figure of these facts; ValueError names what is wrong with them."""
    _check_keys(facts, FIELDS, where=where)
    if missing := [name for name in REQUIRED if name not in facts]:
        raise ValueError(f"{where}: no {', '.join(missing)}")
    figure = Figure(**facts)
    for name, choices in {
        "dataset": datasets(),
        "method": METHODS,
        "measure": MEASURES,
        "held_out": ("none", "half"),
    }.items():
        _check_choice(name, getattr(figure, name), choices, where=where)
    splits = datasets()[figure.dataset].splits
    if splits:
        _check_choice("split", figure.split, splits, where=where)
    if "{}" not in figure.prompts:
        _check_choice("prompts", figure.prompts, PROMPTS, where=where)
    if figure.shots != ALL and not (isinstance(figure.shots, int) and figure.shots >= 0):
        raise ValueError(f"{where}: shots: expected a whole number or {ALL}; got {figure.shots!r}")
    for name in ("value", "deviation"):
        number = getattr(figure, name)
        if (
            isinstance(number, bool)
            or not isinstance(number, int | float)
            or not 0 <= number <= 100
        ):
            raise ValueError(f"{where}: {name}: expected 0 to 100 per cent; got {number!r}")
    return figure


def _words(facts: Mapping[str, Any]) -> str:
    """Which figure is meant, in a message."""
    return ", ".join(
        str(facts.get(name, "?")) for name in ("dataset", "model", "method", "measure")
    )


def _check_keys(given: Mapping[str, Any], known: tuple[str, ...], *, where: str) -> None:
    for key in given:
        _check_choice("key", key, known, where=where)


def _check_choice(what: str, given: Any, choices: Any, *, where: str) -> None:
    if str(given) not in choices:
        expected = f"; expected {', '.join(sorted(choices))}"
        hint = name_list.did_you_mean(str(given), choices) or expected
        raise ValueError(f"{where}: unknown {what} {given!r}{hint}")
