"""Detect class names with identical tokens: the second of them could never be predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

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
    prompts = [template.replace("{}", name) for name in class_names for template in templates]
    refuse_equal_rows(class_names, model.tokenizer(prompts, length=model.context_length))


def refuse_equal_rows(class_names: Sequence[str], token_ids: np.ndarray) -> None:
    """Does the same check for tokenised prompts, int [c * templates, n]."""
    rows = np.ascontiguousarray(token_ids).reshape(len(class_names), -1)
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
