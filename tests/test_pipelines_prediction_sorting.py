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


@pytest.mark.parametrize("link", [False, True])
def test_however_many_share_a_name_each_file_is_looked_at_once(tmp_path, monkeypatch, link):
    looked, mark = [], sorting._mark
    monkeypatch.setattr(
        sorting, "_mark", lambda path, link: looked.append(path) or mark(path, link=link)
    )
    found = []
    for i in range(6):
        file = tmp_path / str(i) / "a.jpg"
        file.parent.mkdir()
        file.write_bytes(b"same" if i in (1, 4) else b"%d" % i)
        found.append(answers.Answer(str(file), ("cat",), (("cat", 1.0),)))
    folder = tmp_path / "sorted"
    assert sorting.sort(found[:4], folder, link=link) == 4
    assert len(looked) == 4
    made = sorted(path.name for path in (folder / "cat").iterdir())
    assert made == ["a (2).jpg", "a (3).jpg", "a (4).jpg", "a.jpg"]
    looked.clear()
    assert sorting.sort(found, folder, link=link) == 6  # an earlier try made four of them
    assert len(looked) == len(set(looked)) == 10
    kept = {path.name: path.read_bytes() for path in (folder / "cat").iterdir()}
    assert len(kept) == (6 if link else 5)  # of equal bytes one copy is enough
    assert kept["a (3).jpg"] == b"2" and kept["a (5).jpg"] == (b"same" if link else b"5")
