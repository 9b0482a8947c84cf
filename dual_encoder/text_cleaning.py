"""What texts go through before they become tokens, as each checkpoint was trained."""

import html
import re
import string
import unicodedata
from collections.abc import Callable

import ftfy

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

# Letters with combining marks, and decomposed Korean letters.
_APART = re.compile("\\w[\u0300-\u036f\u3099\u309a]+|[\u1100-\u11ff\u3131-\u318e]+")


def _mended(text: str) -> str:
    """Repairs broken encodings, resolves HTML entities (twice) and collapses spaces."""
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def _mended_lower(text: str) -> str:
    return _mended(text).lower()


def _canonical(text: str) -> str:
    return _plain(_mended(text).replace("_", " "))


def _plain(text: str) -> str:
    """Lower-cases, removes punctuation and collapses spaces."""
    return " ".join(text.translate(_NO_PUNCTUATION).lower().split())


def _composed(text: str) -> str:
    """Applies `_plain` and composes letters; "▁" is SentencePiece's space.

    SentencePiece composes all letters; `tokenizers` misses longer ones, such as "カ" with a mark.
    """
    return _APART.sub(_shorter, _plain(text.replace("▁", " ")))


def _shorter(match: re.Match[str]) -> str:
    """Returns the composed form if shorter; does not reorder marks otherwise."""
    composed = unicodedata.normalize("NFKC", match[0])
    return composed if len(composed) < len(match[0]) else match[0]


CLEANINGS: dict[str, Callable[[str], str]] = {
    # Unchanged: the tokenizer's normalizer does the rest, as in `transformers`.
    "none": str,
    # CLIP's byte pairs, in open_clip and OpenAI's code.
    "openai": _mended_lower,
    # open_clip's RoBERTa and XLM-RoBERTa towers: case is kept.
    "whitespace": _mended,
    # SigLIP in open_clip: "_" becomes a space.
    "canonicalize": _canonical,
    # SigLIP in `transformers`: "_" is removed like other punctuation; HTML entities stay.
    "siglip": _composed,
}
