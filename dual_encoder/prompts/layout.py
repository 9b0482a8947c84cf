"""Where learnt vectors stand in the prompts of a list of class names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dual_encoder.tokenizer import Tokenizer

POSITIONS = ("end", "middle", "front")  # of the class name

STAND_IN = "zq"  # written where vectors without words go; no name begins or ends with it


@dataclass(frozen=True)
class Frames:
    """One prompt for each of c class names, with places for k learnt vectors.

    Attributes:
        token_ids: int32 [c, n], padded; at the places of vectors, ids of ordinary words.
        source: int32 [c, n], which vector stands at a place, -1 where the token does.
        alike: how many tokens at the start all prompts have in common.
        words: ids [k] of the words that the vectors start as; None where they start at random.
        template: the prompts in words, `{}` for the name.
    """

    token_ids: np.ndarray
    source: np.ndarray
    alike: int
    words: np.ndarray | None
    template: str

    @property
    def n_ctx(self) -> int:
        """k, the number of vectors."""
        return int(self.source.max()) + 1


def frames(
    tokenizer: Tokenizer,
    class_names: Sequence[str],
    *,
    n_ctx: int | None = None,
    position: str = "end",
    words: str | None = None,
    length: int | None = None,
) -> Frames:
    """The prompts of `class_names`: vectors and name, then a full stop, as CoOp has them.

    The class name stands at the end, in front, or in the middle with half of the vectors (one
    fewer where they are odd) before it. Every prompt is tokenized whole, so that with `words` its
    ids are those of the same text as a template.

    Args:
        tokenizer: of the text tower.
        class_names: c names.
        n_ctx: vectors, 1 to 16; default 16, or as many as `words` have tokens.
        position: of the class name, one of `POSITIONS`.
        words: what the vectors start as, such as "a photo of a".
        length: tokens in a row; None for as many as the longest prompt has.

    Raises:
        ValueError: an unknown position, `n_ctx` out of range or not that of the words, a name that
            tokenizes to nothing, two names with the same tokens, or more tokens than the
            tokenizer's context has.
    """
    if position not in POSITIONS:
        raise ValueError(f"position: expected one of {', '.join(POSITIONS)}; got {position!r}")
    if n_ctx is not None and not 1 <= n_ctx <= 16:
        raise ValueError(f"n_ctx: expected 1 to 16 learnt vectors; got {n_ctx}")
    before, after = _around(words, n_ctx, position)
    begun = tokenizer.rows([""])[0][:-1]  # without the end
    parts = [_cut(tokenizer, name, before, after) for name in class_names]
    spelt = parts[0][0][len(begun) :], parts[0][2]
    ids = np.array([*spelt[0], *spelt[1]], np.int32)
    if words is None:
        left, right = _halves(n_ctx or 16, position)
    else:
        left, right = map(len, spelt)
        _check_words(words, left + right, n_ctx)
    vectors = np.resize(ids, left + right)
    rows, source = [], []
    for _, name, _, stop in parts:
        rows.append([*begun, *vectors[:left], *name, *vectors[left:], *stop])
        places = np.full(len(rows[-1]), -1)
        places[len(begun) : len(begun) + left] = range(left)
        after_name = len(begun) + left + len(name)
        places[after_name : after_name + right] = range(left, left + right)
        source.append(places)
    _refuse(class_names, rows, tokenizer.context_length)
    width = length or max(map(len, rows))
    return Frames(
        _padded(rows, width, tokenizer.pad_id),
        _padded(source, width, -1),
        alike=len(begun) + left,
        words=None if words is None else ids,
        template=_described(left, right) if words is None else _text(before, "{}", after),
    )


def _halves(n_ctx: int, position: str) -> tuple[int, int]:
    """How many vectors stand before and after the class name."""
    before = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[position]
    return before, n_ctx - before


def _check_words(words: str, count: int, n_ctx: int | None) -> None:
    if not 1 <= count <= 16 or n_ctx not in (None, count):
        expected = "1 to 16 tokens" if n_ctx is None else f"{n_ctx} tokens, as many as n_ctx"
        raise ValueError(f"words: expected {expected}; {words!r} has {count}")


def _padded(rows: list[Any], width: int, value: int) -> np.ndarray:
    return np.array([[*row, *[value] * (width - len(row))] for row in rows], np.int32)


def _around(words: str | None, n_ctx: int | None, position: str) -> tuple[str, str]:
    """The words before and after the class name; stand-ins where there are none."""
    if words is None:
        left, right = _halves(n_ctx or 16, position)
        return STAND_IN if left else "", STAND_IN if right else ""
    each = words.split()
    count, _ = _halves(len(each), position)
    return " ".join(each[:count]), " ".join(each[count:])


def _text(before: str, name: str, after: str) -> str:
    return " ".join(part for part in (before, name, after) if part) + "."


def _cut(tokenizer: Tokenizer, name: str, before: str, after: str) -> tuple[list[int], ...]:
    """The ids of a prompt in four: up to the name, the name, the words after it, the rest.

    Where nothing comes after the name, the rest begins behind the words before it, and name and
    full stop may share a token.
    """
    named = f"{before} {name}".strip()
    texts = [before, named, f"{named} {after}".strip(), _text(before, name, after)]
    *begun, whole = tokenizer.rows(texts)
    ends = [len(row) - 1 for row in begun]
    if ends[1] == ends[0]:
        raise ValueError(f"class_names: {name!r} tokenizes to nothing")
    known = begun if after else begun[:1]
    for text, row in zip(texts, known, strict=False):
        if whole[: len(row) - 1] != row[:-1]:
            raise ValueError(
                f"words: expected some whose tokens stay what they are beside others; {text!r} "
                f"has other tokens in {texts[-1]!r}"
            )
    if not after:
        return whole[: ends[0]], whole[ends[0] :], [], []
    first, second, third = ends
    return whole[:first], whole[first:second], whole[second:third], whole[third:]


def _refuse(
    class_names: Sequence[str],
    rows: list[list[int]],
    context_length: int,
) -> None:
    """Raises ValueError for a prompt that is too long, or equal to another's."""
    seen: dict[tuple[int, ...], str] = {}
    for name, row in zip(class_names, rows, strict=True):
        if len(row) > context_length:
            raise ValueError(
                f"class_names: expected prompts of at most {context_length} tokens, which the text "
                f"tower holds; that of {name!r} has {len(row)}"
            )
        other = seen.setdefault(tuple(row), name)
        if other != name:
            raise ValueError(f"class_names: {other!r} and {name!r} have the same tokens")


def _described(before: int, after: int) -> str:
    """A template for what has no words: `[4 vectors] {}.`"""
    left, right = (f"[{n} vector{'s' if n > 1 else ''}]" if n else "" for n in (before, after))
    return _text(left, "{}", right)
