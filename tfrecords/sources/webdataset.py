"""Read WebDataset shards: tar files in which members with the same stem form an example."""

from __future__ import annotations

import glob
import os
import re
import tarfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tfrecords.class_name_keys import by_number, refuse_merged, said_twice
from tfrecords.images.formats import IMAGE_SUFFIXES
from tfrecords.non_utf8_names import escaped
from tfrecords.published_names_and_templates import TEMPLATES
from tfrecords.schema import Label
from tfrecords.sources.base import (
    SPLITS,
    File,
    FileSource,
    divided,
    few,
    prompt_names,
    refuse_same_split,
)
from tfrecords.sources.folder_layout import split_among, split_word
from tfrecords.sources.walk import is_left_out
from tfrecords.text_files import parse_json, read_lines

_CAPTION = ("txt", "text", "caption")

_LABEL = ("cls", "label")

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")

Place = tuple[str, int, int]  # tar file, offset and number of a member's bytes


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


@dataclass(frozen=True)
class _Found:
    """The parts of one example in a shard; `fault` says which text of it cannot be read."""

    image: Place | None = None
    ending: str = ""
    captions: tuple[str, ...] = ()
    label: str | None = None
    fault: str = ""


def webdataset(
    pattern: str, *, seed: int, name: str = "", test_share: float | None = None
) -> FileSource:
    """Read tar shards: images with captions (`txt`, `json`), class numbers or names (`cls`).

    A shard with train, val or test in its file or folder name is that split; others are split by
    seed. Names of numbered classes are the lines of `classnames.txt` beside or above the shards.

    Args:
        pattern: `shards/{0000..0099}.tar`, a pattern with `*`, one file, or a folder.
        seed: of shuffling, and of splitting images without given splits.
        name: of the data set.
        test_share: of images that come unsplit, in place of 20 % (10 % of captions).

    Raises:
        FileNotFoundError: no such shards.
        ValueError: a shard is damaged or compressed, or examples have neither captions nor labels.
    """
    shards = _shards(pattern)
    root = Path(os.path.commonpath([shard.parent.absolute() for shard in shards]))
    places: dict[str, Place] = {}
    by_split: dict[str, list[tuple[str, _Found]]] = {}
    passed: Counter[str] = Counter()
    faults: list[str] = []
    for shard, split in _split_of(shards, pattern).items():
        for key, found in _examples(shard).items():
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
            by_split.setdefault(split, []).append((file, found))
    class_names, labels = _classes(shards[0], [f for group in by_split.values() for _, f in group])
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
        files=_splits(pattern, files, seed=seed, test_share=test_share),
        class_names=class_names,
        templates=TEMPLATES["any"] if class_names else (),
        metric="top1" if class_names else "recall",
        notes=(
            *said_twice(class_names),
            *(f"passed over: {count:,} {what}" for what, count in passed.items()),
        ),
        places=places,
    )


def _shards(pattern: str) -> list[Path]:
    """Returns the tar files that match a pattern; FileNotFoundError if any is missing."""
    names = _expanded(pattern)
    if len(names) == 1 and Path(names[0]).is_dir():
        paths = sorted(Path(names[0]).rglob("*.tar"))
    else:
        paths = [
            Path(path)
            for name in names
            for path in (sorted(glob.glob(name)) if glob.has_magic(name) else [name])
        ]
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        raise FileNotFoundError(
            f"--webdataset {pattern}: expected tar files; "
            f"{f'missing: {few(missing)}' if missing else 'found none'}"
        )
    return paths


def _split_of(shards: list[Path], pattern: str) -> dict[Path, str]:
    """Returns the split of each shard, from its name or that of its folder; "" for none."""
    words = {}
    for shard in shards:
        folder = shard.parent.name.lower()
        words[shard] = split_among(shard.stem)[0] or (folder if split_word(folder) else "")
    splits = {word: split_word(word) or "" for word in words.values()}
    refuse_same_split(splits, where=f"--webdataset {pattern}")
    return {shard: splits[word] for shard, word in words.items()}


def _expanded(pattern: str) -> list[str]:
    """Expands every `{08..10}` to 08, 09, 10."""
    braces = _BRACES.search(pattern)
    if braces is None:
        return [pattern]
    first, last = int(braces[1]), int(braces[2])
    if last < first or last - first > 1_000_000:
        raise ValueError(f"--webdataset {pattern}: expected {braces[0]} to count up")
    middle = (str(number).zfill(len(braces[1])) for number in range(first, last + 1))
    head, tail = pattern[: braces.start()], pattern[braces.end() :]
    return [name for number in middle for name in _expanded(head + number + tail)]


def _examples(shard: Path) -> dict[str, _Found]:
    """Returns the examples of a shard by key: the members' name without its extension.

    WebDataset's own keys end at the first dot. So `1.left.jpg` belongs to `1.txt`, and of
    `v2.1.jpg` and `v2.2.jpg`, which WebDataset cannot tell apart, each to its own text.
    """
    found: dict[str, _Found] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if not member.isfile() or any(
                    map(is_left_out, member.name.removeprefix("./").split("/"))
                ):
                    continue
                key, ending = os.path.splitext(member.name)
                parts = found.get(key, _Found())
                found[key] = _with(parts, tar, member, ending.lower().removeprefix("."), shard)
            _check_end(shard, tar.offset)
    except tarfile.TarError as error:
        raise ValueError(f"{shard} is no tar file that can be read (unpack .gz): {error}") from None
    return _joined(shard, found)


