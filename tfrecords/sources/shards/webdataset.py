"""Read WebDataset shards: tar files in which members with the same stem form an example."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfrecords.class_name_keys import (
    by_number,
    made_of_others,
    more_than_name,
    refuse_merged,
    said_twice,
    say_little,
)
from tfrecords.published_names_and_templates import TEMPLATES
from tfrecords.schema import Label
from tfrecords.sources import imagefolder
from tfrecords.sources.base import (
    File,
    FileSource,
    divided,
    few,
    prompt_names,
)
from tfrecords.sources.captions import spoilt
from tfrecords.sources.shards import shard_files
from tfrecords.sources.shards.tar_examples import CAPTION, LABEL, Found, Place, examples
from tfrecords.sources.walk import passed_over
from tfrecords.text_files import read_text

_PACKED = re.compile(r"\.tar\.\w+$|\.tgz$", re.IGNORECASE)  # compressed, or not yet whole

_NUMBER = re.compile(r"(-?\d+)(?:\.0+)?", re.ASCII)

LABELS_DIFFER = "labels differ, a text's before that of JSON"


@dataclass(frozen=True)
class TarSource(FileSource):
    """A source whose images are members of tar files.

    Args:
        places: name -> location of its bytes.
        Others: see `FileSource`.
    """

    places: dict[str, Place] = field(default_factory=dict)

    def load(self, name: str) -> bytes:
        path, start, size = self.places[name]
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(size)


def webdataset(
    pattern: str, *, seed: int, name: str = "", test_share: float | None = None
) -> FileSource:
    """Read tar shards: images with captions (`txt`, `json`), class numbers or names (`cls`).

    Each line of a `txt` is a caption, as clip-benchmark's sets have them.
    A shard with train, val or test in its file or folder name is that split, and so is a folder in
    shards whose folders are all called so; others are split by seed. Names of numbered classes are
    the lines of `classnames.txt` beside or above the shards.

    Args:
        pattern: `shards/{0000..0099}.tar`, a pattern with `*`, one file, or a folder.
        seed: of shuffling, and of splitting images without given splits.
        name: of the data set.
        test_share: of images that come unsplit, in place of 20 % (10 % of captions).

    Raises:
        FileNotFoundError: no such shards.
        ValueError: a shard is damaged or compressed, or examples have neither captions nor labels.
    """
    shards, passed = _shards(pattern)
    root = Path(os.path.commonpath([shard.parent.absolute() for shard in shards]))
    places: dict[str, Place] = {}
    by_split: dict[str, list[tuple[str, Found]]] = {}
    folder_of: dict[str, str] = {}
    faults: list[str] = []
    for shard, split in shard_files.split_of(shards, where=f"--webdataset {pattern}").items():
        for key, found in examples(shard, passed).items():
            if found.image is None:
                passed["examples without an image"] += 1
                continue
            if found.fault:
                faults.append(found.fault)
                continue
            file = f"{shard.absolute().relative_to(root).as_posix()}/{key}.{found.ending}"
            if file in places:
                raise ValueError(f"{shard} has {key}.{found.ending} twice, or stands twice in it")
            places[file] = found.image
            folder_of[file] = key.removeprefix("./").partition("/")[0] if "/" in key else ""
            by_split.setdefault(split, []).append((file, found))
    if list(by_split) == [""]:
        by_split = _by_folder(by_split[""], folder_of, where=f"--webdataset {pattern}")
    every = [pair for group in by_split.values() for pair in group]
    class_names, labels = _classes(shards[0], [found for _, found in every], passed)
    lines = [file for file, found in every if found.lines]
    twofold = [file for file, found in every if found.other]
    files: dict[str, list[File]] = {}
    for split, group in by_split.items():
        for file, found in group:
            if found.label is None and (class_names or not found.captions):
                passed[f"examples without a {'label' if class_names else 'caption'}"] += 1
            else:
                files.setdefault(split, []).append(File(file, labels(found), found.captions))
    if faults:
        passed[f"examples whose text cannot be read ({few(faults)})"] = len(faults)
    _check(pattern, files, faults, found=bool(by_split))
    return TarSource(
        name=name or root.name,
        kind="webdataset",
        root=root,
        seed=seed,
        files=divided(files, seed=seed, test_share=test_share, where=f"--webdataset {pattern}"),
        class_names=class_names,
        templates=TEMPLATES["any"] if class_names else (),
        metric="top1" if class_names else "recall",
        notes=(
            *said_twice(class_names),
            *made_of_others(class_names, between=""),
            *say_little(class_names),
            *spoilt(files),
            *[f"texts with a caption on each line: {len(lines):,} ({few(lines)})"] * bool(lines),
            *[f"examples whose {LABELS_DIFFER}: {len(twofold):,} ({few(twofold)})"] * bool(twofold),
            *passed_over(passed),
        ),
        places=places,
    )


def _shards(pattern: str) -> tuple[list[Path], Counter[str]]:
    """Returns the tar files that match a pattern, and what else a folder holds that may be one.

    Raises FileNotFoundError if any is missing.
    """
    passed, inside = Counter[str](), shard_files.below(pattern)
    if packed := [path.name for path in inside or () if _PACKED.search(path.name)]:
        passed[f"files that are no plain tar files ({few(packed)})"] = len(packed)
    paths = shard_files.matching(
        pattern,
        inside,
        endings=(".tar",),
        where=f"--webdataset {pattern}",
        expected="tar files",
        instead=next(iter(passed), "none"),
    )
    return paths, passed


def _by_folder(
    group: list[tuple[str, Found]], folder_of: Mapping[str, str], *, where: str
) -> dict[str, list[tuple[str, Found]]]:
    """Groups examples by the splits of their folders if these are several; {"": all} otherwise."""
    pairs = {f"{folder_of[pair[0]]}/{pair[0]}": pair for pair in group}
    found = imagefolder.by_folder(pairs, several=True, where=where)
    return {split: list(inner.values()) for split, inner in (found or {"": pairs}).items()}


def _classes(shard: Path, found: list[Found], passed: Counter[str]) -> tuple[tuple[str, ...], Any]:
    """Returns the class names, and a function from an example to its label."""
    said = {each.label for each in found if each.label is not None}
    if not said:
        return (), lambda each: None
    folders = list(shard.absolute().parents)[:2]
    listing = next(
        (path for path in (f / "classnames.txt" for f in folders) if path.is_file()),
        None,
    )
    number = {label: int(place[1]) for label in said if (place := _NUMBER.fullmatch(label))}
    if listing is not None and number:
        names = _listed(listing)
        strange = sorted(label for label in said if not 0 <= number.get(label, -1) < len(names))
        if strange:
            raise ValueError(f"{listing} has {len(names)} names; a shard has class {strange[0]}")
    else:
        if listing is not None:
            passed[f"{listing.name}, as the shards have names for labels"] = 1
        ordered = by_number(sorted(said))
        names, number = prompt_names(ordered), {label: i for i, label in enumerate(ordered)}
        refuse_merged(ordered, where="the shards' labels")
    if len(names) < 2:
        raise ValueError(f"expected two or more classes, got {few(names)}")

    def label_of(each: Found) -> Label | None:
        return None if each.label is None else number[each.label]

    return names, label_of


def _listed(listing: Path) -> tuple[str, ...]:
    """Returns the names in `classnames.txt`; a class's number is that of its line."""
    lines = [line.strip() for line in read_text(listing).rstrip().splitlines()]
    if "" in lines:
        raise ValueError(
            f"{listing}: line {lines.index('') + 1} is empty; expected the name of a class"
        )
    if (line := more_than_name(lines)) is not None:
        raise ValueError(f"{listing}: expected a name alone on each line; got {line!r}")
    refuse_merged(lines, where=listing)
    return prompt_names(lines)


def _check(pattern: str, files: dict[str, list[File]], faults: list[str], *, found: bool) -> None:
    if faults and not files:
        raise ValueError(
            f"--webdataset {pattern}: no example has a text that can be read: {few(faults)}"
        )
    if not found:
        raise ValueError(f"--webdataset {pattern}: the shards hold no images")
    if not files:
        raise ValueError(
            f"--webdataset {pattern}: expected captions ({', '.join(CAPTION)}, json) or labels "
            f"({', '.join(LABEL)}) beside the images; there are none"
        )
