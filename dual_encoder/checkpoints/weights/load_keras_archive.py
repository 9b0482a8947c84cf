"""Read `.keras` files, after a look at what is in the archive."""

import importlib.util
import re
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import keras

from dual_encoder.checkpoints import load_error_messages
from dual_encoder.checkpoints.weights.weight_mapping import is_finite
from dual_encoder.single_tower_models import TextEncoder
from duet import exception_summary, name_list

CONFIG = "config.json"

MOST_TEXT = 200_000_000  # bytes of a configuration; a tokenizer of 250,000 words has 20 MB

MOST_PACKED = 50  # times that weights get smaller when packed; Keras does not pack them

INNER = "Exception encountered: "  # before what went wrong in a layer of a layer

# Packages of Duet in the configuration of a .keras file. Nothing else is imported for a file.
OWNED = re.compile(r'"module": "(classifiers|dual_encoder)[."]')


def read_keras(path: Path) -> Any:
    """Any model that says how it wants its images, or reads texts; its class is imported.

    Raises:
        ValueError: it is damaged or foreign, or would fill the memory or write beside it.
    """
    if path.suffix != ".keras":
        raise ValueError(load_error_messages.no_keras_file(path))
    if not path.is_file():
        raise ValueError(f"{path}: expected a file; got something else")
    config = _checked_config(path)
    _import_owners(path, config)
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # of zip, JSON, HDF5 and Keras: nothing in common
        inner = str(error).rpartition(INNER)[2].strip().partition("\n")[0]
        reason = inner or exception_summary.first_line(error)
        if found := re.match(r"Could not locate (?:class|function) '(\w+)'", reason):
            reason = f"import what defines and registers the class {found[1]} first"
        raise ValueError(f"{path}: not a readable .keras file ({reason})") from error
    if not (hasattr(model, "preprocessing") or isinstance(model, TextEncoder)):
        raise ValueError(
            f"{path}: expected a dual encoder, a tower or a classifier; got a "
            f"{type(model).__name__}"
        )
    broken = [weight.path for weight in model.weights if not is_finite(weight)]
    if broken:
        named = name_list.first_of(broken)
        raise ValueError(f"{path}: expected numbers for weights; got NaN or infinity in {named}")
    return model


def _checked_config(path: Path) -> str:
    """The configuration in a file, whose members were found to be of sizes that a model has."""
    try:
        with zipfile.ZipFile(path) as file:
            members = {each.filename: each for each in file.infolist()}
            for name, each in members.items():
                _check_member(path, name, each)
            if damaged := file.testzip():  # Keras reads weights past their checksum
                raise ValueError(f"{path}: {damaged} is damaged (its checksum is another)")
            return file.read(CONFIG).decode("utf-8")
    except KeyError:
        raise ValueError(f"{path}: not a readable .keras file (it has no {CONFIG})") from None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, UnicodeError) as error:
        raise ValueError(f"{path}: not a readable .keras file ({error})") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or of a foreign compression
        raise ValueError(f"{path}: not a readable .keras file ({error})") from None


def _check_member(path: Path, name: str, member: zipfile.ZipInfo) -> None:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise ValueError(f"{path}: expected members inside the archive; got {name[:80]!r}")
    most = (
        MOST_TEXT if name.endswith(".json") else max(MOST_TEXT, MOST_PACKED * member.compress_size)
    )
    if member.file_size > most:
        raise ValueError(
            f"{path}: {name[:80]} would unpack to {member.file_size:,} bytes; expected {most:,} at "
            "most"
        )


def _import_owners(path: Path, config: str) -> None:
    """Import the packages of Duet that registered what the file is made of.

    Raises ValueError for one that is not installed.
    """
    for package in sorted(set(OWNED.findall(config))):
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"{path}: its classes are those of {package}: import {package} first")
        importlib.import_module(package)
