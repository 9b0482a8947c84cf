"""The images of a table are found whatever system it was written on."""

import os
import unicodedata

import pytest

from tfrecords.sources.names_on_disk import on_disk

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café.jpg") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("there", "written", "meant"),
    [
        ("a/1.jpg", "a/1.jpg", "a/1.jpg"),
        ("a/1.jpg", "./a//1.jpg", "a/1.jpg"),
        ("a/1.jpg", "a\\1.jpg", "a/1.jpg"),
        ("a/1.jpg", "a/1", "a/1.jpg"),
        ("a/1.jpg", "a\\1", "a/1.jpg"),
        (COMPOSED, DECOMPOSED, COMPOSED),
        (DECOMPOSED, COMPOSED, DECOMPOSED),
        ("caf\udce9.jpg", "caf\\xe9.jpg", "caf\udce9.jpg"),
        ("a\\1.jpg", "a\\1.jpg", "a\\1.jpg"),  # a name may have it
        ("a/1.jpg", "2.jpg", "2.jpg"),
        ("a/1.jpg", "a/../a/1.jpg", "a/../a/1.jpg"),  # `a` may be a link
    ],
)
def test_the_file_that_is_meant(tmp_path, there, written, meant):
    path = os.path.join(tmp_path, there)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb"):
        assert on_disk(tmp_path, written) == meant
