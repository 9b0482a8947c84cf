"""Text to token ids, with Hugging Face's `tokenizers`."""

from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tokenizers

SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


@keras.saving.register_keras_serializable("duet")
class Tokenizer:
    """Texts to rows of int32 ids: start, tokens, end, padding.

    Args:
        json: a tokenizer as `tokenizers.Tokenizer.to_str` writes it.
        context_length: most tokens per text, start and end included.
        pad_id, end_id: ids of the padding and of the end-of-text token.

    Example:
        >>> tokenizer = Tokenizer.learn(["a red star", "a blue ring"], context_length=8)
        >>> tokenizer(["a red ring"]).shape
        (1, 5)
    """

    def __init__(self, json: str, *, context_length: int, pad_id: int, end_id: int):
        self.json = json
        self.context_length = context_length
        self.pad_id = pad_id
        self.end_id = end_id
        self._tokenizer = tokenizers.Tokenizer.from_str(json)

    @classmethod
    def learn(
        cls, texts: Iterable[str], *, context_length: int, vocabulary_size: int = 8192
    ) -> "Tokenizer":
        """Learn a lower-cased byte-pair vocabulary of at most `vocabulary_size` tokens.

        Raises:
            ValueError: no text, or too small a vocabulary or context for a single token.
        """
        if context_length < 3:
            raise ValueError(f"context_length: expected at least 3; got {context_length}")
        if vocabulary_size <= len(SPECIAL):
            raise ValueError(
                f"vocabulary_size: expected more than {len(SPECIAL)}; got {vocabulary_size}"
            )
        word_end = "</w>"
        model = tokenizers.models.BPE(unk_token="<unknown>", end_of_word_suffix=word_end)
        learned = tokenizers.Tokenizer(model)
        learned.decoder = tokenizers.decoders.BPEDecoder(suffix=word_end)
        learned.normalizer = tokenizers.normalizers.Sequence(
            [tokenizers.normalizers.NFKC(), tokenizers.normalizers.Lowercase()]
        )
        learned.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=list(SPECIAL),
            end_of_word_suffix=word_end,
            show_progress=False,
        )
        learned.train_from_iterator(texts, trainer)
        if learned.get_vocab_size() == len(SPECIAL):
            raise ValueError("texts: expected captions to learn a vocabulary from; got none")
        ends = [(name, SPECIAL.index(name)) for name in ("<start>", "<end>")]
        learned.post_processor = tokenizers.processors.TemplateProcessing(
            single="<start> $A <end>", special_tokens=ends
        )
        pad_id, end_id = SPECIAL.index("<pad>"), SPECIAL.index("<end>")
        return cls(learned.to_str(), context_length=context_length, pad_id=pad_id, end_id=end_id)

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids."""
        return self._tokenizer.get_vocab_size()

    def __call__(self, texts: Sequence[str], length: int | None = None) -> np.ndarray:
        """Ids [len(texts), n], int32, padded to `length`, or to the longest text without one.

        A text of more than `context_length` tokens is cut; its last token is still the end.

        Raises:
            ValueError: `texts` is one string, or `length` is beyond the context.
        """
        if isinstance(texts, str):
            raise ValueError(f"texts: expected a list of strings; got the string {texts!r}")
        if length is not None and length > self.context_length:
            raise ValueError(f"length: expected at most {self.context_length}; got {length}")
        limit = length or self.context_length
        rows = [self._cut(encoding.ids, limit) for encoding in self._tokenizer.encode_batch(texts)]
        width = length or max(map(len, rows), default=0)
        ids = np.full((len(rows), width), self.pad_id, np.int32)
        for row, tokens in zip(ids, rows, strict=True):
            row[: len(tokens)] = tokens
        return ids

    def _cut(self, tokens: list[int], limit: int) -> list[int]:
        return tokens if len(tokens) <= limit else [*tokens[: limit - 1], self.end_id]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of one row of ids, without start, end and padding."""
        return self._tokenizer.decode(list(map(int, ids)))

    def get_config(self) -> dict:
        return {
            "json": self.json,
            "context_length": self.context_length,
            "pad_id": self.pad_id,
            "end_id": self.end_id,
        }

    @classmethod
    def from_config(cls, config: dict) -> "Tokenizer":
        return cls(**config)
