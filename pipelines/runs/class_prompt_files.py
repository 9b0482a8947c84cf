"""Prompts of each class from a file: JSON of name and sentences, or a CSV."""

from collections.abc import Iterable, Sequence
from pathlib import Path

SUFFIXES = (".json", ".csv")

COLUMNS = ("class", "prompt")


def is_asked_for(given: Sequence[str]) -> bool:
    """Whether what is given as templates is one file with prompts of each class."""
    return len(given) == 1 and "{}" not in given[0] and Path(given[0]).suffix.lower() in SUFFIXES


def read(path: str, names: Sequence[str] | None, *, what: str) -> list[str]:
    """Templates of one class each, as `dual_encoder.prompts_of` takes them.

    A JSON file maps class names to a sentence or a list of them, as CuPL's do (Pratt et al. 2023,
    arXiv:2209.03320); a CSV has columns `class` and `prompt`, and a row per sentence. Names are
    found whatever their case and underscores; classes that are not asked for are passed over.

    Args:
        path: of the file.
        names: of the classes; None for those of the file.
        what: asked for it, for errors.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not of that form, or a class without a sentence.
    """
    import dual_encoder
    import tfrecords

    if not Path(path).is_file():
        raise FileNotFoundError(f"{what}: no file {path}")
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{what}: expected a file {' or '.join(SUFFIXES)}; got {path}")
    given = list(_json(path, what) if suffix == ".json" else _csv(path, what))
    spoken = list(names or dict.fromkeys(name for name, _ in given))
    place = {tfrecords.name_key(name): name for name in spoken}
    found: dict[str, list[str]] = {name: [] for name in spoken}
    for key, sentence in given:
        name = place.get(tfrecords.name_key(key))
        if name is not None and sentence.strip():
            found[name].append(" ".join(sentence.split()))
    if missing := [name for name, sentences in found.items() if not sentences]:
        raise ValueError(
            f"{what}: {path} has no sentence for class {missing[0]!r} ({len(missing)} of "
            f"{len(spoken)} classes have none)"
        )
    return [
        dual_encoder.prompt_of_class(name, sentence)
        for name, sentences in found.items()
        for sentence in sentences
    ]


def _json(path: str, what: str) -> Iterable[tuple[str, str]]:
    import tfrecords

    try:
        document = tfrecords.read_json(path)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    form = "an object of class names and their sentences"
    if not isinstance(document, dict):
        raise ValueError(f"{what}: expected {form}; {path} has a {type(document).__name__}")
    for name, sentences in document.items():
        listed = [sentences] if isinstance(sentences, str) else sentences
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            raise ValueError(f"{what}: expected {form}; {path} has something else for {name!r}")
        yield from ((name, sentence) for sentence in listed)


def _csv(path: str, what: str) -> Iterable[tuple[str, str]]:
    import tfrecords

    try:
        table = tfrecords.read_table(path)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    if not set(COLUMNS) <= set(table.columns):
        raise ValueError(
            f"{what}: expected columns {' and '.join(COLUMNS)}; {path} has "
            f"{', '.join(table.columns) or 'none'}"
        )
    places = [table.columns.index(column) for column in COLUMNS]
    return [(row.cells[places[0]], row.cells[places[1]]) for row in table.rows]
