"""Duet under one name: `duet.tfrecords`, `duet.dual_encoder`, `duet.classifiers`, `duet.pipelines`.

The packages also stand alone, and each is imported when it is first used. What all of them need
of the disk, atomic writes and locks, is in `duet.atomic_files`.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("tfrecords", "dual_encoder", "classifiers", "pipelines")

try:
    __version__ = version("duet-vision-language")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "unknown"


def __getattr__(name: str) -> Any:
    if name == "atomic_files":
        return importlib.import_module("duet.atomic_files")
    if name not in PACKAGES:
        raise AttributeError(
            f"module 'duet' has no attribute {name!r}; it has {', '.join(PACKAGES)}"
        )
    return importlib.import_module(name)


def __dir__() -> list[str]:
    return [*PACKAGES, "__version__", "atomic_files"]
