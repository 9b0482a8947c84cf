"""One walk for whatever reads folders: which files are images, and what is passed over and why.

A file is taken for an image by its ending, or where that says nothing, by its first bytes; what it
really is shows when it is read. Everything else is counted by kind, so that nothing goes unsaid.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfrecords.image_kinds import HEAD_BYTES, IMAGE_SUFFIXES, kind_of

# What programs leave beside images: thumbnails of network drives and desktops, archives' remains.
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

NOT_FOLLOWED = "linked folders, which are not followed here"

Status = tuple[int, int]  # size in bytes, time of the last change in ns


@dataclass(frozen=True)
class Walked:
    """What is below a folder.

    Attributes:
        files: images' names relative to the folder, with `/`, in order -> size and time of change.
        folders: all folders that were read, relative, in order.
        passed: what was passed over -> how often.
    """

    files: dict[str, Status]
    folders: tuple[str, ...]
    passed: Mapping[str, int]


def walk(root: str | Path, *, follow: bool = True) -> Walked:
    """All images below `root`, hidden ones and those of other programs left out.

    Linked folders are followed, each folder once: those that stand in `root` itself before those
    behind links.

    Args:
        root: the folder.
        follow: whether links to folders are followed; if not they are counted.

    Raises:
        ValueError: a link leads back to a folder that it stands in.
    """
    found = _Walk(Path(root), follow)
    found.into("")
    while found.links:
        links, found.links = sorted(found.links), []
        for name in links:
            found.behind(name)
    return Walked(dict(sorted(found.files.items())), tuple(sorted(found.folders)), found.passed)


def is_left_out(name: str) -> bool:
    """Is a file or folder of this name never an example: hidden, or left by a program?"""
    return name.startswith(".") or name.lower() in _LEFT_BY_PROGRAMS


def said(passed: Mapping[str, int]) -> list[str]:
    """What was passed over, a line for each kind."""
    return [f"passed over: {count:,} {kind}" for kind, count in sorted(passed.items())]


@dataclass
class _Walk:
    root: Path
    follow: bool
    files: dict[str, Status] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)

    def into(self, folder: str) -> None:
        """Read a folder and those below it; links to folders are kept for later."""
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            self.seen.add(os.path.realpath(self.root / here))
            if here:
                self.folders.append(here)
            with os.scandir(self.root / here) as entries:
                for entry in entries:
                    name = f"{here}/{entry.name}" if here else entry.name
                    if is_left_out(entry.name):
                        hidden = entry.name.startswith(".")
                        self.passed[HIDDEN if hidden else LEFT_BY_PROGRAMS] += 1
                    elif not entry.is_dir():
                        self._file(name, entry)
                    elif entry.is_symlink():
                        self.links.append(name)
                    else:
                        waiting.append(name)

    def behind(self, link: str) -> None:
        """Read the folder that a link leads to, unless it was read already."""
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
            self.passed[LINKED_AGAIN] += 1
        else:
            self.into(link)

    def _file(self, name: str, entry: os.DirEntry) -> None:
        ending = os.path.splitext(entry.name)[1].lower()
        if ending in IMAGE_SUFFIXES or _is_image(entry.path):
            try:
                status = entry.stat()
                self.files[name] = (status.st_size, status.st_mtime_ns)
            except OSError:  # a link to nowhere: what is wrong is said on reading it
                self.files[name] = (0, 0)
        else:
            self.passed[f"files that are no images ({ending or 'without an ending'})"] += 1


def _is_image(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return kind_of(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False
