"""Walk a folder: list its image files, and count what is skipped and why.

A file is an image by its extension, or if that is unknown, by its first bytes; it is validated
later when read. Everything else is counted by kind, so that nothing is skipped silently.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfrecords.images.formats import HEAD_BYTES, IMAGE_SUFFIXES, kind_of
from tfrecords.manifest import FILE_NAME, WORK_FOLDER
from tfrecords.sources.base import few

# Files that programs leave beside images: thumbnails, desktop and archive metadata.
_LEFT_BY_PROGRAMS = {
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "@__thumb",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "__macosx",
    "__pycache__",
    "_thumbnails",
    "thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "folder.htt",
    "icon\r",
    "lost+found",
    "picasa.ini",
    "recycler",
    "system volume information",
    "zbthumbnail.info",
}

HIDDEN = "hidden files and folders"

LEFT_BY_PROGRAMS = "files and folders that other programs left (thumbnails, recycle bins)"

LINKED_AGAIN = "links to folders that are read already"

LINKED_NOWHERE = "links to nothing"

NOT_FOLLOWED = "linked folders, which are not followed here"

RECORDS = "folders of records"

SPECIAL = "pipes, sockets and devices"

Status = tuple[int, int]  # size in bytes, modification time in ns

_LAST_NS = 2**63 - 1  # in the year 2262; clocks that are wrong give files of later


@dataclass(frozen=True)
class Walked:
    """The content of a folder.

    Attributes:
        files: relative image paths with `/`, in order -> size and modification time.
        folders: relative paths of all folders read, in order.
        passed: reason -> number of skipped files or folders.
    """

    files: dict[str, Status]
    folders: tuple[str, ...]
    passed: Mapping[str, int]


def walk(root: str | Path, *, follow: bool = True) -> Walked:
    """Lists all images below `root`, except hidden ones and those of other programs.

    Reads each folder once, following links after the folders in `root` itself.

    Args:
        root: the folder.
        follow: whether to follow links to folders; otherwise they are counted.

    Raises:
        ValueError: a link points to one of its parent folders.
    """
    found = _Walk(Path(root), follow)
    found.into("")
    while found.links:
        links, found.links = sorted(found.links), []
        for name in links:
            found.behind(name)
    if found.again:
        found.passed[f"{LINKED_AGAIN} ({few(found.again)})"] = len(found.again)
    passed = dict(sorted(found.passed.items()))
    return Walked(dict(sorted(found.files.items())), tuple(sorted(found.folders)), passed)


def _holds_records(names: Iterable[str]) -> bool:
    """Whether a folder is one that `tfrecords.write` made, whole or not, beside the images."""
    listed = set(names)
    return WORK_FOLDER in listed or (
        FILE_NAME in listed and any(name.endswith(".tfrecord") for name in listed)
    )


def is_left_out(name: str) -> bool:
    """Returns whether a file or folder is skipped: hidden, or left by a program."""
    return name.startswith(".") or name.lower() in _LEFT_BY_PROGRAMS


def why_left_out(name: str) -> str:
    return HIDDEN if name.startswith(".") else LEFT_BY_PROGRAMS


def passed_over(passed: Mapping[str, int]) -> list[str]:
    """Returns a line for each kind of skipped file."""
    return [f"passed over: {kind}: {count:,}" for kind, count in passed.items()]


@dataclass
class _Walk:
    root: Path
    follow: bool
    files: dict[str, Status] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)

    def into(self, folder: str) -> None:
        """Reads a folder recursively; links to folders are queued."""
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            self.seen.add(os.path.realpath(self.root / here))
            with os.scandir(self.root / here) as found:
                entries = list(found)
            if here and _holds_records(entry.name for entry in entries):
                self.passed[RECORDS] += 1
                continue
            if here:
                self.folders.append(here)
            for entry in entries:
                name = f"{here}/{entry.name}" if here else entry.name
                if is_left_out(entry.name):
                    self.passed[why_left_out(entry.name)] += 1
                elif not entry.is_dir():
                    self._file(name, entry)
                elif entry.is_symlink():
                    self.links.append(name)
                else:
                    waiting.append(name)

    def behind(self, link: str) -> None:
        """Reads the folder a link points to, unless already read."""
        if not self.follow:
            self.passed[NOT_FOLLOWED] += 1
            return
        target = os.path.realpath(self.root / link)
        standing = os.path.realpath((self.root / link).parent)
        if Path(standing).is_relative_to(target):
            raise ValueError(
                f"{self.root / link} is a link back to {target}, in which it stands; expected no "
                f"loop of links"
            )
        if target in self.seen:
            self.again.append(link)
        else:
            self.into(link)

    def _file(self, name: str, entry: os.DirEntry) -> None:
        ending = os.path.splitext(entry.name)[1].lower()
        if not entry.is_file() and os.path.exists(entry.path):
            self.passed[SPECIAL] += 1  # opening one may wait for ever
        elif ending in IMAGE_SUFFIXES or _is_image(entry.path):
            try:
                status = entry.stat()
                self.files[name] = (status.st_size, min(status.st_mtime_ns, _LAST_NS))
            except OSError:  # a broken link: reported when it is read
                self.files[name] = (0, 0)
        elif not os.path.exists(entry.path):
            self.passed[LINKED_NOWHERE] += 1
        else:
            self.passed[f"files that are no images ({ending or 'without an ending'})"] += 1


def _is_image(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return kind_of(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False
