"""Images of two classes never come into one folder."""

import os

import pytest

from pipelines.prediction import answers, sorting


@pytest.mark.parametrize(
    ("names", "folder"),
    [(["a/b", "a:b"], "a_b"), (["cat", "unsure"], "unsure"), ([".x", "x"], "x")],
)
def test_classes_that_would_share_a_folder_are_refused(names, folder):
    with pytest.raises(ValueError, match=f"would be in one folder, {folder}"):
        sorting.check_names(names)
    sorting.check_names(["a/b", "a b", "x"])


def test_a_name_that_no_folder_can_have_is_refused_before_anything_is_predicted():
    sorting.check_names(["n" * 255])
    with pytest.raises(ValueError, match=r"at most 255 bytes.*; '🐈🐈.* has 256"):
        sorting.check_names(["🐈" * 64])


def test_a_name_that_is_not_utf8_is_found(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / name).write_bytes(b"x")
    answer = answers.Answer(f"{tmp_path}/caf\\xe9.jpg", ("cat",), (("cat", 1.0),))
    assert sorting.sort([answer], tmp_path / "sorted", link=False) == 1
    assert (tmp_path / "sorted" / "cat" / name).read_bytes() == b"x"