def _joined(shard: Path, found: dict[str, _Found]) -> dict[str, _Found]:
    """Gives an image called `1.left.jpg`, without a text of its own, the texts of `1`."""
    joined = dict(found)
    for key, parts in found.items():
        folder, slash, base = key.rpartition("/")
        short = f"{folder}{slash}{base.partition('.')[0]}"
        if short == key or parts.image is None or parts != _Found(parts.image, parts.ending):
            continue
        texts = joined.pop(short, None)
        if texts is None and short not in found:
            continue
        if texts is None or texts.image is not None:
            raise ValueError(f"{shard}: {key}.{parts.ending} is a second image of its example")
        joined[key] = replace(texts, image=parts.image, ending=parts.ending)
    return joined


def _check_end(shard: Path, end: int) -> None:
    """Raises ValueError unless the block of zeros that ends every tar file comes next.

    `tarfile` takes a file that was cut off between two members for a whole one.
    """
    with open(shard, "rb") as file:
        file.seek(max(0, end - tarfile.BLOCKSIZE))
        if not file.read(2 * tarfile.BLOCKSIZE).count(bytes(tarfile.BLOCKSIZE)):
            raise ValueError(f"{shard} is cut off: a tar file ends with a block of zeros")


def _with(
    parts: _Found, tar: tarfile.TarFile, member: tarfile.TarInfo, ending: str, shard: Path
) -> _Found:
    if f".{ending}" in IMAGE_SUFFIXES:
        if parts.image is not None:
            raise ValueError(f"{shard}: {member.name} is a second image of its example")
        return replace(parts, image=(str(shard), member.offset_data, member.size), ending=ending)
    if ending not in (*_CAPTION, *_LABEL, "json"):
        return parts
    file = tar.extractfile(member)
    try:
        return _with_text(parts, file.read().decode("utf-8-sig") if file else "", ending)
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except ValueError as error:
        reason = str(error)
    return replace(parts, fault=f"{shard.name}: {escaped(member.name)}: {reason}")


def _with_text(parts: _Found, text: str, ending: str) -> _Found:
    """Adds the captions and the label of a text member; ValueError if it has neither's form."""
    if ending in _LABEL:
        return replace(parts, label=text.strip())
    if ending != "json":
        return replace(parts, captions=_texts(text))
    document = parse_json(text, name="it")
    document = document if isinstance(document, dict) else {}
    said = next((document[k] for k in ("caption", "text") if document.get(k) is not None), ())
    label = next((document[k] for k in _LABEL if document.get(k) is not None), None)
    if isinstance(label, dict | list):
        raise ValueError(f"expected a label; got {label!r:.60}")
    return replace(
        parts,
        captions=parts.captions or _texts(said),
        label=str(label) if parts.label is None and label is not None else parts.label,
    )


def _texts(value: Any) -> tuple[str, ...]:
    several = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(each, dict | list) for each in several):
        raise ValueError(f"expected a caption or a list of captions; got {value!r:.60}")
    plain = (" ".join(str(each).split()) for each in several if each is not None)
    return tuple(text for text in plain if text)


def _classes(shard: Path, found: list[_Found]) -> tuple[tuple[str, ...], Any]:
    """Returns the class names, and a function from an example to its label."""
    said = {each.label for each in found if each.label is not None}
    if not said:
        return (), lambda each: None
    folders = list(shard.absolute().parents)[:2]
    listing = next(
        (path for path in (f / "classnames.txt" for f in folders) if path.is_file()),
        None,
    )
    if listing is not None and all(label.isdecimal() for label in said):
        lines = read_lines(listing)
        refuse_merged(lines, where=listing)
        names = prompt_names(lines)
        strange = [label for label in said if int(label) >= len(names)]
        if strange:
            raise ValueError(f"{listing} has {len(names)} names; a shard has class {strange[0]}")
        number = {label: int(label) for label in said}
    else:
        ordered = by_number(sorted(said))
        names, number = prompt_names(ordered), {label: i for i, label in enumerate(ordered)}
        refuse_merged(ordered, where="the shards' labels")
    if len(names) < 2:
        raise ValueError(f"expected two or more classes, got {few(names)}")

    def label_of(each: _Found) -> Label | None:
        return None if each.label is None else number[each.label]

    return names, label_of


def _check(pattern: str, files: dict[str, list[File]], faults: list[str], *, found: bool) -> None:
    if faults and not files:
        raise ValueError(
            f"--webdataset {pattern}: no example has a text that can be read: {few(faults)}"
        )
    if not found:
        raise ValueError(f"--webdataset {pattern}: the shards hold no images")
    if not files:
        raise ValueError(
            f"--webdataset {pattern}: expected captions ({', '.join(_CAPTION)}, json) or labels "
            f"({', '.join(_LABEL)}) beside the images; there are none"
        )


def _splits(
    pattern: str, files: dict[str, list[File]], *, seed: int, test_share: float | None
) -> dict[str, list[File]]:
    if "" in files and len(files) > 1:
        raise ValueError(f"--webdataset {pattern}: some shards' names say a split and others not")
    found = divided(files, seed=seed, test_share=test_share, where=pattern)
    return {split: found[split] for split in dict.fromkeys([*SPLITS, *found]) if split in found}
