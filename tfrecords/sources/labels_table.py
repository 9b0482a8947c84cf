"""Read a table of labelled images: `file` with `label`, or with a 0/1 column per class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tfrecords.class_name_keys import by_number, made_of_others, refuse_merged, say_little
from tfrecords.non_utf8_names import escaped
from tfrecords.published_names_and_templates import TEMPLATES
from tfrecords.sources import imagefolder, label_cells
from tfrecords.sources import table_columns as table_file
from tfrecords.sources.base import (
    SPLIT_NAMES,
    File,
    FileSource,
    divided,
    few,
    order,
    prompt_names,
    require_files,
)
from tfrecords.sources.copies_across_splits import versions
from tfrecords.sources.image_path_resolution import (
    beside,
    elsewhere,
    on_disk,
    unnamed,
)
from tfrecords.sources.linked_files import linked
from tfrecords.sources.table_columns import Table, in_rows, plain_name
from tfrecords.sources.table_parsing import read_table

Row = tuple[str, str, tuple[str, ...]]  # file, split ("" if not given), classes


def labels(
    path: str | Path,
    *,
    images: str | Path | None = None,
    seed: int,
    multi_label: bool = False,
    label_separator: str | None = None,
    ignore: Sequence[str] = (),
    name: str = "",
    image_column: str | None = None,
    label_column: str | None = None,
    test_share: float | None = None,
) -> FileSource:
    """Read a table with one row per image (see `read_table`), or COCO's JSON of objects.

    Column `file` (or filename, image, id and so on) is the image, with or without .jpg or .png.
    Either column `label` (or class, category) holds its class or classes, separated by `|`, and
    classes are sorted by name; or every other column is a class, present (1) or absent (0, or -1 in
    all of them), in column order. Column `split`, or one of another name that says splits alone, or
    `is_valid` as in fastai, gives the image's split; without it images whose folders are all called
    like splits are in those, and others are split by seed, whatever the file is called.

    The data set is multi-label if its classes are columns, any image has two or none, or
    `multi_label` or `label_separator` is set.

    Args:
        path: the table, in UTF-8 or UTF-16; or a folder with Hugging Face's `metadata.csv` or
            `metadata.jsonl`, or Roboflow's files, in itself or in its split folders.
        images: folder of the images; by default that of the table, or, of a JSON file in a folder
            `annotations` as COCO has it, the parent.
        seed: of shuffling, and of splitting images without given splits.
        multi_label: treat as multi-label even if no image has two labels; the labels of an image
            may then stand in a row each.
        label_separator: what divides several labels in a cell, in place of `|`; a space for any
            number of them.
        ignore: columns that are not classes.
        name: of the data set.
        image_column, label_column: names of these columns, if unusual.
        test_share: of images without given splits, in place of 20 % (10 % of several labels).

    Raises:
        FileNotFoundError: no such file or folder, or images it names are missing.
        ValueError: a column or a row is not as described; the message names the line.
    """
    if label_separator == "":
        raise ValueError("--label-separator: expected a text, such as ',' or ' '; got ''")
    path = Path(path)
    usual = beside(path) if path.suffix.lower() == ".json" else path.parent
    root = Path(images) if images is not None else path if path.is_dir() else usual
    rows, classes, notes = _rows(
        path,
        root,
        cells=_Cells(label_separator or label_cells.BETWEEN, in_rows=multi_label),
        ignore=ignore,
        image=image_column,
        label=label_column,
    )
    listed = classes or by_number(sorted({label for _, _, found in rows for label in found}))
    class_names = prompt_names(listed)
    _check_classes(path, rows, listed, are_columns=bool(classes))
    multi_label = (
        multi_label
        or bool(label_separator or classes)
        or any(len(found) != 1 for _, _, found in rows)
    )
    by_split = _by_split(rows, root, listed, multi_label=multi_label)
    names = [file.name for group in by_split.values() for file in group]
    _check_files(path, root, names)
    if path.is_dir():
        notes += imagefolder.lacking(path, names, imagefolder.LABELS)
    files = divided(by_split, seed=seed, test_share=test_share, where=path)
    return FileSource(
        name=name or path.resolve().stem,
        kind="labels",
        root=root,
        seed=seed,
        files=files,
        class_names=class_names,
        templates=TEMPLATES["any"],
        metric="map" if multi_label else "top1",
        multi_label=multi_label,
        notes=(
            *notes,
            *_everywhere(rows, listed),
            *_like_splits(classes),
            *order(listed, what="labels"),
            *made_of_others(listed, between=label_separator or label_cells.BETWEEN),
            *say_little(listed),
            *unnamed(root, names, what="that the table does not name"),
            *linked(root, files),
            *versions(files),
        ),
    )


class _Cells(NamedTuple):
    """How several labels of an image stand: what divides them, and whether in a row each."""

    between: str
    in_rows: bool


def _everywhere(rows: Sequence[Row], listed: Sequence[str]) -> tuple[str, ...]:
    """Returns a note on labels that every image has, such as a column of weights."""
    often = Counter(label for _, _, found in rows for label in found)
    always = [label for label in listed if often[label] == len(rows)]
    return (f"labels that every image has: {few(always)}; are they classes?",) if always else ()


def _like_splits(columns: Sequence[str]) -> tuple[str, ...]:
    """Returns a note on class columns such as train and test; one alone may be a vehicle."""
    found = [name for name in columns if plain_name(name) in SPLIT_NAMES]
    said = f"class columns called like splits: {few(found)}; --ignore-columns leaves them out"
    return (said,) * (len(found) > 1)


def _rows(path: Path, root: Path, **columns: Any) -> tuple[list[Row], list[str], list[str]]:
    """Returns the rows, class columns and notes of a table or of a folder's metadata files."""
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected the images in it")
    files = imagefolder.files(path, imagefolder.LABELS) if path.is_dir() else [(path, "")]
    if not files or not files[0][0].is_file():
        what = f"no file {path}"
        if path.is_dir():
            what = f"no {imagefolder.any_of(imagefolder.LABELS)} in {path} or in its split folders"
        raise FileNotFoundError(f"there is {what}; expected a table of images and labels")
    rows: list[Row] = []
    classes: list[str] = []
    notes: list[str] = []
    for file, split in files:
        before, (found, classes, not_read) = (
            classes,
            _read(read_table(file, value="label"), **columns),
        )
        if rows and set(classes) != set(before):
            raise ValueError(
                f"{file}: expected the class columns of the other splits, "
                f"{few(before) or 'none'}; got {few(classes) or 'none'}"
            )
        there = root / file.parent.name if split else root
        moved, said = elsewhere(there, [name for name, _, _ in found])
        found = [(moved.get(name, name), own_split, c) for name, own_split, c in found]
        notes += [note for note in (*not_read, *said) if note not in notes]
        if split:
            found = [
                (f"{file.parent.name}/{name}", own_split or split, c)
                for name, own_split, c in found
            ]
        else:
            is_metadata, rows_before = file.name in imagefolder.LABELS, found
            found = _by_folder(found, several=not is_metadata)
            notes += [imagefolder.FOLDERS] * (found is not rows_before and not is_metadata)
        rows += found
    return rows, classes, notes


