"""The images of a table are found whatever system it was written on."""

import os
import unicodedata

import pytest

from tfrecords.sources.image_path_resolution import on_disk

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café.jpg") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("there", "written", "meant"),
    [
        ("a/1.jpg", "a/1.jpg", "a/1.jpg"),
        ("a/1.jpg", "./a//1.jpg", "a/1.jpg"),
        ("a/1.jpg", "a\\1.jpg", "a/1.jpg"),
        ("a/1.jpg", "a/1", "a/1.jpg"),
        ("a/1.jpg", "a\\1", "a/1.jpg"),
        ("a/1.JPG", "a/1.jpg", "a/1.JPG"),
        ("1.jpg", "1.JPG", "1.jpg"),
        ("1.WEBP", "1", "1.WEBP"),
        ("v1.5.png", "v1.5", "v1.5.png"),
        (COMPOSED, DECOMPOSED, COMPOSED),
        (DECOMPOSED, COMPOSED, DECOMPOSED),
        ("caf\udce9.jpg", "caf\\xe9.jpg", "caf\udce9.jpg"),
        ("a\\1.jpg", "a\\1.jpg", "a\\1.jpg"),  # a name may have it
        ("a/1.jpg", "2.jpg", "2.jpg"),
        ("a/1 b.jpg", "a/1%20b.jpg", "a/1 b.jpg"),
        ("a/1%20b.jpg", "a/1%20b.jpg", "a/1%20b.jpg"),
        ("a/1.jpg", "https://x.org/1.jpg", "https://x.org/1.jpg"),  # as written, for the message
        ("a/1.jpg", "a/../a/1.jpg", "a/../a/1.jpg"),  # `a` may be a link
    ],
)
def test_the_file_that_is_meant(tmp_path, there, written, meant):
    path = os.path.join(tmp_path, there)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb"):
        assert on_disk(tmp_path, written) == meant


def test_a_name_that_two_files_may_have_is_refused(tmp_path):
    for name in ("1.jpg", "1.png", "2.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"image 1 may be 1\.jpg or 1\.png"):
        on_disk(tmp_path, "1")
    os.link(tmp_path / "2.jpg", tmp_path / "2.JPG")  # as where case does not matter
    assert on_disk(tmp_path, "2") == "2.jpg"
