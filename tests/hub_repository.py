"""What the stand-in of the hub keeps: commits, what it states of a file, what it was asked."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

LARGE = (".safetensors", ".h5", ".bin")  # kept as large files, by sha256


@dataclass
class Request:
    """One request as the stand-in saw it; `sent` counts the bytes of the file it answered with."""

    method: str
    path: str
    headers: Message
    sent: int = 0


@dataclass
class Repository:
    """Commits by their hash, each a file's bytes by its name; branches and tags by theirs."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    private: bool = False
    messages: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)  # that the listing states, of tiny files

    def commit(self, files: Mapping[str, bytes], *, reference: str = "main") -> str:
        content = {name: git_id(data) for name, data in files.items()}
        sha = hashlib.sha1(f"{len(self.commits)} {content}".encode()).hexdigest()
        self.commits[sha] = dict(files)
        self.references[reference] = sha
        return sha


def entry(name: str, data: bytes) -> dict[str, Any]:
    """One line of the listing of a commit."""
    line = {"type": "file", "path": name, "size": len(data), "oid": git_id(data)}
    return line | ({"lfs": large_entry(data)} if name.endswith(LARGE) else {})


def large_entry(data: bytes) -> dict[str, Any]:
    digest = sha256(data)  # under two names, for the two addresses that list files
    return {"oid": digest, "sha256": digest, "size": len(data), "pointerSize": 130}


@functools.cache  # of what may be a checkpoint of real size
def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@functools.cache
def git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
