"""Record finished predictions on disk, so that an interrupted run resumes."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from duet import atomic_files, folder_locks, json_validation
from pipelines.prediction import answers
from pipelines.prediction.answers import Answer

ABOUT, ROWS = "about.json", "rows.jsonl"

ROW = {
    "file": str,
    "stamp?": (None, [int]),
    "unreadable?": str,
    "label?": (None, str),
    "labels?": [str],
    "candidates?": [str],
    "classes?": [{"class": str, "probability": json_validation.NUMBER}],
}
SHEET = "sheet"  # the one thing that may be another when the command is given again


class Journal:
    """A folder beside the file to be, `predictions.csv.unfinished`, with a line for each image.

    Lines are appended batch by batch and flushed to the disk; the end of a line that a killed
    process did not finish is cut off by the next one.

    Args:
        out: the file to be.
        about: what must be the same for the rows to be those of the same command.
        multi_label: whether images have several labels.

    Raises:
        ValueError: the folder holds rows of another command; names what differs.
    """

    def __init__(self, out: Path, about: dict[str, Any], *, multi_label: bool):
        self.folder = folder_of(out)
        self.multi_label = multi_label
        self.stamps: dict[str, list[int] | None] = {}
        self.done: dict[str, Answer] = {}
        self.unreadable: dict[str, str] = {}
        path = self.folder / ABOUT
        if path.is_file():
            _check_same(json_validation.read(path), about, self.folder)
        atomic_files.write(path, json.dumps(about))
        self._read()

    def __contains__(self, file: str) -> bool:
        """Whether there is a row of the file as it is now."""
        return file in self.stamps and self.stamps[file] in (None, _stamp(file))

    def add(self, found: Sequence[Answer], unreadable: Sequence[tuple[str, str]]) -> None:
        """Keep a batch."""
        rows = [answers.to_json(each, multi_label=self.multi_label) for each in found]
        rows += [{"file": file, "unreadable": reason} for file, reason in unreadable]
        rows = [{**row, "stamp": _stamp(row["file"])} for row in rows]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        atomic_files.append(self.folder / ROWS, text.encode("ascii"))
        self._take(rows)

    def remove(self) -> None:
        """When the file is there. What it is about goes last: by it the file is known as its."""
        for name in (ROWS, ABOUT):
            (self.folder / name).unlink(missing_ok=True)

    def _take(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            file = row["file"]
            for kept in (self.done, self.unreadable):
                kept.pop(file, None)
            self.stamps[file] = row.get("stamp")
            if "unreadable" in row:
                self.unreadable[file] = row["unreadable"]
            else:
                self.done[file] = answers.from_json(row)

    def _read(self) -> None:
        path = self.folder / ROWS
        if not path.is_file():
            return
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(path, len(whole))
        self._take(
            [
                json_validation.parse(line, ROW, name=f"{path}, line {number}", hint="delete it")
                for number, line in enumerate(whole.splitlines(), 1)
            ]
        )


def _stamp(file: str) -> list[int] | None:
    """What changes with a file; None where there is none, as for a line of standard input."""
    with contextlib.suppress(OSError, ValueError):
        status = os.stat(file)
        return [status.st_size, status.st_mtime_ns]
    return None


def folder_of(out: Path) -> Path:
    """Of the journal of a file."""
    return out.with_name(f"{out.name}.unfinished")


def begun(out: Path) -> dict[str, Any] | None:
    """What the journal of a file is about; {} if it was being removed, None if there is none."""
    path = folder_of(out) / ABOUT
    if path.is_file():
        return json_validation.read(path)
    return {} if path.parent.is_dir() else None


@contextlib.contextmanager
def held(out: Path) -> Iterator[None]:
    """Hold the journal of a file for this process; leave no empty folder behind."""
    folder = folder_of(out)
    try:
        with folder_locks.locked(folder):
            yield
    finally:
        if folder.is_dir():  # an earlier try made it
            with contextlib.suppress(OSError):  # there are rows in it
                folder.rmdir()


def _check_same(begun: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    changed = [
        f"{key} was {begun.get(key)!r}, not {value!r}"
        for key, value in wanted.items()
        if key != SHEET and begun.get(key) != value
    ]
    if changed:
        raise ValueError(
            f"{folder} holds predictions begun otherwise ({'; '.join(changed)}); give the same "
            "again to go on, or another --out"
        )
