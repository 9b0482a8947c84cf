"""Captioned images that are left out are counted, and none is in two splits."""

import json
import shlex
import subprocess

import pytest

from tfrecords import sources


@pytest.fixture
def folder(tmp_path):
    for i in range(10):
        (tmp_path / f"{i}.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path


def test_images_without_a_caption_are_counted(folder):
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(10)]
    said = [{"image_id": i, "caption": "" if i == 8 else "a dog"} for i in range(9)]
    (folder / "c.json").write_text(json.dumps({"images": images, "annotations": said}))
    source = sources.captions(folder / "c.json", seed=0)
    assert sum(source.splits.values()) == 8
    assert source.notes == ("images left out, without a caption or a split: 2 (8.jpg, 9.jpg)",)


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("salt &amp; pepper", "images with HTML in a caption: 10"),
        ("a<br>dog", "images with HTML in a caption: 10"),
        (
            "un caf\u00c3\u00a9",
            "images with a caption that was UTF-8, read in another encoding: 10",
        ),
        ("a & b < c > d, un caf\u00e9", None),
    ],
)
def test_captions_that_nobody_wrote_so_are_counted(folder, said, note):
    (folder / "c.csv").write_text(
        "file\tcaption\n" + "".join(f"{i}.jpg\t{said}\n" for i in range(10))
    )
    notes = sources.captions(folder / "c.csv", seed=0).notes
    assert notes[0].startswith(note) if note else not notes


def test_texts_beside_images_are_read_by_the_commands_that_the_error_names(folder, monkeypatch):
    for i in range(10):
        (folder / f"{i}.txt").write_text(f"dog {i}")
    with pytest.raises(FileNotFoundError, match="texts beside their images are read") as error:
        sources.captions(folder, seed=0)
    monkeypatch.chdir(folder.parent)
    command, _, pattern = (
        str(error.value).rpartition("tar file: ")[2].partition(" and --webdataset ")
    )
    subprocess.run(shlex.split(command), check=True)
    source = sources.webdataset(pattern, seed=0)
    assert sum(source.splits.values()) == 10
    assert {c for group in source.files.values() for f in group for c in f.captions} == {
        f"dog {i}" for i in range(10)
    }


def test_splits_that_images_of_coco_say_are_theirs(folder):
    images = [
        {"id": i, "file_name": f"{i}.jpg", "split": "train" if i < 7 else "val"} for i in range(10)
    ]
    said = [{"image_id": i, "caption": "a dog"} for i in range(10)]
    (folder / "c.json").write_text(json.dumps({"images": images, "annotations": said}))
    assert sources.captions(folder / "c.json", seed=0).splits == {"train": 7, "validation": 3}
    del images[2]["split"]
    (folder / "c.json").write_text(json.dumps({"images": images, "annotations": said}))
    with pytest.raises(ValueError, match="some images name a split and others do not"):
        sources.captions(folder / "c.json", seed=0)


def test_names_that_another_computer_wrote_are_found_and_said(folder):
    rows = "".join(f"D:\\photos\\{i}.jpg\ta dog\n" for i in range(10))
    (folder / "c.csv").write_text(f"filepath\ttitle\n{rows}")
    source = sources.captions(folder / "c.csv", seed=0)
    assert source.notes == ("images' names are read without D:/photos/, which is not here",)
    assert {f.name for group in source.files.values() for f in group} == {
        f"{i}.jpg" for i in range(10)
    }


def test_an_image_in_two_files_of_other_splits_is_refused(folder):
    for split, numbers in (("train", range(6)), ("val", range(5, 10))):
        rows = "".join(f"{i}.jpg,a dog\n" for i in numbers)
        (folder / f"captions_{split}.csv").write_text(f"file,caption\n{rows}")
    with pytest.raises(ValueError, match=r"5\.jpg is in two splits: train and validation"):
        sources.captions(folder, seed=0)


def test_a_list_that_cannot_be_read_is_no_caption(folder):
    cell = "['a dog' 'a cat']"  # NumPy's
    rows = "".join(f'{i}.jpg,"{cell}"\n' for i in range(10))
    (folder / "c.csv").write_text(f"file,captions\n{rows}")
    with pytest.raises(ValueError, match="line 2: expected a text, or a list of texts"):
        sources.captions(folder / "c.csv", seed=0)
    (folder / "c.csv").write_text(f"file,captions\n{rows.replace(cell, '[untitled]')}")
    assert sum(sources.captions(folder / "c.csv", seed=0).splits.values()) == 10


def test_captions_that_say_nan_are_counted(folder):
    rows = "".join(f"{i}.jpg,{'nan' if i == 3 else 'a dog'}\n" for i in range(10))
    (folder / "c.csv").write_text(f"file,caption\n{rows}")
    notes = sources.captions(folder / "c.csv", seed=0).notes
    assert notes == ("images with a caption that says nan: 1 (3.jpg)",)
