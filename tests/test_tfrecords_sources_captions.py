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
    assert source.notes == (
        "passed over: empty captions of 1 image (8.jpg)",
        "images left out, without a caption or a split: 2 (8.jpg, 9.jpg)",
    )


def test_captions_that_vizwiz_rejects_are_left_out_and_counted(folder):
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(10)]
    said = [
        {"image_id": i, "caption": f"number {k}", "is_rejected": i == 9 or (i, k) == (3, 0)}
        for i in range(10)
        for k in range(2)
    ]
    (folder / "c.json").write_text(json.dumps({"images": images, "annotations": said}))
    source = sources.captions(folder / "c.json", seed=0)
    found = {file.name: file.captions for files in source.files.values() for file in files}
    assert len(found) == 9 and found["3.jpg"] == ("number 1",)
    assert source.notes == (
        "passed over: captions that are marked is_rejected: 3",
        "images left out, without a caption or a split: 1 (9.jpg)",
    )


@pytest.mark.parametrize("name", ["c.csv", "c.tsv"])
def test_captions_may_be_numbered_behind_the_image_under_a_header_too(folder, name):
    between = "\t" if name.endswith("tsv") else ","
    rows = [f"{i}.jpg#{k}{between}number {k}" for i in range(10) for k in range(2)]
    (folder / name).write_text("\n".join([f"image{between}caption", *rows]))
    source = sources.captions(folder / name, seed=0)
    found = {file.name: file.captions for files in source.files.values() for file in files}
    assert found["7.jpg"] == ("number 0", "number 1") and len(found) == 10


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.csv", "file,caption\n0.jpg,\n1.jpg,  \n2.jpg,[]\n2.jpg,a dog\n{rest}"),
        ("c.jsonl", '{"file": "0.jpg", "caption": null}\n{"file": "1.jpg", "caption": []}\n'
                    '{"file": "2.jpg", "caption": ["", "a dog"]}\n{rest}'),
        ("c.json", '{"0.jpg": "", "1.jpg": null, "2.jpg": [null, "a dog"], {rest}}'),
    ],
)  # fmt: skip
def test_empty_captions_are_passed_over_in_every_kind_of_table(folder, name, text):
    row = {
        "c.csv": "{}.jpg,a dog\n",
        "c.jsonl": '{{"file": "{}.jpg", "caption": "a dog"}}\n',
        "c.json": '"{}.jpg": "a dog", ',
    }[name]
    rest = "".join(row.format(i) for i in range(3, 10)).rstrip(", ")
    (folder / name).write_text(text.replace("{rest}", rest))
    source = sources.captions(folder / name, seed=0)
    assert source.notes[0] == "passed over: empty captions of 3 images (0.jpg, 1.jpg, 2.jpg)"
    assert sum(source.splits.values()) == 8
    assert {f.captions for group in source.files.values() for f in group} == {("a dog",)}


def test_tables_of_a_folder_whose_ending_is_in_capitals_or_unknown(folder):
    for name, numbers in (("captions_train.csv", range(6)), ("captions_test.CSV", range(6, 10))):
        rows = "".join(f"{i}.jpg,a dog\n" for i in numbers)
        (folder / name).write_text(f"file,caption\n{rows}")
    (folder / "captions_val.csv.gz").write_bytes(b"\x1f\x8b")
    source = sources.captions(folder, seed=0)
    assert source.splits == {"train": 6, "test": 4}
    assert source.notes == ("passed over: files that are no tables: captions_val.csv.gz",)


def test_a_split_of_some_rows_is_not_filled_from_the_name_of_the_file(folder):
    rows = "".join(f"{i}.jpg,a dog,{'test' if i < 4 else ''}\n" for i in range(10))
    (folder / "captions_train.csv").write_text(f"file,caption,split\n{rows}")
    with pytest.raises(ValueError, match="a split is named for 4 images and for 6 not"):
        sources.captions(folder / "captions_train.csv", seed=0)


def test_metadata_in_a_folder_and_in_its_folders_of_splits(folder):
    """As Hugging Face's imagefolder reads them; a split of which none says anything is said."""
    for split in ("train", "test", "val"):
        (folder / split).mkdir()
        for i in range(4):
            (folder / split / f"{i}.jpg").write_bytes(b"\xff\xd8\xff")
    rows = "".join(f"train/{i}.jpg,a {'dog' if i % 2 else 'cat'}\n" for i in range(4))
    (folder / "metadata.csv").write_text(f"file_name,text\n{rows}")
    (folder / "test/metadata.csv").write_text(f"file_name,text\n{rows.replace('train/', '')}")
    captioned = sources.captions(folder, seed=0)
    labelled = sources.labels(folder, seed=0, label_column="text")
    assert captioned.splits == labelled.splits == {"train": 4, "test": 4}
    for source in (captioned, labelled):
        (note,) = (note for note in source.notes if "split folders" in note)
        assert note.endswith(": val")


def test_a_folder_without_captions_is_answered_with_what_is_read(folder):
    """Roboflow's tables are of labels."""
    with pytest.raises(
        FileNotFoundError, match=r"captions_\*\.csv, metadata\.csv or metadata\.jsonl$"
    ):
        sources.captions(folder, seed=0)
    (folder / "_classes.csv").write_text("filename, cat, dog\n")
    with pytest.raises(FileNotFoundError, match=r"jsonl; --labels reads .*_classes\.csv"):
        sources.captions(folder, seed=0)


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
    with pytest.raises(ValueError, match=r"c\.json: a split is named for 9 images"):
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
    assert notes == ("images with a caption that says nan or none: 1 (3.jpg)",)


def test_labels_given_as_captions_are_asked_about(folder):
    rows = "".join(f"{i}.jpg,{'dog' if i % 2 else 'cat'}\n" for i in range(10))
    (folder / "c.csv").write_text(f"file,caption\n{rows}")
    notes = sources.captions(folder / "c.csv", seed=0).notes
    assert notes == ("every caption is one word; are they labels?",)
