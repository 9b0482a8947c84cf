"""Texts and token ids that a tower takes; others are refused in a line, not inside a graph."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import TEXTS, clip

from dual_encoder.shortest_token_rows import as_token_ids

MODEL = clip()
WRONG = {
    "a table of texts": (np.array([TEXTS]), r"a list of texts, or token ids.*; got str.* \[1, 3\]"),
    "bytes": ([b"a cat"], r"got bytes.* \[1\]"),
    "a tensor of texts": (tf.constant(TEXTS), r"got string \[3\]"),
    "numbers": (tf.constant([[1.0, 2.0]]), r"got float32 \[1, 2\]"),
    "nothing": (None, r"got object \[\]"),
    "no text": ([], "expected one or more; got none"),
    "rows of two lengths": ([[1, 2], [1]], "expected rows of token ids of one length; got several"),
    "an unknown id": (tf.constant([[10**6]]), "expected token ids 0 to [0-9]+, .*; got 1000000"),
    "too long": (np.ones((1, 13), int), "expected at most 12 tokens per text; got 13"),
}


@pytest.mark.parametrize("texts, message", WRONG.values(), ids=WRONG)
def test_what_is_neither_text_nor_ids_is_refused(texts, message):
    with pytest.raises(ValueError, match=message) as error:
        as_token_ids(texts, MODEL.tokenizer, MODEL.text_tower)
    assert "\n" not in str(error.value)


def test_one_row_is_a_batch_and_one_text_too():
    row = MODEL.tokenizer(TEXTS[:1])
    for texts in (row[0], row.tolist(), TEXTS[0], TEXTS[:1], np.array(TEXTS[:1])):
        found = as_token_ids(texts, MODEL.tokenizer, MODEL.text_tower)
        np.testing.assert_array_equal(found, row)
