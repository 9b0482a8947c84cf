"""Versions of one image in different splits are said; numbered photographs are none."""

import pytest

from tfrecords import sources
from tfrecords.sources.base import File
from tfrecords.sources.copies_across_splits import versions

HASHES = ("a" * 20, "b" * 20)


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        ("a/1", "a/1_flip", True),
        ("a/1", "a/1-aug-2_crop", True),
        ("a/shot 1", "a/rotated_by_15_shot 1", True),
        ("a/shot 1", "a/vertical_flip_shot 1", True),
        ("a/car_mirror_1", "a/car_mirror_2", False),  # words that are no changes
        ("a/cropland_1", "a/cropland_2", False),
        ("a/1", "a/1 (2)", True),
        ("a/1", "a/1 copy", True),
        ("a/clip_frame12", "a/clip_frame13", True),
        (f"a/1_jpg.rf.{HASHES[0]}", f"a/1_jpg.rf.{HASHES[1]}", True),
        ("a/1 (1)", "a/1 (2)", False),  # as Windows numbers photographs
        ("a/1_flip", "b/1", False),
        ("a/IMG_0001", "a/IMG_0002", False),
        ("a/frame1", "a/frame2", True),
    ],
)
def test_versions_of_one_image_in_two_splits(train, test, said):
    notes = versions({"train": [File(f"{train}.jpg", 0)], "test": [File(f"{test}.jpg", 0)]})
    known = f"by their names: 1 ({test}.jpg of {train}.jpg); what is measured on them is too high"
    assert [note.partition(", ")[2] for note in notes] == [known] * said
    assert not versions({"train": [File(f"{train}.jpg", 0), File(f"{test}.jpg", 0)]})


@pytest.mark.parametrize("read", ["class_folder", "labels", "captions"])
def test_every_source_of_files_says_them(tmp_path, read):
    names = [f"{c}/{i}{end}.jpg" for c in "ab" for i in range(10) for end in ("", "_flip")]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    header = "file,caption" if read == "captions" else "file,label"
    rows = "".join(f"{name},{name[0]}\n" for name in names)
    (tmp_path / "t.csv").write_text(f"{header}\n{rows}")
    path = tmp_path if read == "class_folder" else tmp_path / "t.csv"
    notes = getattr(sources, read)(path, seed=0).notes
    assert any(note.startswith("images of which another split has a version") for note in notes)
