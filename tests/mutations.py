"""Files and command lines with faults in them, drawn from seeds: the same ones every time."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

# What breaks readers: other encodings, quotes, numbers that are none, deep nesting, long texts.
PIECES = (
    *(b"", b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xe9", b"\r", b"\n", b"\n\n", b"\t"),
    *(b",", b";", b"|", b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b":", b"#", b"- ", b"&a *a"),
    *(b"null", b"true", b"NaN", b"-1", b"0", b"1e999", b"9" * 400, b"{}", b"[]", b'""', b"!!int"),
    *(b"!!python/object:os.system", b"..", b"/", b"../../etc", b"%s", b"[" * 2000, b"x" * 5000),
    *("\ud83d".encode("utf-8", "surrogatepass"), b'"\\ud83d"', "é".encode("utf-16"), b"=", b"--"),
)


# What a value of JSON may be replaced by.
VALUES = (None, [], {}, 1, -1, 10**9, 1e308, "x", "", True, [[[[]]]], {"a": {"b": 1}}, "../../etc")


def mutants(seeds: Sequence[bytes], count: int, *, seed: int) -> Iterator[bytes]:
    """`count` texts, each a seed with one to four faults."""
    draws = random.Random(seed)
    for _ in range(count):
        data = draws.choice(seeds)
        for _ in range(draws.randint(1, 4)):
            data = _mutated(data, draws)
        yield data


def mutated_words(seeds: Sequence[Sequence[str]], count: int, *, seed: int) -> Iterator[list[str]]:
    """`count` command lines, each a seed with one to three words changed, left out or added."""
    draws = random.Random(seed)
    for _ in range(count):
        words = list(draws.choice(seeds))
        for _ in range(draws.randint(1, 3)):
            words = words or [""]
            place = draws.randrange(1, len(words)) if len(words) > 1 else 0
            new = _mutated(words[place].encode("utf-8", "surrogateescape"), draws)[:200].replace(
                b"\0", b""
            )
            choices = {
                "change": [new.decode("utf-8", "surrogateescape")],
                "drop": [],
                "double": [words[place], words[place]],
                "odd": [words[place], draws.choice(("", "--", "-x", "--no-such", "null", "1e9"))],
            }
            words[place : place + 1] = draws.choice(list(choices.values()))
        yield words or [""]


def mutated_documents(document: Any, count: int, *, seed: int) -> Iterator[bytes]:
    """`count` texts of JSON, each the document with one or two values replaced or left out."""
    draws = random.Random(seed)
    places = list(_places(document))
    for _ in range(count):
        changed = copy.deepcopy(document)
        for _ in range(draws.randint(1, 2)):
            *outer, last = draws.choice(places)
            inside = changed
            with contextlib.suppress(KeyError, IndexError, TypeError):  # it was replaced before
                for key in outer:
                    inside = inside[key]
                inside[last] = copy.deepcopy(draws.choice(VALUES))
                if draws.random() < 0.2:
                    del inside[last]
        yield json.dumps(changed).encode()


def _places(value: Any, place: tuple = ()) -> Iterator[tuple]:
    """The way to every value in a document."""
    if place:
        yield place
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value[:5]):
            yield from _places(each, (*place, key))


def _mutated(data: bytes, draws: random.Random) -> bytes:
    at = draws.randint(0, len(data))
    end = min(len(data), at + draws.randint(0, 12))
    way = draws.randrange(6)
    if way == 0:
        return data[:at] + draws.choice(PIECES) + data[at:]
    if way == 1:
        return data[:at] + draws.choice(PIECES) + data[end:]
    if way == 2:
        return data[:at] + data[end:]
    if way == 3:
        return data[:at] + data[at:end] * 2 + data[end:]
    if way == 4:
        return data[:at]
    return data[:at] + bytes(draws.randrange(256) for _ in data[at:end]) + data[end:]
