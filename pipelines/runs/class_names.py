"""Class names and prompt templates given on the command line or in a file."""

import csv
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


def class_names(
    path: str | None, manifest: "Manifest", *, language: str | None = None
) -> list[str]:
    """One name per class: the lines of a file, or the set's own, underscores read as spaces.

    A CSV has a column `class` with the set's names, in any order, and a column of names for each
    language, of which `language` chooses one; it may be left out where there is one alone.

    Raises ValueError where there are not as many names as classes, or no such language.
    """
    if language is not None and not str(path).endswith(".csv"):
        raise ValueError(f"--language: expected --class-names with a CSV file; got {path}")
    if path is None:
        return list(manifest.spoken_names)
    if path.endswith(".csv"):
        return _translated(path, manifest, language)
    names = lines(path, what="--class-names")
    if len(names) != len(manifest.class_names):
        raise ValueError(
            f"--class-names: expected {len(manifest.class_names)} lines, one for each class of "
            f"{manifest.dataset}; {path} has {len(names)}"
        )
    return names


def _translated(path: str, manifest: "Manifest", language: str | None) -> list[str]:
    """A column of a CSV, in the order of the labels."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"--class-names: no file {path}")
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        languages = [name for name in reader.fieldnames or [] if name != "class"]
        rows = list(reader)
    if "class" not in (reader.fieldnames or []) or not languages:
        raise ValueError(
            f"--class-names: expected columns class and one for each language; {path} has "
            f"{', '.join(reader.fieldnames or []) or 'none'}"
        )
    if language is None and len(languages) == 1:
        language = languages[0]
    if language not in languages:
        asked = "none was asked for" if language is None else f"got {language!r}"
        raise ValueError(f"--language: expected one of {', '.join(languages)}; {asked}")
    named = {row["class"].replace("_", " "): (row[language] or "").strip() for row in rows}
    missing = [name for name in manifest.spoken_names if not named.get(name)]
    if missing:
        raise ValueError(
            f"--class-names: {path} has no name in {language!r} for class {missing[0]!r} "
            f"({len(missing)} of {len(manifest.class_names)} are missing)"
        )
    return [named[name] for name in manifest.spoken_names]


def lines(path: str, *, what: str) -> list[str]:
    """The lines of a text file that are not empty; FileNotFoundError names `what` asked for it."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what}: no file {path}")
    found = Path(path).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in found if line.strip()]
