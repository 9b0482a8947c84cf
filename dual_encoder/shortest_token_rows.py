"""Rows of token ids as a text tower takes them: checked, and no longer than they need be."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dual_encoder.towers.compiled_functions import is_plain

if TYPE_CHECKING:
    from dual_encoder import DualEncoder

STEP = 8  # tokens: rounds row lengths, as each new length is compiled again


def longest_row(
    model: "DualEncoder", prompts: Iterable[Sequence[str]], *, strict: bool = False
) -> int | None:
    """Returns the tokens of the longest prompt of all classes, or None if padding matters.

    With None, rows have the tokenizer's context length. With `strict`, raises ValueError for a text
    that would be truncated.
    """
    if model.tokenizer is None or not model.text_tower.trims_exactly:
        return None
    return model.tokenizer([text for texts in prompts for text in texts], strict=strict).shape[1]


def row_length(model: "DualEncoder", chosen: Sequence[str], *, strict: bool = False) -> int:
    """Returns the row length that fits all texts: a multiple of `STEP`, at most the context.

    The whole context length if padding matters; `strict` as in `longest_row`.
    """
    tokens = longest_row(model, [chosen], strict=strict)
    if tokens is None:
        return model.context_length
    return min(model.context_length, -(-tokens // STEP) * STEP)


def text_length(tower: Any, tokenizer: Any) -> int:
    """Returns the most tokens of a text: of the tower's and the tokenizer's the fewer."""
    most = tower.context_length
    return min(most, getattr(tokenizer, "context_length", None) or most)


def as_token_ids(texts: Any, tokenizer: Any, tower: Any) -> Any:
    """Converts a text or list of texts to token ids [b, n]; a single row of ids to a batch.

    Pads only to the longest text if the tower's `trims_exactly` allows it.

    Raises ValueError for other types, no text, too many tokens, ids that the tower has not, or
    texts without a tokenizer.
    """
    if isinstance(texts, str):
        texts = [texts]
    if isinstance(texts, np.ndarray) and texts.ndim == 1 and texts.dtype.kind in "UO":
        texts = list(texts)
    if isinstance(texts, list | tuple) and texts and isinstance(texts[0], str):
        if tokenizer is None:
            raise ValueError("texts: expected token ids, for the model has no tokenizer; got texts")
        length = None if tower.trims_exactly else text_length(tower, tokenizer)
        return _check_ids(tokenizer(list(texts), length=length), tower)
    if not hasattr(texts, "shape"):
        texts = _as_array(texts)
    shape, dtype = tuple(texts.shape), getattr(texts.dtype, "name", str(texts.dtype))
    if 0 in shape:
        raise ValueError("texts: expected one or more; got none")
    if len(shape) not in (1, 2) or "int" not in dtype:
        raise ValueError(
            "texts: expected a text, a list of texts, or token ids, int [b, n]; got "
            f"{dtype} {list(shape)}"
        )
    if shape[-1] is not None and shape[-1] > tower.context_length:
        raise ValueError(
            f"token_ids: expected at most {tower.context_length} tokens per text; got {shape[-1]}"
        )
    if hasattr(texts, "__array__") and is_plain(texts):
        _check_ids(np.asarray(texts), tower)
    return texts[None] if len(shape) == 1 else texts


def check_token_ids(ids: Any, tower: Any) -> None:
    """Raises a one-line ValueError for token ids that a tower cannot take, before Keras traces it.

    Args:
        ids: those of the x of `fit`: an array, a tensor or its spec, int [b, n]; None for none.
    """
    expected = f"token_ids: expected int [b, n], at most {tower.context_length} tokens per text"
    if isinstance(ids, list | tuple) and ids and isinstance(ids[0], str):
        raise ValueError(f"{expected}; got texts: model.tokenizer(texts) makes them")
    shape = getattr(ids, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        return
    shape, dtype = list(shape), getattr(ids.dtype, "name", str(ids.dtype))
    if len(shape) != 2 or "int" not in dtype or (shape[1] or 0) > tower.context_length:
        raise ValueError(f"{expected}; got {dtype} {shape}")
    if hasattr(ids, "__array__") and is_plain(ids):
        _check_ids(np.asarray(ids), tower)


def _as_array(texts: Any) -> np.ndarray:
    try:
        return np.asarray(texts)
    except ValueError:  # rows of several lengths
        raise ValueError("texts: expected rows of token ids of one length; got several") from None


def _check_ids(ids: np.ndarray, tower: Any) -> np.ndarray:
    """Returns the ids; raises ValueError for one that the tower has no embedding of."""
    size = getattr(tower, "vocabulary_size", None)
    if size and ids.size and not 0 <= ids.min() <= ids.max() < size:
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise ValueError(
            f"texts: expected token ids 0 to {size - 1}, those of the tower; got {wrong}"
        )
    return ids
