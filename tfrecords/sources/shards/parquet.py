"""Read Parquet and Arrow files with images in them, as Hugging Face's data sets are published."""

from __future__ import annotations

import functools
import io
import os
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from duet import atomic_files, regular_files
from tfrecords.class_name_keys import (
    by_number,
    made_of_others,
    refuse_merged,
    said_twice,
    say_little,
)
from tfrecords.published_names_and_templates import TEMPLATES
from tfrecords.schema import Label
from tfrecords.sources.base import File, FileSource, divided, few, prompt_names
from tfrecords.sources.captions import spoilt
from tfrecords.sources.folder_layout import split_word
from tfrecords.sources.shards import arrow_files, shard_files
from tfrecords.sources.shards.arrow_columns import Columns, columns_of
from tfrecords.sources.shards.arrow_examples import Example, read_examples
from tfrecords.sources.walk import passed_over

_OF_PROCESSING = "cache-"  # how files begin in which `datasets` keeps what was made of others

# Files of a copy: the images, one behind another, and where each begins and ends.
_BYTES, _PLACES = "images.bin", "images.npy"

_NO_BYTES = -1


class Place(NamedTuple):
    """Where an image is: its file and row, its name there, and its number among all."""

    file: str
    row: int
    path: str
    number: int


@dataclass(frozen=True)
class ParquetSource(FileSource):
    """A source whose images are values of a column.

    A group of rows is compressed as a whole. So whoever reads images in a mixed order reads them
    from a copy; see `unpacked`.

    Args:
        column: of the images' bytes.
        places: name -> where it is.
        copy: folder of a copy; None to read every image from its file.
        Others: see `FileSource`.
    """

    column: str = ""
    places: dict[str, Place] = field(default_factory=dict)
    copy: Path | None = None

    def load(self, name: str) -> bytes:
        place = self.places[name]
        if self.copy is None:
            ((_, data),) = arrow_files.images(Path(place.file), self.column, [place.row])
        else:
            data = _copied(self.copy, place.number)
        if data is None:
            return regular_files.read_regular(Path(place.file).parent / place.path)
        return data

    def unpacked(self, folder: Path, names: Callable[[], Collection[str]]) -> ParquetSource:
        """Returns the same source, which reads these images from a copy in a folder.

        Each group of rows is read once. A copy that is there is taken as it is.

        Raises OSError if the disk is full, ValueError for a file that is damaged.
        """
        if not (folder / _PLACES).is_file():
            wanted: dict[str, list[Place]] = {}
            for place in (self.places[name] for name in names()):
                wanted.setdefault(place.file, []).append(place)
            places = np.full((len(self.places), 2), _NO_BYTES, np.int64)
            with atomic_files.atomic(folder / _BYTES) as unfinished, open(unfinished, "wb") as file:
                for path, its in wanted.items():
                    number = {place.row: place.number for place in its}
                    for row, data in arrow_files.images(Path(path), self.column, sorted(number)):
                        if data is not None:
                            places[number[row]] = file.tell(), file.tell() + len(data)
                            file.write(data)
            content = io.BytesIO()
            np.save(content, places)
            atomic_files.write(folder / _PLACES, content.getvalue())
        return replace(self, copy=folder)


def _copied(folder: Path, number: int) -> bytes | None:
    start, stop = _places(folder)[number]
    if start == _NO_BYTES:
        return None
    with open(folder / _BYTES, "rb") as file:
        file.seek(start)
        return file.read(stop - start)


@functools.cache
def _places(folder: Path) -> np.ndarray:
    return np.load(folder / _PLACES)


