"""Tokenizer: converts texts to token ids, with Hugging Face's `tokenizers`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from dual_encoder.text_cleaning import CLEANINGS

if TYPE_CHECKING:
    import tensorflow as tf


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
