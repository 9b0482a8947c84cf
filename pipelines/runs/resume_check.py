"""Record what a run started from in `origin.json`, and refuse to resume from anything else.

Records, models and files of texts are known by their content, since other ones may lie under the
same name.
"""

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duet
from duet import atomic_files, json_validation

if TYPE_CHECKING:
    from tfrecords import Manifest

FILE = "origin.json"
RECORDS, MODELS, VERSIONS, DEVICES = "records", "models", "versions", "devices"
FILES = "files"

TEXTS = ("templates", "captions", "class_names")  # options of which a file may be given

# What decides the figures of a run: another text of it is another version.
DECIDES = (
    *("tfrecords", "dual_encoder", "classifiers"),
    *(f"pipelines/{name}" for name in ("training", "finetuning", "methods", "fewshot")),
)

Origin = dict[str, Any]

TABLE = {RECORDS: str, MODELS: {"*": str}, f"{VERSIONS}?": [str], f"{FILES}?": {"*": str}}


def of(manifest: "Manifest", *models: str | None, options: Any = None) -> Origin:
    """Fingerprints of the records, of the models that are files and of files of texts that the
    options name, and Duet's version."""
    paths = [Path(name) for name in models if name and Path(name).exists()]
    given = [getattr(options, name, None) or () for name in TEXTS]
    names = [text for each in given for text in ([each] if isinstance(each, str) else each)]
    return {
        RECORDS: hashlib.blake2b(manifest.to_json().encode(), digest_size=16).hexdigest(),
        MODELS: {str(path): fingerprint(path) for path in paths},
        FILES: {name: fingerprint(Path(name)) for name in names if os.path.isfile(name)},
        VERSIONS: [version()],
    }


def check(out: Path, now: Origin) -> None:
    """Refuse to go on in `out` from other records or another model than it was begun from.

    Raises:
        ValueError: names what is another, or that `origin.json` is damaged.
    """
    begun = _read(out)
    others = [
        f"model {name} (another one of that name now)"
        for name, digest in now[MODELS].items()
        if begun.get(MODELS, {}).get(name, digest) != digest
    ]
    others += [
        f"texts {name} (changed since)"
        for name, digest in now.get(FILES, {}).items()
        if begun.get(FILES, {}).get(name, digest) != digest
    ]
    if begun.get(RECORDS, now[RECORDS]) != now[RECORDS]:
        others.insert(0, "records (rewritten since)")
    if others:
        raise ValueError(
            f"{out} holds a run begun from other {' and '.join(others)}; give another --out"
        )


def check_finished(out: Path, data: str, *models: str | None, options: Any = None) -> None:
    """As `check`, of a finished run, whose records and models may be gone by now."""
    from tfrecords import Manifest

    try:
        now = of(Manifest.read(data), *models, options=options)
    except FileNotFoundError:
        return
    check(out, now)


def keep(out: Path, now: Origin, *, devices: Sequence[str] = ()) -> None:
    """Write or complete `origin.json`; say what is another in a run that goes on."""
    kept, before = _read(out), said(out)
    versions, ran_on = kept.get(VERSIONS, []), kept.get(DEVICES, [])
    document = {
        RECORDS: now[RECORDS],
        MODELS: {**kept.get(MODELS, {}), **now[MODELS]},
        FILES: {**kept.get(FILES, {}), **now.get(FILES, {})},
        VERSIONS: versions + [each for each in now[VERSIONS] if each not in versions[-1:]],
        DEVICES: ran_on + [each for each in [list(devices)] if each and each not in ran_on[-1:]],
    }
    if document != kept:
        atomic_files.write(out / FILE, json.dumps(document, indent=1) + "\n")
        print("".join(f"{line}\n" for line in said(out) if line not in before), end="")


def said(out: Path) -> list[str]:
    """How a run went on otherwise than it was begun: a line for each other version or devices."""
    kept = _read(out)
    versions, devices = (pairwise(kept.get(name, [])) for name in (VERSIONS, DEVICES))
    return [
        *(f"Begun with Duet {a}, gone on with {b}." for a, b in versions),
        *(
            f"Begun on {', '.join(a)}, gone on on {', '.join(b)}, with batches of the same size."
            for a, b in devices
        ),
    ]


def noted(out: Path) -> dict[str, Any]:
    """`{"went_on": lines}` for the results of a run; nothing where there are none."""
    lines = said(out)
    return {"went_on": lines} if lines else {}


@functools.cache
def version() -> str:
    """Duet's version, and a digest of the code that decides the figures of a run."""
    house = Path(duet.__file__).parents[1]
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(each for name in DECIDES for each in (house / name).rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{duet.__version__} ({digest.hexdigest()})"


def fingerprint(path: Path) -> str:
    """Of a file, or of the names and contents of all files in a folder."""
    paths = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.blake2b(digest_size=16)
    for each in paths:
        digest.update(f"{each.relative_to(path)}\n".encode("utf-8", "surrogateescape"))
        with open(each, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _read(out: Path) -> Origin:
    """What is kept in a folder; {} where a run of an older Duet kept nothing."""
    path = out / FILE
    try:
        return json_validation.read(
            path, TABLE, name=f"{path} is damaged", hint="give another --out"
        )
    except FileNotFoundError:
        return {}
