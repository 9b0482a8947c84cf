"""Class names and prompt templates given on the command line or in a file."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tfrecords import Manifest

_MARKED = re.compile(r"[-*+\u2022]\s+\S|n\d{8}\s+\S")  # lists of Markdown; ImageNet's synsets

_CODE = ("[", "{", "# ")

_TABLES = (".csv", ".tsv")

_OF_OTHER_KINDS = (*_TABLES, ".json", ".yaml", ".yml")


class Classes(Protocol):
    """What names classes: a manifest, or a source that is to be written."""

    @property
    def dataset(self) -> str: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def spoken_names(self) -> tuple[str, ...]: ...


def templates(
    given: list[str] | None,
    manifest: "Manifest | None",
    *,
    domain: str | None = None,
    names: Sequence[str] | None = None,
) -> list[str]:
    """Prompts with {} for the class name: those given, the lines of a file, or the set's own.

    A JSON or CSV file has prompts of each class; see `pipelines.runs.class_prompt_files`.

    Args:
        given: prompts, or one file.
        manifest: None where `given` is not.
        domain: what the classes are, such as food, in place of other prompts (WaffleCLIP, Roth et
            al. 2023, arXiv:2306.07282, section 4.2).
        names: of the classes, in place of the set's own.
    """
    from pipelines.runs import class_prompt_files

    if domain is not None:
        if given is not None:
            raise ValueError("--domain and --templates: expected one of them; got both")
        if not domain.strip() or "{" in domain:
            raise ValueError(f"--domain: expected what the classes are, as in food; got {domain!r}")
        return [f"a photo of a {domain.strip()}: a {{}}."]
    if given is None:
        assert manifest is not None
        return list(manifest.prompt_templates)
    if len(given) > 1 or "{}" in given[0]:
        return given
    if class_prompt_files.is_asked_for(given):
        known = names or (manifest.spoken_names if manifest is not None else None)
        return class_prompt_files.read(given[0], known, what="--templates")
    return listed(given[0], what="--templates")


def captions(path: str | None, manifest: "Manifest") -> list[str]:
    """Sentences of every class from a JSON or CSV file; none without a file."""
    from pipelines.runs import class_prompt_files

    if path is None:
        return []
    return class_prompt_files.read(path, manifest.spoken_names, what="--captions")


def class_names(
    given: str | Sequence[str] | None,
    manifest: Classes,
    *,
    language: str | None = None,
    allow_equal: bool = False,
) -> list[str]:
    """One name per class: those given, those of one file, or the set's own; with spaces for
    underscores.

    A file has a name per line, or is JSON as `named` reads it. A CSV has a column `class` with the
    set's names, in any order, and a column of names for each language, of which `language` chooses
    one; it may be left out where there is one alone.

    Raises ValueError where there are not as many names as classes, names that belong to other
    classes, the same name twice (unless `allow_equal`), or no such language.
    """
    texts = [given] if isinstance(given, str) else given
    if language is not None and not _is_table(texts):
        got = " ".join(texts or ["none"])
        raise ValueError(f"--language: expected --class-names with a CSV file; got {got}")
    if texts is None:
        names = list(manifest.spoken_names)
    elif _is_table(texts):
        names = _translated(texts[0], manifest, language)
    else:
        names = named(texts, what="--class-names")
        _check_places(texts, names, manifest)
    refuse_repeated(names, unless=allow_equal)
    return names


def refuse_repeated(names: Sequence[str], *, unless: bool = False) -> None:
    """ValueError for a name of two classes, `unless` that was asked for: one is never answered."""
    twice = {} if unless else equal_names(names)
    if twice:
        name, count = next(iter(twice.items()))
        raise ValueError(
            f"class names: expected each name once; {name!r} is there {count} times "
            f"(--allow-equal-names measures a published list as it is)"
        )


def equal_names(names: Sequence[str]) -> dict[str, int]:
    """The names that more than one class has, and how many have it."""
    return {name: count for name, count in Counter(names).items() if count > 1}


def equal_names_line(document: Mapping[str, Any]) -> str:
    """What to say of the figures of `results.json` with such names; empty where there are none."""
    twice = document.get("equal_names")
    if not twice:
        return ""
    told = ", ".join(f"{name!r} ({count})" for name, count in twice.items())
    return f"names of several classes, which are not told apart: {told}"


def named(given: Sequence[str], *, what: str) -> list[str]:
    """Names as they were given, or those of the one file that is named; underscores are spaces.

    A CSV has its own names in a column `class` beside them, which says of records whose they are.
    JSON is a list of names, or has the name of each number from 0.
    """
    from tfrecords import prompt_names

    if len(given) > 1:
        return list(prompt_names(given))
    if _is_table(given):
        return list(prompt_names(name for _, name in _table(given[0], None)))
    read = _of_json if Path(given[0]).suffix.lower() == ".json" else listed
    return list(prompt_names(read(given[0], what=what)))


def _of_json(path: str, *, what: str) -> list[str]:
    import tfrecords

    try:
        found = tfrecords.read_json(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{what}: no file {path}") from None
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    if isinstance(found, dict) and set(found) == set(map(str, range(len(found)))):
        found = [found[str(place)] for place in range(len(found))]
    if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
        raise ValueError(
            f"{what}: expected in {path} a list of names, or an object with the name of each "
            f"number from 0; got {json.dumps(found)[:60]}"
        )
    return found


def listed(path: str, *, what: str) -> list[str]:
    """The lines of a file, which have to be names or prompts and nothing else.

    Raises ValueError for empty files, tables, JSON, YAML, code, comments, and lines that have their
    place, quotes, a bullet or a number of ImageNet's synsets in them.
    """
    from tfrecords import more_than_name

    found = lines(path, what=what)
    if not found:
        raise ValueError(f"{what}: {path} is empty; expected one text on each line")
    of_another_kind = Path(path).suffix.lower() in _OF_OTHER_KINDS or found[0].startswith(_CODE)
    other = found[0] if of_another_kind or all(map(_MARKED.match, found)) else more_than_name(found)
    if other is not None:
        raise ValueError(
            f"{what}: expected one text alone on each line of {path}, without numbers, quotes or "
            f"columns; got {other!r}"
        )
    return found


def lines(path: str, *, what: str) -> list[str]:
    """The lines of a text file that are not empty; its errors name `what` asked for it."""
    import tfrecords

    if not Path(path).is_file():
        raise FileNotFoundError(f"{what}: no file {path}")
    try:
        return tfrecords.read_lines(path)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _is_table(given: Sequence[str] | None) -> bool:
    return given is not None and len(given) == 1 and Path(given[0]).suffix.lower() in _TABLES


def _check_places(given: Sequence[str], names: list[str], manifest: Classes) -> None:
    """A list that goes by place has to be of these classes, in this order."""
    from tfrecords import name_key

    if len(names) != len(manifest.class_names):
        of_file = len(given) == 1
        raise ValueError(
            f"--class-names: expected {len(manifest.class_names)} {'lines' if of_file else 'names'}"
            f", one for each class of {manifest.dataset}; "
            f"{f'{given[0]} has' if of_file else 'got'} {len(names)}"
        )
    own = [name_key(name) for name in manifest.spoken_names]
    place = {key: i for i, key in enumerate(own)}
    for i, name in enumerate(names):
        other = place.get(name_key(name), i)
        if other != i and name_key(names[other]) != own[other]:
            place_of = f"line {i + 1} of {given[0]}" if len(given) == 1 else f"name {i + 1}"
            raise ValueError(
                f"--class-names: {place_of} is {name!r}, which is the name of class "
                f"{other + 1}, not {i + 1}, of {manifest.dataset}; expected the order of the "
                f"labels, or a CSV with columns class and name, in any order"
            )
    if all(key.isdecimal() for key in own) and own != sorted(own, key=int):
        raise ValueError(
            f"--class-names: the classes of {manifest.dataset} are numbers in another order "
            f"({', '.join(own[:4])}, ...) than a list's lines; expected a CSV with columns class "
            f"and name, or prepare the records again: it now sorts them as numbers"
        )


def _translated(path: str, manifest: Classes, language: str | None) -> list[str]:
    """A column of a CSV, in the order of the labels."""
    from tfrecords import name_key, prompt_names

    named = {name_key(key): name for key, name in _table(path, language)}
    keys = [name_key(name) for name in manifest.spoken_names]
    missing = [
        name for name, key in zip(manifest.spoken_names, keys, strict=True) if not named.get(key)
    ]
    if missing:
        raise ValueError(
            f"--class-names: {path} has no name{f' in {language!r}' if language else ''} for class "
            f"{missing[0]!r} ({len(missing)} of {len(manifest.class_names)} are missing)"
        )
    return list(prompt_names(named[key] for key in keys))


def _table(path: str, language: str | None) -> list[tuple[str, str]]:
    """The classes of a CSV, each once and with its name, in the order of the lines."""
    import tfrecords

    if not Path(path).is_file():
        raise FileNotFoundError(f"--class-names: no file {path}")
    try:
        table = tfrecords.read_table(path)
    except ValueError as error:
        raise ValueError(f"--class-names: {error}") from None
    languages = [name for name in table.columns if name and name != "class"]
    if "class" not in table.columns or not languages:
        raise ValueError(
            f"--class-names: expected columns class and one for each language; {path} has "
            f"{', '.join(table.columns) or 'none'}"
        )
    if language is None and len(languages) == 1:
        language = languages[0]
    if language not in languages:
        asked = "none was asked for" if language is None else f"got {language!r}"
        raise ValueError(f"--language: expected one of {', '.join(languages)}; {asked}")
    class_at, name_at = table.columns.index("class"), table.columns.index(language)
    named: dict[str, tuple[str, str]] = {}
    for row in table.rows:
        own, name = row.cells[class_at].strip(), row.cells[name_at].strip()
        if named.setdefault(tfrecords.name_key(own), (own, name))[1] != name:
            raise table.error(row, f"class {own!r} has another name above")
    return list(named.values())
