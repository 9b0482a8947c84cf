"""What the texts of a published model go through before they are cut into tokens."""

import html
import re
import string
import unicodedata
from collections.abc import Callable

import ftfy

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Letters with marks of their own, and Korean letters not yet put together.
_APART = re.compile("\\w[\u0300-\u036f\u3099\u309a]+|[\u1100-\u11ff\u3131-\u318e]+")


def _mended(text: str) -> str:
    """Broken encodings mended, HTML entities resolved (twice), one space between words."""
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def _mended_lower(text: str) -> str:
    return _mended(text).lower()


def _canonical(text: str) -> str:
    return _plain(_mended(text).replace("_", " "))


def _plain(text: str) -> str:
    """Lower case, no punctuation, one space between words."""
    return " ".join(text.translate(_NO_PUNCTUATION).lower().split())


def _composed(text: str) -> str:
    """Plain, with letters composed; "▁" is how SentencePiece writes a space.

    SentencePiece composes all, whereas `tokenizers` misses longer ones, "カ" with its mark say.
    """
    return _APART.sub(_shorter, _plain(text.replace("▁", " ")))


def _shorter(found: re.Match[str]) -> str:
    """Composed where that makes it shorter: mere order of marks is left."""
    composed = unicodedata.normalize("NFKC", found[0])
    return composed if len(composed) < len(found[0]) else found[0]


CLEANINGS: dict[str, Callable[[str], str]] = {
    # As it is: the tokenizer's own normalizer does the rest, as in `transformers`.
    "none": str,
    # CLIP's byte pairs, in open_clip and in the paper's own code.
    "openai": _mended_lower,
    # open_clip's RoBERTa and XLM-RoBERTa towers: case is kept.
    "whitespace": _mended,
    # SigLIP in open_clip: "_" becomes a space.
    "canonicalize": _canonical,
    # SigLIP in `transformers`: "_" goes, as other punctuation; entities and the like stay.
    "siglip": _composed,
}
