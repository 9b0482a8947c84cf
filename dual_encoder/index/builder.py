"""Build an index, or update one, keeping existing embeddings.

New embeddings are written as parts to a work folder. Once complete, shards are written, and then
`index.json` lists them: until then the previous index stays valid, and an interrupted build
continues from its parts.
"""

import csv
import hashlib
import io
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dual_encoder.index import files as index_files
from dual_encoder.index.exact_search import Index, check_fingerprint
from dual_encoder.index.files import WORK_FOLDER, IndexFacts, IndexRows, Shard, map_rows, write_rows
from duet import atomic_files, folder_locks, json_validation

SHARD_ROWS = 65_536

SHARD_NAME = re.compile(r"embeddings-(\d+)\.safetensors")

UNREADABLE = "unreadable.csv"

Stamp = tuple[int, int, int]

Place = tuple[IndexRows, int]  # a table of rows, and a row number in it


@dataclass(frozen=True)
class Changes:
    """The changes made by a build, in numbers of images."""

    added: int
    dropped: int
    unreadable: int
    total: int


@dataclass
class IndexBuilder:
    """Builds or updates the index in `folder` to hold the images of `listing`.

    Args:
        folder: created if missing; may hold a finished or unfinished index.
        listing: ids of all images of the index, with their stamps: two numbers that change when
            the image does, and its position.
        facts: of the new index; its `shards` are ignored.
        shard_rows: rows per file.

    Raises:
        FileExistsError: `folder` is a file, or holds other files.
        ValueError: the existing index, finished or not, is of another model or another image
            source.

    Example:
        >>> builder = IndexBuilder(folder, listing, facts)
        >>> for ids in batched(builder.missing, 1000):
        ...     stamps = [listing[name] for name in ids]
        ...     write_part(folder, IndexRows.of(ids, stamps, embed(ids)), facts)
        >>> builder.finish()
    """

    folder: Path
    listing: Mapping[str, Stamp]
    facts: IndexFacts
    shard_rows: int = SHARD_ROWS
    _old: Index | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise FileExistsError(f"{self.folder} is a file; expected a folder for the index")
        if (self.folder / index_files.FILE).is_file():
            self._old = Index.open(self.folder, fingerprint=self.facts.fingerprint)
        elif self.folder.is_dir() and any(not self._is_own(p) for p in self.folder.iterdir()):
            raise FileExistsError(f"{self.folder} holds other files; give another --index")
        begun = [IndexFacts.from_json(facts["begun"]) for _, facts in self._parts()]
        for facts in [self._old.facts, *begun] if self._old else begun:
            check_fingerprint(self.folder, facts, self.facts.fingerprint)
            _check_source(self.folder, facts.source, self.facts.source)

    def _is_own(self, path: Path) -> bool:
        """Whether building an index that has no `index.json` yet left it."""
        if path.name == WORK_FOLDER or folder_locks.is_trace(path):
            return True
        own = path.name == UNREADABLE or path.match("embeddings-*.safetensors")
        return own and (self.folder / WORK_FOLDER).is_dir()

    @property
    def missing(self) -> list[str]:
        """Ids of images without an embedding, in the order of the listing."""
        have = self._have()
        return [name for name in self.listing if name not in have]

    def finish(self) -> Changes:
        """Write the index from the parts and the reusable rows of the old index.

        Raises:
            ValueError: no image could be read; nothing is changed then.
        """
        have, shards = self._have(), self._old.shards if self._old else ()
        said = {name: reason for _, facts in self._parts() for name, reason in facts["unreadable"]}
        unreadable = [(n, said[n]) for n in self.listing if n in said and n not in have]
        if not have:
            reason = f"; {': '.join(unreadable[0])}" if unreadable else ""
            raise ValueError(f"{self.folder}: not one image could be read{reason}")
        kept = sum(any(rows is shard for shard in shards) for rows, _ in have.values())
        whole, rest = self._divided(have)
        written = self._write({name: have[name] for name in rest})
        facts = replace(self.facts, unreadable=len(unreadable), shards=(*whole, *written))
        if self._old and facts.shards == self._old.facts.shards:
            facts = replace(facts, approximate=self._old.facts.approximate)
        atomic_files.write(self.folder / UNREADABLE, _table(unreadable))
        facts.write(self.folder)
        self._tidy(facts)
        dropped = (len(self._old) if self._old else 0) - kept
        return Changes(len(have) - kept, dropped, len(unreadable), len(have))

    def _parts(self) -> list[tuple[IndexRows, dict[str, Any]]]:
        paths = sorted((self.folder / WORK_FOLDER).glob("part-*.safetensors"))
        parts = [map_rows(path) for path in paths]
        for path, (_, facts) in zip(paths, parts, strict=True):
            json_validation.check(facts, index_files.PART, where=str(path))
        return parts

    def _have(self) -> dict[str, Place]:
        """Returns the location of each valid embedding, by image id."""
        places: dict[str, Place] = {}
        new = [rows for rows, _ in self._parts()]
        for rows in [*self._old.shards, *new] if self._old else new:
            for row, (name, stamp) in enumerate(zip(rows.ids(), rows.stamps.tolist(), strict=True)):
                if list(self.listing.get(name, ())[:2]) == stamp[:2]:
                    places.setdefault(name, (rows, row))
        return places

    def _divided(self, have: Mapping[str, Place]) -> tuple[list[Shard], list[str]]:
        """Returns the shards to keep, and the ids of all other images in the listing's order.

        A shard is kept if it is unchanged and full, or the only one.
        """
        whole: list[Shard] = []
        settled = set[str]()
        if self._old is None:
            return whole, [name for name in self.listing if name in have]
        for shard, rows in zip(self._old.facts.shards, self._old.shards, strict=True):
            names = rows.ids()
            same = all(
                name in have and have[name][0] is rows and list(self.listing[name]) == stamp
                for name, stamp in zip(names, rows.stamps.tolist(), strict=True)
            )
            if same and (len(rows) == self.shard_rows or len(have) == len(self._old)):
                whole.append(shard)
                settled.update(names)
        rest = (name for name in self.listing if name in have)
        return whole, [name for name in rest if name not in settled]

    def _write(self, places: Mapping[str, Place]) -> list[Shard]:
        """Writes new shards of these images."""
        names, written = list(places), list[Shard]()
        # What no index names, a killed process left: its numbers are taken again.
        named = self._old.facts.shards if self._old else ()
        taken = [int(found[1]) for shard in named if (found := SHARD_NAME.fullmatch(shard.name))]
        for first in range(0, len(names), self.shard_rows):
            ids = names[first : first + self.shard_rows]
            stamps = [self.listing[name] for name in ids]
            rows = IndexRows.gathered([places[name] for name in ids], stamps)
            number = max(taken, default=-1) + 1 + len(written)
            shard = Shard(f"embeddings-{number:05d}.safetensors", len(ids), rows.crc32)
            write_rows(self.folder / shard.name, rows, {})
            written.append(shard)
        return written

    def _tidy(self, facts: IndexFacts) -> None:
        """Removes files that the index no longer lists."""
        named = {shard.name for shard in facts.shards} | {(facts.approximate or {}).get("file")}
        for path in [*self.folder.glob("embeddings-*"), *self.folder.glob("approximate-*")]:
            if path.name not in named:
                path.unlink()
        shutil.rmtree(self.folder / WORK_FOLDER, ignore_errors=True)


