"""Detect class names with identical tokens: the second of them could never be predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dual_encoder.class_prompts import prompts_of

if TYPE_CHECKING:
    from dual_encoder.model import DualEncoder


def refuse_equal_names(
    model: DualEncoder, class_names: Sequence[str], templates: Sequence[str] = ("{}",)
) -> None:
    """Raises ValueError, naming them, if differently spelt names give the same token ids.

    Many tokenizers ignore case, Unicode form, kinds of spaces, characters missing from the
    vocabulary, and text beyond the context length.

    Args:
        model: a dual encoder; without a tokenizer, nothing is checked.
        class_names: c names. Identical names are allowed, as published lists contain some.
        templates: prompt templates with {} for the name.
    """
    if model.tokenizer is None:
        return
    by_name = prompts_of(class_names, templates)
    prompts = [text for texts in by_name for text in texts]
    rows = model.tokenizer(prompts, length=model.context_length)
    refuse_equal_rows(class_names, rows, [len(texts) for texts in by_name])


def refuse_equal_rows(
    class_names: Sequence[str], token_ids: np.ndarray, counts: Sequence[int]
) -> None:
    """Does the same check for tokenised prompts, int [sum of counts, n]; counts: of each class."""
    rows = np.split(np.ascontiguousarray(token_ids), np.cumsum(counts)[:-1])
    first: dict[bytes, str] = {}
    for name, row in zip(class_names, rows, strict=True):
        other = first.setdefault(row.tobytes(), name)
        if other != name:
            raise ValueError(
                f"class_names: {_shown(other)} and {_shown(name)} are the same tokens to this "
                f"model, so that it could never answer the second; expected names that differ in "
                f"more than case, accents, spaces, letters unknown to it or what it cuts off"
            )


def _shown(name: str) -> str:
    """Returns the name quoted, and escaped if it looks like another."""
    text = name if len(name) <= 60 else f"{name[:57]}..."
    return repr(text) if text.isascii() else f"{text!r} ({text!a})"
