"""The images of a table are found whatever system it was written on."""

import os
import unicodedata

import pytest

from tfrecords.sources.image_path_resolution import elsewhere, on_disk

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


@pytest.mark.parametrize(
    "begin", ["/home/al/data/", "C:\\Users\\al\\", "https://x.org/set/", "photos/", "../old/"]
)
def test_what_names_of_another_computer_begin_with_is_left_out(tmp_path, begin):
    for folder in ("cat", "dog"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").touch()
    written = [begin + name for name in ("cat/1.jpg", "dog\\1.jpg", "dog/1.JPG")]
    found, _ = elsewhere(tmp_path, written)
    assert list(found.values()) == ["cat/1.jpg", "dog/1.jpg", "dog/1.JPG"]
    for other in ("elsewhere/cat/1.jpg", begin + "cat/2.jpg"):  # begins otherwise, is not there
        assert elsewhere(tmp_path, [*written, other]) == ({}, [])
    assert elsewhere(tmp_path, ["cat/1.jpg", *written]) == ({}, [])


def test_images_in_folders_below_are_found_by_their_names(tmp_path):
    """As HAM10000 and ChestX-ray14 have them, in parts of an archive."""
    for name in ("part 1/1.jpg", "part 1/2.jpg", "part 2/images/3.jpg", "part 2/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, (note,) = elsewhere(tmp_path, ["2", "3.jpg", "1.png"])
    assert found == {"2": "part 1/2.jpg", "3.jpg": "part 2/images/3.jpg", "1.png": "part 2/1.png"}
    assert note == "images are found by their names in folders: part 1, part 2, part 2/images"
    assert elsewhere(tmp_path, ["2", "1"]) == ({}, [])  # there are two called so
    assert elsewhere(tmp_path, ["2", "4"]) == ({}, [])


def test_a_name_that_two_files_may_have_is_refused(tmp_path):
    for name in ("1.jpg", "1.png", "2.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"image 1 may be 1\.jpg or 1\.png"):
        on_disk(tmp_path, "1")
    os.link(tmp_path / "2.jpg", tmp_path / "2.JPG")  # as where case does not matter
    assert on_disk(tmp_path, "2") == "2.jpg"