def write_part(
    folder: Path, rows: IndexRows, facts: IndexFacts, *, unreadable: Sequence[tuple[str, str]] = ()
) -> None:
    """Store the embeddings of some images for the unfinished index in `folder`.

    Args:
        unreadable: ids of images that could not be read, with the reason.
    """
    if rows.embeddings.shape[1] != facts.embed_dim:
        raise ValueError(
            f"embeddings: expected {facts.embed_dim} numbers each; got {rows.embeddings.shape[1]}"
        )
    work = Path(folder) / WORK_FOLDER
    work.mkdir(parents=True, exist_ok=True)
    names = "\n".join([*rows.ids(), *(name for name, _ in unreadable)])
    # Named by its content, so that repeated work overwrites the same file.
    part = hashlib.blake2b(names.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    begun = {"model": facts.model, "fingerprint": facts.fingerprint, "source": facts.source}
    noted = {"begun": begun | {"embed_dim": facts.embed_dim, "shards": []}}
    write_rows(
        work / f"part-{part}.safetensors", rows, noted | {"unreadable": list(map(list, unreadable))}
    )


def _check_source(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raises ValueError if images of another source would replace those of an index."""
    if dict(old) != dict(new) and Path(old["path"]).exists():
        was, now = (" ".join([str(s["path"]), *s.get("splits", ())]) for s in (old, new))
        raise ValueError(
            f"{folder} is an index of {was}, not of {now}; give another --index, or delete it"
        )


def _table(unreadable: Sequence[tuple[str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("file", "reason"), *unreadable])
    return text.getvalue().encode("utf-8", "surrogateescape")