def parquet(
    pattern: str,
    *,
    seed: int,
    name: str = "",
    image_column: str | None = None,
    label_column: str | None = None,
    caption_column: str | None = None,
    test_share: float | None = None,
) -> FileSource:
    """Read Parquet or Arrow files with a column of images and one of labels or captions.

    So Hugging Face's hub has data sets (`data/train-00000-of-00008.parquet`), `datasets` keeps them
    (`save_to_disk`, its cache), and pandas writes a column of bytes. The names of classes are those
    of the feature `ClassLabel`; without it labels are names, or numbers. A column of lists is of
    several labels, or captions, for each image. A file with train, val or test in its name or
    that of its folder is that split; else a column `split` says it, or images are split by seed.

    Args:
        pattern: a folder, a file, or a pattern with `*` or `{00000..00007}`.
        seed: of shuffling, and of splitting images without given splits.
        name: of the data set.
        image_column, label_column, caption_column: names of these columns, if unusual or several
            may be meant; `objects.category` is a field of a column.
        test_share: of images that come unsplit, in place of 20 % (10 % of captions and several
            labels).

    Raises:
        FileNotFoundError: no such files.
        ValueError: a file is damaged, lacks a column, or is of another data set than the first.

    Source: `Features` and `ClassLabel` of the `datasets` library, version 4.
    """
    where = f"--parquet {pattern}"
    paths, passed = _files(pattern, where)
    columns = _columns(
        paths, {"image": image_column, "label": label_column, "caption": caption_column}
    )
    root = Path(os.path.commonpath([path.parent.absolute() for path in paths]))
    examples = list(read_examples(shard_files.split_of(paths, where=where), columns))
    class_names, number_of = _classes(columns, examples, where=where)
    several = any(each.in_list for each in examples)
    files: dict[str, list[File]] = {}
    places: dict[str, Place] = {}
    for file, each in zip(_names(examples, root), examples, strict=True):
        if each.labels is None and (columns.label or not each.captions):
            passed[f"images without a {'label' if columns.label else 'caption'}"] += 1
            continue
        places[file] = Place(str(each.file), each.row, each.path, len(places))
        numbers = tuple(sorted({number_of[label] for label in each.labels or ()}))
        label: Label | None = numbers if several else numbers[0] if numbers else None
        files.setdefault(each.split, []).append(File(file, label, each.captions))
    if not files:
        raise ValueError(f"{where}: none of {len(examples):,} images has a label or a caption")
    return ParquetSource(
        name=name or (Path(pattern).resolve().stem if Path(pattern).exists() else root.name),
        kind="parquet",
        root=root,
        seed=seed,
        files=divided(files, seed=seed, test_share=test_share, where=where),
        class_names=class_names,
        templates=TEMPLATES["any"] if class_names else (),
        metric="recall" if not class_names else "map" if several else "top1",
        multi_label=several,
        notes=(
            *said_twice(class_names),
            *made_of_others(class_names, between=""),
            *say_little(class_names),
            *spoilt(files),
            *_not_read(paths[0], columns),
            *passed_over(passed),
        ),
        extra={"column": columns.image},
        column=columns.image,
        places=places,
    )


def _files(pattern: str, where: str) -> tuple[list[Path], Counter[str]]:
    """Returns the files of one data set, and what of a folder is passed over."""
    passed, inside = Counter[str](), shard_files.below(pattern)
    expected = "Parquet or Arrow files"
    paths = shard_files.matching(
        pattern, inside, endings=arrow_files.ENDINGS, where=where, expected=expected
    )
    if inside is None:
        return paths, passed
    made = [path.name for path in paths if path.name.startswith(_OF_PROCESSING)]
    if made and len(made) < len(paths):
        passed[f"what `datasets` computed from others ({few(made)})"] = len(made)
        paths = [path for path in paths if path.name not in made]
    parents = {path.parent for path in paths}
    folders = sorted({each.parent if split_word(each.name) else each for each in parents})
    if len(folders) > 1:
        raise ValueError(
            f"{where}: expected the files of one data set; folders with some are "
            f"{few([str(folder.relative_to(pattern)) for folder in folders])}; name one of them"
        )
    return paths, passed


def _columns(paths: list[Path], given: dict[str, str | None]) -> Columns:
    """Returns the columns that all files have; ValueError where one has others than the first."""
    first, *others = paths
    found = columns_of(arrow_files.schema_of(first), where=first, **given)
    for path in others:
        its = columns_of(arrow_files.schema_of(path), where=path, **given)
        if its != found:
            what = "class names" if its.names != found.names else "columns"
            raise ValueError(
                f"{path} has other {what} than {first}; expected files of one data set"
            )
    return found


def _classes(
    columns: Columns, examples: list[Example], *, where: str
) -> tuple[tuple[str, ...], dict[int | str, int]]:
    """Returns the names of the classes, and the number of each label; () and {} for captions."""
    if not columns.label:
        return (), {}
    said = {label for each in examples for label in each.labels or ()}
    listed = list(columns.names) or by_number(sorted(map(str, said)))
    refuse_merged(listed, where=where)
    if len(listed) < 2:
        raise ValueError(f"{where}: expected two or more classes, got {few(listed) or 'none'}")
    if columns.names:
        return prompt_names(listed), {number: number for number in range(len(listed))}
    return prompt_names(listed), {label: number for number, label in enumerate(listed)}


def _names(examples: list[Example], root: Path) -> list[str]:
    """Returns the images' names: those of the column if they tell them apart, else their rows."""
    own = [each.path.strip("/") for each in examples]
    if all(own) and len(set(own)) == len(own):
        return own
    stems = {each.file: each.file.absolute().relative_to(root).with_suffix("") for each in examples}
    return [
        f"{stems[each.file].as_posix()}/{each.row:06d}{Path(each.path).suffix}" for each in examples
    ]


def _not_read(path: Path, columns: Columns) -> list[str]:
    taken = {name.partition(".")[0] for name in (columns.image, *columns.described)}
    rest = [name for name in arrow_files.schema_of(path).names if name not in taken]
    return [f"columns not read: {few(rest)}"] if rest else []
