"""Prompts and class names as a person gives them: on the command line, or in a file."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfrecords import Manifest


def templates(given: list[str] | None, manifest: "Manifest") -> list[str]:
    """Prompts with {} for the class name: those given, the lines of a file, or the set's own."""
    if given is None:
        return list(manifest.prompt_templates)
    if len(given) == 1 and "{}" not in given[0]:
        return lines(given[0], what="--templates")
    return given


def class_names(path: str | None, manifest: "Manifest") -> list[str]:
    """One name per class: the lines of a file, or the set's own, underscores read as spaces.

    Raises ValueError where there are not as many lines as classes.
    """
    if path is None:
        return list(manifest.spoken_names)
    names = lines(path, what="--class-names")
    if len(names) != len(manifest.class_names):
        raise ValueError(
            f"--class-names: expected {len(manifest.class_names)} lines, one for each class of "
            f"{manifest.dataset}; {path} has {len(names)}"
        )
    return names


def lines(path: str, *, what: str) -> list[str]:
    """The lines of a text file that are not empty; FileNotFoundError names `what` asked for it."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what}: no file {path}")
    found = Path(path).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in found if line.strip()]
