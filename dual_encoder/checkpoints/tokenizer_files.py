"""`tokenizers.read` under the name that it had in version 0.1."""

from dual_encoder.checkpoints.tokenizers.read import read_tokenizer as read_tokenizer
