"""JSON documents are checked against tables: what does not fit is named, in one line."""

import os
import re

import pytest

from duet import json_validation
from duet.json_validation import COUNT, FILE_NAME, NO_OTHERS, NUMBER, one_of, up_to

TABLE = {
    "schema": one_of(1, 2),
    "size": up_to(100),
    "shards": [{"name": FILE_NAME, "count": COUNT, "*": NO_OTHERS}],
    "share?": (None, NUMBER),
    "by_name?": {"*": str},
}

GOOD = '{"schema": 1, "size": 100, "shards": [{"name": "a b", "count": 0}]'

REFUSED = {
    "[1]": "expected an object; got a list",
    "{": "not readable as JSON (",
    "{}": "schema is missing",
    GOOD.replace("1,", "true,") + "}": "schema: expected 1 or 2; got True",
    GOOD.replace("1,", "3,") + "}": "schema: expected 1 or 2; got 3",
    GOOD.replace("100", "101") + "}": "size: expected a whole number from 1 to 100; got 101",
    GOOD.replace("100", "1.5") + "}": "size: expected a whole number from 1 to 100; got 1.5",
    GOOD.replace("a b", "../a") + "}": "shards[0].name: expected the name of a file beside it; got",
    GOOD.replace("a b", "..") + "}": "shards[0].name: expected the name of a file beside it; got",
    GOOD.replace("a b", "\\ud83d") + "}": "shards[0].name: expected the name of a file beside it",
    GOOD.replace('"count": 0', '"count": 0, "x": 1') + "}": "shards[0]: 'x' is not known here",
    GOOD.replace('"count": 0', '"count": -1') + "}": "shards[0].count: expected a whole number",
    GOOD + ', "share": NaN}': "share: expected null or a number; got nan",
    GOOD + f', "share": {"9" * 400}}}': "share: expected null or a number; got 999",
    GOOD + ', "by_name": {"a": 1}}': "by_name.a: expected a text; got 1",
    GOOD + ', "by_name": []}': "by_name: expected an object; got []",
    GOOD + f', "x": {"[" * 150}{"]" * 150}}}': "nested too deep",
    GOOD + f', "x": {"[" * 200_000}{"]" * 200_000}}}': "nested too deep",
}


@pytest.mark.parametrize("text", REFUSED, ids=list(REFUSED.values()))
def test_what_does_not_fit_is_named(text):
    with pytest.raises(ValueError, match=re.escape(REFUSED[text])) as raised:
        json_validation.parse(text, TABLE, name="x.json", hint="make it again")
    message = str(raised.value)
    assert message.startswith("x.json: ") and message.endswith("; make it again")
    assert len(message) < 300 and "\n" not in message


def test_keys_of_no_row_are_passed():
    assert (
        json_validation.parse(GOOD + ', "more": [], "share": null}', TABLE, name="x")["more"] == []
    )


def test_a_text_in_another_encoding_is_named():
    with pytest.raises(ValueError, match="x: not a text in UTF-8"):
        json_validation.parse(b'{"a": "\xe9"}', name="x")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "index.json")
    with pytest.raises(OSError, match="no file, but a pipe"):
        json_validation.read(tmp_path / "index.json")
