"""Labelled images named in a CSV: `file` with `label`, or with a 0/1 column for every class."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tfrecords.class_prompts import TEMPLATES
from tfrecords.sources.base import (
    File,
    FileSource,
    few,
    mixed,
    prompt_names,
    require_files,
    split_by_seed,
    split_name,
)

BETWEEN = "|"  # the labels of one image

_FILE_COLUMNS = ("file", "filename", "file_name", "image", "id")

_LABEL_COLUMNS = ("label", "labels")

_ENDINGS = ("", ".jpg", ".jpeg", ".png")  # some publish the name without it

Row = tuple[str, str, tuple[str, ...]]  # file, split ("" where the table does not say), classes


def labels(
    path: str | Path,
    *,
    images: str | Path | None = None,
    seed: int,
    multi_label: bool = False,
    ignore: Sequence[str] = (),
    name: str = "",
) -> FileSource:
    """Read a CSV with one row per image.

    The first line names the columns. `file` (or filename, image, id) is the image, with or
    without its .jpg or .png. Then either `label` is its class, or its classes with `|` between,
    and the classes are sorted by name; or every other column is a class that the image shows
    (1) or not (0), in the order of the columns. `split` says which split the image belongs to;
    without it images are split by seed, whatever the file is called.

    The set is multi-label if its classes are columns, if any image has two, or if
    `multi_label` says so.

    Args:
        path: the CSV, in UTF-8.
        images: where the images are; by default beside the CSV.
        seed: mixes, and splits what comes unsplit.
        multi_label: also where no image happens to have two labels.
        ignore: columns that say something else.

    Raises:
        FileNotFoundError: no such file or folder, or images it names are missing.
        ValueError: a column or a row is not as described; the message names the line.
    """
    path = Path(path)
    root = Path(images) if images is not None else path.parent
    _check_places(path, root)
    rows, classes = _read(path, ignore=ignore)
    listed = classes or sorted({label for _, _, found in rows for label in found})
    class_names = prompt_names(listed)
    _check_classes(path, rows, class_names)
    multi_label = multi_label or bool(classes) or any(len(found) > 1 for _, _, found in rows)
    by_split = _by_split(rows, root, listed, multi_label=multi_label)
    _check_files(path, root, [file.name for group in by_split.values() for file in group])
    return FileSource(
        name=name or path.resolve().stem,
        kind="labels",
        root=root,
        seed=seed,
        files=_splits(path, by_split, seed=seed),
        class_names=class_names,
        templates=TEMPLATES["any"],
        metric="map" if multi_label else "top1",
        multi_label=multi_label,
    )


def _check_places(path: Path, root: Path) -> None:
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected the images in it")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a CSV of images and labels")


def _by_split(
    rows: list[Row], root: Path, classes: Sequence[str], *, multi_label: bool
) -> dict[str, list[File]]:
    """The images as they are on disk, with the numbers of their classes."""
    number = {label: i for i, label in enumerate(classes)}
    found: dict[str, list[File]] = {}
    for file, split, labels in rows:
        numbers = tuple(sorted(number[label] for label in labels))
        label = numbers if multi_label else numbers[0]
        found.setdefault(split, []).append(File(_with_ending(root, file), label))
    return found


def _check_files(path: Path, root: Path, names: list[str]) -> None:
    require_files(root, names, listed_in=str(path))
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:  # the same name with and without its ending
        raise ValueError(f"{path} has images in two rows: {few(twice)}")


def _splits(path: Path, by_split: dict[str, list[File]], *, seed: int) -> dict[str, list[File]]:
    if "" not in by_split:
        return {split: mixed(group, seed=seed) for split, group in by_split.items()}
    if len(by_split) > 1:
        raise ValueError(f"{path}: some rows name a split and {len(by_split[''])} do not")
    return split_by_seed(by_split[""], seed=seed)


def _with_ending(root: Path, name: str) -> str:
    """The name as it is on disk; as it stands where no ending makes it a file."""
    return next((name + end for end in _ENDINGS if (root / (name + end)).is_file()), name)


def _check_classes(path: Path, rows: list[Row], names: Sequence[str]) -> None:
    if len(names) < 2:
        raise ValueError(f"{path}: expected two or more classes, got {few(names) or 'none'}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: several classes mean the same name: {few(twice)}")
    if not any(found for _, _, found in rows):
        raise ValueError(f"{path}: no image has a label")


def _read(path: Path, *, ignore: Sequence[str]) -> tuple[list[Row], list[str]]:
    """The rows, and the class columns; those are empty where a column `label` says the classes."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        table = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [column.strip() for column in next(table, [])]
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}") from None
    places, classes = _columns(path, header, ignore=ignore)
    if "label" in places:
        classes_of = _named(places["label"])
    else:
        classes_of = _marked({header.index(column): column for column in classes})
    rows: list[Row] = []
    line_of: dict[str, int] = {}
    try:
        for cells in filter(None, table):
            if len(cells) != len(header):
                raise ValueError(f"expected {len(header)} columns, got {len(cells)}")
            file = cells[places["file"]].strip()
            if not file:
                raise ValueError("expected a file, got an empty cell")
            if file in line_of:
                raise ValueError(f"{file} was in line {line_of[file]} already")
            line_of[file] = table.line_num
            split = split_name(cells[places["split"]].strip()) if "split" in places else ""
            rows.append((file, split, classes_of(cells)))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path}, line {table.line_num}: {error}") from None
    if not rows:
        raise ValueError(f"{path} names no images")
    return rows, classes


def _columns(
    path: Path, header: list[str], *, ignore: Sequence[str]
) -> tuple[dict[str, int], list[str]]:
    """Where `file`, `label` and `split` are, and the other columns that are to be classes."""
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise ValueError(f"{path}: columns with the same name: {few(twice)}")
    unknown = [column for column in ignore if column not in header]
    if unknown:
        raise ValueError(f"{path} has no column {few(unknown)} to ignore; it has: {few(header)}")
    used = {column.lower(): i for i, column in enumerate(header) if column not in ignore}
    places = {}
    for column, spellings in (
        ("file", _FILE_COLUMNS),
        ("label", _LABEL_COLUMNS),
        ("split", ("split",)),
    ):
        found = next((used[spelling] for spelling in spellings if spelling in used), None)
        if found is not None:
            places[column] = found
    others = [
        column
        for i, column in enumerate(header)
        if column not in ignore and i not in places.values()
    ]
    classes = [] if "label" in places else others
    if "file" not in places or not (classes or "label" in places):
        raise ValueError(
            f"{path}: expected columns file and label, or file and one 0/1 column per class, "
            f"in the first line; got {few(header) or 'none'}"
        )
    return places, classes


def _named(place: int) -> Callable[[list[str]], tuple[str, ...]]:
    def classes(cells: list[str]) -> tuple[str, ...]:
        found = [label.strip() for label in cells[place].split(BETWEEN)]
        if not all(found):
            raise ValueError(f"expected a label, or several as a{BETWEEN}b; got {cells[place]!r}")
        if len(set(found)) < len(found):
            raise ValueError(f"a label stands twice in {cells[place]!r}")
        return tuple(found)

    return classes


def _marked(columns: dict[int, str]) -> Callable[[list[str]], tuple[str, ...]]:
    def marked(cells: list[str]) -> Iterator[str]:
        for place, column in columns.items():
            value = cells[place].strip()
            if value not in ("0", "1"):
                raise ValueError(
                    f"class column {column!r}: expected 0 or 1, got {value!r} "
                    f"(is it a class? other columns are left out with --ignore-columns)"
                )
            if value == "1":
                yield column

    return lambda cells: tuple(marked(cells))
