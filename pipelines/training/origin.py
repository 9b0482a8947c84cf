"""What a run was begun from: told apart when it is gone on with under the same names."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import duet

if TYPE_CHECKING:
    from tfrecords import Manifest

RECORDS, MODEL, VERSION = "records", "model", "version"

Origin = dict[str, str]

_WORDS = {RECORDS: "records that have been written anew since", MODEL: "another model of that name"}


def origin(manifest: "Manifest", model: str | None) -> Origin:
    """Fingerprints of the records and of the model's files, if it is files, and Duet's version."""
    found = {RECORDS: _digest(manifest.to_json().encode()), VERSION: duet.__version__}
    if model and Path(model).exists():
        found[MODEL] = _of_files(Path(model))
    return found


def check_same(begun: Origin, now: Origin, *, where: Path) -> None:
    """Refuse records or a model that are others; say it where only Duet's version is another.

    Raises:
        ValueError: names what is another.
    """
    for key, words in _WORDS.items():
        if begun.get(key) and now.get(key) and begun[key] != now[key]:
            raise ValueError(
                f"{where} holds a run begun with other {key} than these ({words}); "
                "give another --out"
            )
    if begun.get(VERSION) and begun[VERSION] != now.get(VERSION):
        print(f"the run was begun with Duet {begun[VERSION]}; this is {now.get(VERSION)}")


def _of_files(path: Path) -> str:
    paths = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.blake2b(digest_size=16)
    for each in paths:
        digest.update(f"{each.relative_to(path)}\n".encode("utf-8", "surrogateescape"))
        with open(each, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
