"""Texts of a run: how long the rows of their tokens have to be."""

import dual_encoder
from dual_encoder import tokenizer

PROMPTS = [["a photo of a star"], ["a photo of a small red ring", "a ring"]]


def test_rows_are_as_long_as_the_longest_prompt_where_padding_makes_no_difference():
    model = dual_encoder.load("shapes-tiny")
    words = [text for several in PROMPTS for text in several]
    found = tokenizer.longest_row(model, PROMPTS)
    assert found == max(map(len, model.tokenizer.rows(words))) < model.context_length
    model.text_tower.causal = False
    assert tokenizer.longest_row(model, PROMPTS) is None
