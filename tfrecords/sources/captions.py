"""Read captioned images: a table of images and captions, or COCO's or Karpathy's JSON."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from duet import name_list
from tfrecords.images.formats import IMAGE_SUFFIXES
from tfrecords.sources import coco_captions, flickr_captions, imagefolder
from tfrecords.sources.base import (
    SPLIT_NAMES,
    SPLITS,
    File,
    FileSource,
    divided,
    few,
    is_file,
    require_files,
)
from tfrecords.sources.coco_captions import Captions
from tfrecords.sources.copies_across_splits import versions
from tfrecords.sources.image_path_resolution import (
    beside,
    elsewhere,
    on_disk,
    unnamed,
)
from tfrecords.sources.linked_files import linked
from tfrecords.sources.table_columns import Row, Table, in_rows, texts
from tfrecords.sources.table_parsing import ENDINGS, is_json_lines, of_document, read_table
from tfrecords.text_files import misread, parse_json, read_text

# A split name as a word or before a year, as in captions_val2017.json.
_SPLIT_WORD = re.compile(rf"(?<![a-z])({'|'.join(SPLIT_NAMES)})(?![a-z])")

# Characters as HTML writes them, and tags that are left in texts of web pages.
_HTML = re.compile(
    r"&(?:amp|lt|gt|quot|nbsp|#\d+|#x[0-9a-f]+);|</?(?:br|p|b|i|a|div|span)\b[^<>]*>", re.I
)


# What pandas, Python and R write of a text that is missing.
_NOTHING = frozenset(("nan", "none", "null", "n/a", "<na>"))


def captions(
    path: str | Path,
    *,
    images: str | Path | None = None,
    seed: int,
    name: str = "",
    image_column: str | None = None,
    caption_column: str | None = None,
    test_share: float | None = None,
) -> FileSource:
    """Read a caption file, or a folder of `captions_*.json` / `captions_*.csv`, one per split.

    A table (CSV, TSV, JSON, JSON Lines: see `table_parsing.read_table`) has a column for the image
    and one for the caption, under any of their usual names, one row per caption; an optional column
    `split` gives the image's split; other columns are ignored. JSON may also follow COCO: `images`
    with `id` and `file_name`, `annotations` with `image_id` and `caption` (images without a caption
    are left out); or Karpathy's `dataset_coco.json`: `images` with `filepath`, `filename`, `split`
    and `sentences`, each with its text as `raw`. A file named train, val or test is that split;
    images whose folders are all called like splits are in those; others are split by seed. A folder
    may also hold Hugging Face's `metadata.csv` or `metadata.jsonl`, in itself or in its split
    folders.

    Args:
        path: the file or folder.
        images: folder of the images; by default that of the caption file. COCO's image folder
            per split (`captions_val2017.json` -> `val2017/`) is recognised.
        seed: of shuffling, and of splitting images without given splits.
        name: of the data set.
        image_column, caption_column: names of these columns, if unusual.
        test_share: of images without given splits, in place of 10 %.

    Raises:
        FileNotFoundError: no such file, or images it names are missing.
        ValueError: it is malformed, or holds no captions.
    """
    path = Path(path)
    root = Path(images) if images is not None else beside(path)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected the images in it")
    columns = (image_column, caption_column)
    files: dict[str, list[File]] = {}
    notes: list[str] = []
    read = partial(_read, root=root, seed=seed, test_share=test_share)
    listed_files = _caption_files(path, notes)
    for file, split in listed_files:
        prefix = f"{file.parent.name}/" if split and images is None else ""
        listed = _by_split(file, columns, split=split, notes=notes, root=root / prefix)
        for found, group in read(file, listed, prefix=prefix).items():
            _refuse_again(path, files, found, group)
            if found in files:
                raise ValueError(
                    f"{path}: several files hold split {found}, {file.name} among them"
                )
            files[found] = group
    order = [*SPLITS, *files]
    files = {split: files[split] for split in dict.fromkeys(order) if split in files}
    names = [file.name for group in files.values() for file in group]
    if any(file.name in imagefolder.CAPTIONS for file, _ in listed_files) and path.is_dir():
        folders = [f"{file.parent.name}/" for file, split in listed_files if split]
        notes += imagefolder.lacking(path, [*names, *folders], imagefolder.CAPTIONS)
    notes += [
        *unnamed(root, names, what="left out, without a caption or a split"),
        *spoilt(files),
        *linked(root, files),
        *versions(files),
    ]
    return FileSource(
        name=name or path.resolve().stem,
        kind="captions",
        root=root,
        seed=seed,
        files=files,
        metric="recall",
        notes=tuple(notes),
    )


def spoilt(files: Mapping[str, Sequence[File]]) -> list[str]:
    """Returns notes that count the images with such captions, by what is wrong.

    They say nan or none, as programs write one that is missing, have HTML in them, or were UTF-8
    and read as another encoding.
    """
    kinds = {
        "a caption that says nan or none": lambda text: text.lower() in _NOTHING,
        "HTML in a caption": lambda text: bool(_HTML.search(text)),
        "a caption that was UTF-8, read in another encoding": lambda text: misread(text) != text,
    }
    every = [file for group in files.values() for file in group]
    said = {text for file in every for text in file.captions}
    one_word = all(text.isascii() and " " not in text for text in said)
    alike = one_word and 1 < len(said) <= len(every) / 2
    notes = ["every caption is one word; are they labels?"] * alike
    for what, is_so in kinds.items():
        found = [file.name for file in every if any(map(is_so, file.captions))]
        notes += [f"images with {what}: {len(found):,} ({few(found)})"] * bool(found)
    return notes


def _refuse_again(
    path: Path, files: Mapping[str, list[File]], split: str, group: Iterable[File]
) -> None:
    """Raises ValueError for an image of a split that a file before has in another."""
    known = {file.name: before for before, group in files.items() for file in group}
    for file in group:
        if known.get(file.name, split) != split:
            raise ValueError(
                f"{path}: {file.name} is in two splits: {known[file.name]} and {split}"
            )


def _caption_files(path: Path, notes: list[str]) -> list[tuple[Path, str]]:
    """Returns the files to read, each with the split of its folder ("" for none)."""
    if path.is_file():
        return [(path, "")]
    called_so = sorted(p for p in path.glob("captions_*") if p.is_file())
    matches = [file for file in called_so if file.suffix.lower() in ENDINGS]
    if matches:
        others = [file.name for file in called_so if file not in matches]
        notes += [f"passed over: files that are no tables: {few(others)}"] * bool(others)
        return [(file, "") for file in matches]
    files = imagefolder.files(path, imagefolder.CAPTIONS)
    if not files:
        raise FileNotFoundError(
            f"{path} is neither a caption file nor a folder with captions_*.json, captions_*.csv, "
            f"{imagefolder.any_of(imagefolder.CAPTIONS)}{_labels(path) or _beside(path)}"
        )
    return files


def _labels(path: Path) -> str:
    """Returns what to do with a folder that has tables of labels."""
    tables = imagefolder.files(path, imagefolder.LABELS)
    return f"; --labels reads {tables[0][0]}" if tables else ""


def _beside(path: Path) -> str:
    """Returns what to do with `1.txt` beside `1.jpg`, if a folder holds such pairs."""
    names = os.listdir(path) if path.is_dir() else []
    pairs = [os.path.splitext(name) for name in names]
    images = {stem for stem, ending in pairs if ending.lower() in IMAGE_SUFFIXES}
    if not any(stem in images for stem, ending in pairs if ending == ".txt"):
        return ""
    tar = f"{path.resolve().name}.tar"
    return (
        f"; texts beside their images are read from a tar file: "
        f"tar -cf {shlex.quote(tar)} -C {shlex.quote(str(path))} . "
        f"and --webdataset {shlex.quote(tar)}"
    )


def _by_split(
    path: Path,
    columns: tuple[str | None, str | None],
    *,
    split: str,
    notes: list[str],
    root: Path,
) -> dict[str, Captions]:
    """Returns the captions of one file by split; "" if unknown."""
    text = read_text(path) if path.suffix.lower() == ".json" else ""
    document = parse_json(text, name=str(path)) if text and not is_json_lines(path, text) else None
    if coco_captions.is_coco(document):
        by_split = coco_captions.read(path, document, notes)
    elif document is not None:
        by_split = _of_table(of_document(path, document), columns, notes)
    else:
        by_split = _of_table(read_table(path), columns, notes)
        flickr_captions.without_ghosts(by_split, notes)
        by_split = flickr_captions.splits(path, by_split)
    by_split = _without_empty(by_split, notes)
    if not any(by_split.values()):
        raise ValueError(f"{path} holds no captions")
    names = [name for group in by_split.values() for name in group]
    moved, told = ({}, []) if _image_folder(path, root, names[0]) else elsewhere(root, names)
    if moved:
        by_split = {s: {moved[n]: c for n, c in group.items()} for s, group in by_split.items()}
    notes += told
    if list(by_split) == [""]:
        is_metadata = path.name in imagefolder.CAPTIONS
        found = imagefolder.by_folder(by_split[""], several=not is_metadata)
        by_split = found or by_split
        notes += [imagefolder.FOLDERS] * (found is not None and not is_metadata)
    named = _SPLIT_WORD.search(path.stem.lower())
    said = split or (SPLIT_NAMES[named.group()] if named else "")
    return {said: by_split[""]} if list(by_split) == [""] else by_split


def _without_empty(by_split: Mapping[str, Captions], notes: list[str]) -> dict[str, Captions]:
    """Returns the captions that are not empty; a note counts the images that have others."""
    left: dict[str, Captions] = {}
    empty: list[str] = []
    for split, group in by_split.items():
        for name, said in group.items():
            texts_of = [text for text in said if text]
            if len(texts_of) < len(said) or not said:
                empty.append(name)
            if texts_of:
                left.setdefault(split, {})[name] = texts_of
    notes += [
        f"passed over: empty captions of {name_list.counted(len(empty), 'image')} ({few(empty)})"
    ] * bool(empty)
    return left


def _read(
    path: Path,
    by_split: dict[str, Captions],
    *,
    root: Path,
    seed: int,
    prefix: str,
    test_share: float | None,
) -> dict[str, list[File]]:
    """Returns the images of one caption file by split, shuffled; checks that each exists."""
    first = next(name for group in by_split.values() for name in group)
    folder = prefix or _image_folder(path, root, first)
    files: dict[str, list[File]] = {}
    split_of: dict[str, str] = {}
    for split, group in by_split.items():
        found: Captions = {}
        for name, said in group.items():
            found.setdefault(on_disk(root, folder + name), []).extend(said)
        twice = next((name for name in found if name in split_of), None)
        if twice is not None:  # spelt in two ways
            raise ValueError(f"{path}: {twice} is in two splits: {split_of[twice]} and {split}")
        split_of |= dict.fromkeys(found, split)
        files[split] = [File(name, None, tuple(said)) for name, said in found.items()]
    require_files(root, split_of, listed_in=str(path))
    return divided(files, seed=seed, test_share=test_share, where=path)


def _image_folder(path: Path, root: Path, first: str) -> str:
    """Returns `val2017/` for `captions_val2017.json` if its images are in that folder."""
    folder_name = path.stem.removeprefix("captions_")
    folders = [folder_name] if is_file(root, first) else [folder_name, *flickr_captions.FOLDERS]
    return next((f"{f}/" for f in folders if is_file(root / f, first)), "")


def _of_table(
    table: Table, columns: tuple[str | None, str | None], notes: list[str]
) -> dict[str, Captions]:
    """Returns captions by split; "" if the file has no splits."""
    image, caption = (
        table.place(what, given=given)
        for what, given in zip(("image", "caption"), columns, strict=True)
    )
    table = flickr_captions.without_numbers(table, image)
    split_at = table.place("split", needed=False)
    notes += table.not_read({image, caption, split_at})
    by_split: dict[str, Captions] = {}
    split_of: dict[str, str] = {}

    def add(row: Row) -> None:
        name, said = str(row.cells[image]).strip(), texts(row.cells[caption])  # type: ignore[index]
        split = table.split_of(row, split_at)
        if not name:
            raise ValueError("expected a file, got an empty cell")
        if split_of.setdefault(name, split) != split:
            raise ValueError(f"{name} is in two splits: {split_of[name]} and {split}")
        by_split.setdefault(split, {}).setdefault(name, []).extend(said or [""])

    in_rows(table, add)
    return by_split