def _by_folder(rows: list[Row], *, several: bool) -> list[Row]:
    """Returns the rows with splits from their folders, if no column gives them and all have one."""
    splits = imagefolder.by_folder({row[0]: row for row in rows}, several=several)
    if splits is None or any(split for _, split, _ in rows):
        return rows
    return [
        (name, split, classes)
        for split, group in splits.items()
        for name, _, classes in group.values()
    ]


def _by_split(
    rows: list[Row], root: Path, classes: Sequence[str], *, multi_label: bool
) -> dict[str, list[File]]:
    """Returns the images by split, named as on disk, with their class indices."""
    number = {label: i for i, label in enumerate(classes)}
    by_split: dict[str, list[File]] = {}
    for file, split, labels in rows:
        numbers = tuple(sorted(number[label] for label in labels))
        label = numbers if multi_label else numbers[0]
        by_split.setdefault(split, []).append(File(on_disk(root, file), label))
    return by_split


def _check_files(path: Path, root: Path, names: list[str]) -> None:
    require_files(root, names, listed_in=str(path))
    paths = [os.path.abspath(os.path.join(root, name)) for name in names]
    times = Counter(paths)
    twice = [name for name, path in zip(names, paths, strict=True) if times[path] > 1]
    if twice:  # spelt in two ways, such as with and without its extension or folder
        raise ValueError(f"{path} has images in two rows: {few(twice)}")


