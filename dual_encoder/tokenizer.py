"""Tokenizer: converts texts to token ids, with Hugging Face's `tokenizers`."""

import html
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import ftfy
import keras
import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

if TYPE_CHECKING:
    import tensorflow as tf

    from dual_encoder import DualEncoder


SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


@keras.saving.register_keras_serializable("duet")
class Tokenizer:
    """Converts texts to rows of int32 ids: start, tokens, end, padding.

    Args:
        json: a tokenizer as written by `tokenizers.Tokenizer.to_str`.
        context_length: maximum number of tokens per text, including start and end.
        pad_id, end_id: ids of the padding and of the end-of-text token.
        cleaning: preprocessing of texts, a name of `CLEANINGS`.
        pad_to_context: whether rows are padded to the context length by default, for towers that
            read the last position even if it is padding.

    Raises:
        ValueError: unknown cleaning.

    Example:
        >>> tokenizer = Tokenizer.learn(["a red star", "a blue ring"], context_length=8)
        >>> tokenizer(["a red ring"]).shape
        (1, 5)
    """

    def __init__(
        self,
        json: str,
        *,
        context_length: int,
        pad_id: int,
        end_id: int,
        cleaning: str = "none",
        pad_to_context: bool = False,
    ):
        if cleaning not in CLEANINGS:
            raise ValueError(f"cleaning: expected one of {', '.join(CLEANINGS)}; got {cleaning!r}")
        self.json = json
        self.context_length = context_length
        self.pad_id = pad_id
        self.end_id = end_id
        self.cleaning = cleaning
        self.pad_to_context = pad_to_context
        self._tokenizer = tokenizers.Tokenizer.from_str(json)
        self._tokenizer.encode_special_tokens = True  # "<end>" in a caption is ordinary text

    @classmethod
    def learn(
        cls, texts: Iterable[str], *, context_length: int, vocabulary_size: int = 8192
    ) -> "Tokenizer":
        """Learn a lower-cased byte-pair vocabulary of at most `vocabulary_size` tokens.

        The same texts give the same vocabulary, in any order.

        Raises:
            ValueError: no text, a context too short for a single token, or a vocabulary too small
                for the characters of the texts.
        """
        if isinstance(texts, str):
            raise ValueError(f"texts: expected several strings; got the string {texts!r}")
        if context_length < 3:
            raise ValueError(f"context_length: expected at least 3; got {context_length}")
        learned = _untrained()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size, special_tokens=list(SPECIAL), show_progress=False
        )
        learned.train_from_iterator(texts, trainer)
        size = learned.get_vocab_size()
        if size == len(SPECIAL):
            raise ValueError("texts: expected captions to learn a vocabulary from; got none")
        if size > vocabulary_size:
            raise ValueError(
                f"vocabulary_size: expected at least {size}, for the characters of the texts; "
                f"got {vocabulary_size}"
            )
        pad_id, end_id = SPECIAL.index("<pad>"), SPECIAL.index("<end>")
        return cls(learned.to_str(), context_length=context_length, pad_id=pad_id, end_id=end_id)

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids."""
        return self._tokenizer.get_vocab_size()

    def __call__(
        self, texts: Sequence[str], length: int | None = None, *, strict: bool = False
    ) -> np.ndarray:
        """Returns ids [len(texts), n], int32, padded to `length`, or see `pad_to_context`.

        A text of more than `length` or `context_length` tokens is truncated, keeping the end token.

        Args:
            texts: list of strings.
            length: tokens per row; None for the length of the longest text.
            strict: raise an error instead of truncating.

        Raises:
            ValueError: `texts` is a single string or contains other types, `length` is below 2
                or above the context length, or, if `strict`, a text is too long.
        """
        if isinstance(texts, str):
            raise ValueError(f"texts: expected a list of strings; got the string {texts!r}")
        for text in texts:
            if not isinstance(text, str):
                raise ValueError(f"texts: expected strings; got {text!r} among them")
        if length is not None and not 2 <= length <= self.context_length:
            raise ValueError(f"length: expected 2 to {self.context_length}; got {length}")
        limit = length or self.context_length
        rows = self.rows(texts)
        if strict:
            _refuse_longer(texts, rows, limit=limit)
        rows = [row if len(row) <= limit else [*row[: limit - 1], self.end_id] for row in rows]
        width = limit if length or self.pad_to_context else max(map(len, rows), default=0)
        ids = np.full((len(rows), width), self.pad_id, np.int32)
        for row, tokens in zip(ids, rows, strict=True):
            row[: len(tokens)] = tokens
        return ids

    def encode_tf(self, texts: "tf.Tensor", *, strict: bool = False) -> "tf.Tensor":
        """Tokenises inside `tf.data`: strings [...] to ids [..., context_length], int32.

        Runs in Python, so a graph that contains it cannot be saved.

        Example:
            >>> dataset.map(lambda example: tokenizer.encode_tf(example["caption"]))
        """
        import tensorflow as tf

        def encode(texts: np.ndarray) -> np.ndarray:
            flat = [text.decode() for text in np.ravel(texts)]
            ids = self(flat, length=self.context_length, strict=strict)
            return ids.reshape(*np.shape(texts), self.context_length)

        texts = tf.convert_to_tensor(texts)
        ids = tf.numpy_function(encode, [texts], tf.int32, stateful=False)
        return tf.ensure_shape(ids, texts.shape.concatenate(self.context_length))

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text, neither truncated nor padded."""
        cleaned = [CLEANINGS[self.cleaning](text) for text in texts]
        try:
            return [encoding.ids for encoding in self._tokenizer.encode_batch(cleaned)]
        except TypeError as error:
            text = next((text for text in cleaned if not _is_unicode(text)), None)
            if text is None:
                raise
            raise ValueError(f"texts: expected whole characters; got {text!r}") from error

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of a row of ids, without start, end, padding and unknown characters."""
        text = self._tokenizer.decode(list(map(int, ids)))
        word_end = getattr(self._tokenizer.model, "end_of_word_suffix", None)
        return text.replace(word_end, " ").strip() if word_end else text

    def get_config(self) -> dict[str, Any]:
        return {
            "json": self.json,
            "context_length": self.context_length,
            "pad_id": self.pad_id,
            "end_id": self.end_id,
            "cleaning": self.cleaning,
            "pad_to_context": self.pad_to_context,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Tokenizer":
        return cls(**config)


def as_token_ids(texts: Any, tokenizer: Any, tower: Any) -> Any:
    """Converts a text or list of texts to token ids [b, n]; a single row of ids to a batch.

    Pads only to the longest text if the tower's `trims_exactly` allows it.

    Raises ValueError for texts without a tokenizer.
    """
    if isinstance(texts, str):
        texts = [texts]
    if isinstance(texts, list | tuple) and texts and isinstance(texts[0], str):
        if tokenizer is None:
            raise ValueError("texts: expected token ids, for the model has no tokenizer; got texts")
        length = None if tower.trims_exactly else tower.context_length
        return _check_ids(tokenizer(list(texts), length=length), tower)
    shape = getattr(texts, "shape", None)
    if shape is None:
        texts = np.asarray(texts)
        shape = texts.shape
    is_array = isinstance(texts, np.ndarray)
    if len(shape) not in (1, 2) or (is_array and texts.dtype.kind not in "iu"):
        raise ValueError(f"texts: expected texts, or token ids [b, n]; got shape {list(shape)}")
    if is_array:
        _check_ids(texts, tower)
    return texts[None] if len(shape) == 1 else texts


def _check_ids(ids: np.ndarray, tower: Any) -> np.ndarray:
    """Returns the ids; raises ValueError for one that the tower has no embedding of."""
    size = getattr(tower, "vocabulary_size", None)
    if size and ids.size and not 0 <= ids.min() <= ids.max() < size:
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise ValueError(f"texts: expected token ids below {size}, those of the tower; got {wrong}")
    return ids


def _is_unicode(text: str) -> bool:
    """Returns whether the text has no lone surrogate."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _refuse_longer(texts: Sequence[str], rows: list[list[int]], *, limit: int) -> None:
    """Raises ValueError for the first text with more tokens than `limit`."""
    long = [(text, len(row)) for text, row in zip(texts, rows, strict=True) if len(row) > limit]
    if long:
        text, count = long[0]
        shown = repr(text if len(text) <= 60 else f"{text[:57]}...")
        raise ValueError(
            f"texts: expected at most {limit} tokens; got {count} in {shown} "
            f"({len(long)} of {len(texts)} texts are too long)"
        )


def _untrained() -> tokenizers.Tokenizer:
    """Returns an untrained byte-pair tokenizer: lower case, punctuation separated, start and end.

    Uses a word-initial mark (Metaspace): with BPE's `end_of_word_suffix` the library numbers tokens
    in a different order each time it learns.
    """
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unknown>"))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(tokenizers.Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.Metaspace()
    ends = [(name, SPECIAL.index(name)) for name in ("<start>", "<end>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=ends
    )
    return tokenizer


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
