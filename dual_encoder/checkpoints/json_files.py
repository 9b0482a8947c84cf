"""Read the JSON files of a checkpoint folder."""

import json
from pathlib import Path


def read_json(folder: Path, name: str) -> dict:
    """A JSON file of the folder.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not JSON, or not an object.
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no {name} here")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected an object; got a {type(found).__name__}")
    return found
