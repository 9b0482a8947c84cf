"""Which files a pattern of shards means, and the split that each is called by."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from duet import path_patterns
from tfrecords.sources.base import few, refuse_same_split
from tfrecords.sources.folder_layout import split_among, split_word
from tfrecords.sources.walk import is_left_out

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


def below(pattern: str) -> list[Path] | None:
    """Returns the files of a folder and of those in it, sorted; None for what is no folder."""
    if not Path(pattern).is_dir():
        return None
    root = Path(pattern)
    found = (
        path
        for path in root.rglob("*")
        if path.is_file() and not any(map(is_left_out, path.relative_to(root).parts))
    )
    return sorted(found)


def matching(
    pattern: str,
    inside: Sequence[Path] | None,
    *,
    endings: Collection[str],
    where: str,
    expected: str,
    instead: str = "none",
) -> list[Path]:
    """Returns the files of a folder with one of these endings, or those that a pattern names.

    Args:
        pattern: a folder, a file, or a pattern with `*` or `{0000..0099}`.
        inside: what is `below` it.
        endings: as `.tar`, in lower case.
        where: the option, for messages.
        expected: what such a file is called.
        instead: what was found in place of any.

    Raises FileNotFoundError if there is none, or one of those that braces count is missing.
    """
    if inside is not None:
        paths = [path for path in inside if path.suffix.lower() in endings]
    else:
        paths = [
            Path(path)
            for name in _expanded(pattern, where)
            for path in path_patterns.matching(name)
        ]
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        found = f"missing: {few(missing)}" if missing else f"found {instead}"
        raise FileNotFoundError(f"{where}: expected {expected}; {found}")
    return paths


def split_of(shards: Sequence[Path], *, where: str) -> dict[Path, str]:
    """Returns the split of each shard, from its name or that of its folder; "" for none."""
    words = {}
    for shard in shards:
        folder = shard.parent.name.lower()
        words[shard] = split_among(shard.stem)[0] or (folder if split_word(folder) else "")
    splits = {word: split_word(word) or "" for word in words.values()}
    refuse_same_split(splits, where=where)
    return {shard: splits[word] for shard, word in words.items()}


def _expanded(pattern: str, where: str) -> list[str]:
    """Expands every `{08..10}` to 08, 09, 10."""
    braces = _BRACES.search(pattern)
    if braces is None:
        return [pattern]
    first, last = int(braces[1]), int(braces[2])
    if last < first or last - first > 1_000_000:
        raise ValueError(f"{where}: expected {braces[0]} to count up")
    middle = (str(number).zfill(len(braces[1])) for number in range(first, last + 1))
    head, tail = pattern[: braces.start()], pattern[braces.end() :]
    return [name for number in middle for name in _expanded(head + number + tail, where)]
