"""Layout of prompts: token ids and the positions of learnt vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from dual_encoder.tokenizer import Tokenizer

POSITIONS = ("end", "middle", "front")  # of the class name among the vectors

STAND_IN = "zq"  # placeholder text for vectors without words; no name begins or ends with it


@dataclass(frozen=True)
class Frames:
    """One prompt for each of c class names, with positions for k learnt vectors.

    Attributes:
        token_ids: int32 [c, n], padded; ids of ordinary words at the positions of vectors.
        source: int32 [c, n], index of the vector at each position, -1 for the token itself.
        alike: length of the common beginning of all prompts, in tokens.
        words: ids [k] of the initial words of the vectors; None for a random start.
        template: the prompts as text, `{}` for the name.
    """

    token_ids: np.ndarray
    source: np.ndarray
    alike: int
    words: np.ndarray | None
    template: str

    @property
    def n_ctx(self) -> int:
        """k, the number of context vectors."""
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
    """Returns the prompts of `class_names`: vectors and name, then a full stop, as in CoOp.

    The class name comes last, first, or in the middle after half of the vectors (rounded down).
    Every prompt is tokenized as a whole, so that with `words` its ids equal those of the same text
    as a template.

    Args:
        tokenizer: of the text tower.
        class_names: c names.
        n_ctx: number of vectors, 1 to 16; default: the number of tokens in `words`, or 16.
        position: of the class name, one of `POSITIONS`.
        words: initial words of the vectors, such as "a photo of a".
        length: tokens per row; None for the length of the longest prompt.

    Raises:
        ValueError: an unknown position, `n_ctx` out of range or different from the tokens of
            `words`, a name without tokens, two names with the same tokens, or a prompt longer
            than the tokenizer's context.
    """
    if position not in POSITIONS:
        raise ValueError(f"position: expected one of {', '.join(POSITIONS)}; got {position!r}")
    if n_ctx is not None and not (isinstance(n_ctx, Integral) and 1 <= n_ctx <= 16):
        raise ValueError(f"n_ctx: expected 1 to 16 learnt vectors; got {n_ctx!r}")
    if words is not None and not isinstance(words, str):
        raise ValueError(f'words: expected a text, such as "a photo of a"; got {words!r}')
    before, after = _around(words, n_ctx, position)
    begun = tokenizer.rows([""])[0][:-1]  # without the end token
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
    """Returns the numbers of vectors before and after the class name."""
    before = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[position]
    return before, n_ctx - before


def _check_words(words: str, count: int, n_ctx: int | None) -> None:
    if not 1 <= count <= 16 or n_ctx not in (None, count):
        expected = "1 to 16 tokens" if n_ctx is None else f"{n_ctx} tokens, as many as n_ctx"
        raise ValueError(f"words: expected {expected}; {words!r} has {count}")


def _padded(rows: list[Any], width: int, value: int) -> np.ndarray:
    return np.array([[*row, *[value] * (width - len(row))] for row in rows], np.int32)


def _around(words: str | None, n_ctx: int | None, position: str) -> tuple[str, str]:
    """Returns the words before and after the class name; placeholders if there are none."""
    if words is None:
        left, right = _halves(n_ctx or 16, position)
        return STAND_IN if left else "", STAND_IN if right else ""
    each = words.split()
    count, _ = _halves(len(each), position)
    return " ".join(each[:count]), " ".join(each[count:])


def _text(before: str, name: str, after: str) -> str:
    return " ".join(part for part in (before, name, after) if part) + "."


def _cut(tokenizer: Tokenizer, name: str, before: str, after: str) -> tuple[list[int], ...]:
    """Returns a prompt's ids in four parts: up to the name, the name, words after it, the rest.

    If no words follow the name, the rest begins after the words before it, as name and full stop
    may share a token.
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
    """Raises ValueError for a prompt that is too long, or equal to another."""
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
    """Returns a template for vectors without words: `[4 vectors] {}.`"""
    left, right = (f"[{n} vector{'s' if n > 1 else ''}]" if n else "" for n in (before, after))
    return _text(left, "{}", right)