def _check_classes(
    path: Path, rows: list[Row], listed: Sequence[str], *, are_columns: bool
) -> None:
    if len(listed) < 2:
        hint = f"; --label-column {listed[0]} reads 0 and 1 as two" if are_columns else ""
        raise ValueError(f"{path}: expected two or more classes, got {few(listed) or 'none'}{hint}")
    refuse_merged(listed, where=path)
    halves = [name for name in listed if escaped(name) != name]
    if halves:
        raise ValueError(f"{path}: a class's name has half a character in it: {escaped(halves[0])}")
    if not any(found for _, _, found in rows):
        raise ValueError(f"{path}: no image has a label")


def _read(
    table: Table, *, cells: _Cells, ignore: Sequence[str], image: str | None, label: str | None
) -> tuple[list[Row], list[str], list[str]]:
    """Returns the rows, the class columns (none if there is a column `label`) and notes."""
    places, classes = _columns(table, ignore=ignore, image=image, label=label)
    if "label" in places:
        classes_of = label_cells.named(places["label"], cells.between)
    else:
        classes_of = label_cells.marked(
            table, {table.columns.index(column): column for column in classes}
        )
    together = cells.in_rows and "label" in places
    line_of: dict[str, int] = {}

    def read(row: table_file.Row) -> Row:
        file = str(row.cells[places["image"]]).strip()
        if not file:
            raise ValueError("expected a file, got an empty cell")
        if line_of.setdefault(file, row.line) != row.line and not together:
            hint = f"several labels as a{cells.between}b, or --multi-label for a row of each"
            raise ValueError(
                f"{file} was in {table.unit} {line_of[file]} already; expected one row for each "
                f"image{', ' + hint if 'label' in places else ''}"
            )
        return file, table.split_of(row, places.get("split")), classes_of(row.cells)

    rows = in_rows(table, read)
    if not rows:
        raise ValueError(f"{table.path} names no images")
    left = {table.columns.index(column) for column in [*ignore, *classes]}
    rows = _merged(table, rows) if together else rows
    return rows, classes, table.not_read({*places.values(), *left})


def _merged(table: Table, rows: list[Row]) -> list[Row]:
    """Returns one row for each image, with all of its labels; ValueError for two splits."""
    found: dict[str, Row] = {}
    for line, (file, split, labels) in zip(table.rows, rows, strict=True):
        _, of_others, before = found.setdefault(file, (file, split, ()))
        if split != of_others:
            raise table.error(line, f"{file}: expected split {of_others}, as before; got {split}")
        found[file] = file, split, tuple(dict.fromkeys((*before, *labels)))
    return list(found.values())


def _columns(
    table: Table, *, ignore: Sequence[str], image: str | None, label: str | None
) -> tuple[dict[str, int], list[str]]:
    """Returns the positions of image, label and split, and the remaining class columns."""
    path, header = table.path, table.columns
    unknown = [column for column in ignore if column not in header]
    if unknown:
        raise ValueError(f"{path} has no column {few(unknown)} to ignore; it has: {few(header)}")
    used = replace(table, columns=tuple("" if c in ignore else c for c in header))
    candidates = {
        "image": used.place("image", given=image, needed=False),
        "label": used.place("label", given=label, needed=False),
        "split": used.place("split", needed=False),
    }
    if candidates["split"] == candidates["label"]:  # classes called train and test
        candidates["split"] = None
    places = {what: place for what, place in candidates.items() if place is not None}
    others = [c for i, c in enumerate(used.columns) if c and i not in places.values()]
    classes = [] if "label" in places else others
    if "image" not in places or not (classes or "label" in places):
        raise ValueError(
            f"{path}: expected columns file and label, or file and one 0/1 column per class, "
            f"in the first {table.unit}; got {few(header) or 'none'}"
            "; --image-column and --label-column name others"
        )
    return places, classes
