"""`prepare` as a user types it: what it prints, its exit status, and its one-line errors."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import tfrecords
from pipelines.prepare import Options, run
from tfrecords.manifest import Manifest


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            for i in range(4):
                buffer = io.BytesIO()
                Image.new("RGB", (20, 16), (9 * i, 90, 200)).save(buffer, "JPEG")
                path = tmp_path / "pets" / split / name / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(buffer.getvalue())
    return tmp_path / "pets"


def prepare(tmp_path, **options):
    return run(Options(out=str(tmp_path / "out"), workers=1, **options))


def test_prints_the_counts(folder, tmp_path, capsys):
    assert prepare(tmp_path, folder=str(folder), limit=5, short_side=8) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "split", "images", "rejected", "classes", "captions", "shards", "MB"
    ]  # fmt: skip
    assert lines[1].split()[:6] == ["train", "5", "0", "2", "-", "1"]
    assert lines[2].split()[:6] == ["test", "5", "0", "2", "-", "1"]
    assert len(lines) == 4  # and no class is without an image
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.options["short_side"] == 8
    assert manifest.source["limit"] == 5


def test_classes_without_an_image_in_a_split_are_named(folder, tmp_path, capsys):
    for path in sorted((folder / "train" / "dog").iterdir())[1:]:
        path.unlink()
    assert prepare(tmp_path, folder=str(folder / "train")) == 0
    assert "classes without an image in test: dog" in capsys.readouterr().out.splitlines()
    assert run(Options(dry_run=True, folder=str(folder / "train"))) == 0
    assert "classes without an image in test: dog" in capsys.readouterr().out.splitlines()


def test_validation_is_tested_on_where_there_is_no_other_split(folder, tmp_path, capsys):
    """As ImageNet has them: methods choose by images of train, and nobody would read it."""
    (folder / "test").rename(folder / "val")
    (folder / "val" / "dog" / "0.jpg").write_bytes(b"")
    for path in sorted((folder / "val" / "dog").iterdir())[1:]:
        path.unlink()
    said = "written as test, as there is no other split to measure on: validation"
    assert run(Options(dry_run=True, folder=str(folder))) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pets: 2 classes, 8 images in train, 5 images in test",
        "classes: cat, dog",
        said,
        "nothing was written",
    ]
    assert prepare(tmp_path, folder=str(folder), max_rejected=1) == 0
    assert capsys.readouterr().out.splitlines()[0] == said
    manifest = Manifest.read(tmp_path / "out")
    assert {name: split.count for name, split in manifest.splits.items()} == {"train": 8, "test": 4}
    assert run(Options(dry_run=True, folder=str(folder), validation_share=0.2)) == 0
    assert "6 images in train, 1 images in validation, 5 images in test" in capsys.readouterr().out


def test_some_of_train_are_tested_on_where_it_is_the_only_split(folder, tmp_path, capsys):
    """As many sets of Hugging Face's hub have it."""
    shutil.rmtree(folder / "test")
    only = {"dry_run": True, "folder": str(folder)}
    assert run(Options(**only, class_names=["A", "B"])) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pets: 2 classes, 6 images in train, 2 images in test",
        "classes: A, B",
        "train is the only split: 25 % of it test, by seed (--test-share; "
        "--all-as train keeps all)",
        "nothing was written",
    ]
    assert run(Options(**only, test_share=0.5)) == 0
    assert "4 images in train, 4 images in test" in capsys.readouterr().out
    assert run(Options(**only, all_as="train")) == 0
    assert "pets: 2 classes, 8 images in train\n" in capsys.readouterr().out
    for path in folder.rglob("[1-3].jpg"):
        path.unlink()
    with pytest.raises(ValueError, match=r"too few to split into train, test .*; --all-as train"):
        run(Options(**only))


def test_captions_are_validated_on(folder, tmp_path, capsys):
    """By them `train` stops early."""
    lines = ["file,caption,split"]
    for split, word in (("train", "train"), ("test", "val")):
        lines += [f"{split}/cat/{i}.jpg,cat {i},{word}" for i in range(4)]
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    table = str(tmp_path / "captions.csv")
    assert run(Options(dry_run=True, captions=table, images=str(folder))) == 0
    assert "4 images in train, 4 images in validation" in capsys.readouterr().out


def test_images_inside_of_parquet(folder, tmp_path, capsys):
    import pyarrow
    from pyarrow import parquet

    paths = [*sorted(folder.glob("train/*/*.jpg"))]
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
    columns = {"img": images, "kind": [path.parent.name for path in paths], "id": [*range(8)]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "pets.parquet")
    wanted = {"parquet": str(tmp_path / "pets.parquet"), "label_column": "kind"}
    assert prepare(tmp_path, **wanted, test_share=0.25) == 0
    assert capsys.readouterr().out.splitlines()[0] == "columns not read: id"
    manifest = Manifest.read(tmp_path / "out")
    assert (manifest.dataset, manifest.class_names) == ("pets", ("cat", "dog"))
    assert {name: split.count for name, split in manifest.splits.items()} == {"train": 6, "test": 2}


@pytest.mark.parametrize("ending", [".txt", ".csv"])
def test_numbers_in_a_table_get_their_names_from_a_file(folder, tmp_path, capsys, ending):
    rows = [
        f"train/{name}/{i}.jpg,{name == 'dog':.1f}" for name in ("cat", "dog") for i in range(4)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["file,label", *rows]))
    names = tmp_path / f"names{ending}"
    names.write_text("cat\nhot dog\n" if ending == ".txt" else "class,name\n1,hot dog\n0,cat\n")
    given = {"labels": str(tmp_path / "t.csv"), "images": str(folder)}
    assert prepare(tmp_path, **given, class_names=[str(names)]) == 0
    assert "numbers for names" not in capsys.readouterr().out
    renamed = {"dry_run": True, "class_names": ["caf\u00c3\u00a9", "nan"]}
    assert prepare(tmp_path / "dry", **given, **renamed) == 0
    said = capsys.readouterr().out
    assert "none: nan\n" in said and "in another encoding: caf" in said
    assert Manifest.read(tmp_path / "out").class_names == ("cat", "hot dog")
    said = {e.filename: e.class_name for e in tfrecords.examples(tmp_path / "out", "train")}
    assert {said[name] for name in said if "dog" in name} == {"hot dog"}
    names.write_text("cat\n" if ending == ".txt" else "class,name\n0,cat\n")
    with pytest.raises(ValueError, match=r"expected 2 lines|has no name for"):
        prepare(tmp_path / "other", **given, class_names=[str(names)])
    names.write_text("cat\nCat\n" if ending == ".txt" else "class,name\n1,Cat\n0,cat\n")
    with pytest.raises(ValueError, match="several classes mean the same name: cat and Cat"):
        prepare(tmp_path / "other", **given, class_names=[str(names)])


def test_captions_have_no_class_names(folder, tmp_path):
    rows = [f"train/cat/{i}.jpg,a cat" for i in range(4)]
    (tmp_path / "captions_train.csv").write_text("\n".join(["file,caption", *rows]))
    given = {"captions": str(tmp_path / "captions_train.csv"), "images": str(folder)}
    with pytest.raises(ValueError, match="--class-names goes with labels; captions_train has"):
        prepare(tmp_path, **given, class_names=["names.txt"])


def test_a_dry_run_says_what_would_be_read_and_writes_nothing(folder, tmp_path, capsys):
    (folder / "stray.jpg").write_bytes((folder / "train" / "cat" / "0.jpg").read_bytes())
    assert run(Options(dry_run=True, folder=str(folder))) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pets: 2 classes, 8 images in train, 8 images in test",
        "classes: cat, dog",
        "passed over: 1 image (stray.jpg) beside the folders",
        "nothing was written",
    ]
    assert list(tmp_path.iterdir()) == [folder]
    with pytest.raises(ValueError, match="--out: expected a folder to write to"):
        run(Options(folder=str(folder)))


def test_names_and_captions_that_are_no_text_stop_nothing_else(folder, tmp_path, capsys):
    image = (folder / "train" / "cat" / "0.jpg").read_bytes()
    odd = os.path.join(os.fsencode(folder), b"train", b"cat", b"caf\xe9.jpg")
    Path(os.fsdecode(odd)).write_bytes(image)
    assert prepare(tmp_path, folder=str(folder)) == 0
    names = [example.filename for example in tfrecords.examples(tmp_path / "out", "train")]
    assert len(names) == 9 and r"train/cat/caf\xe9.jpg" in names
    assert prepare(tmp_path / "undivided", folder=str(folder / "train")) == 0
    records = tmp_path / "undivided" / "out"
    divided = [tfrecords.examples(records, split) for split in ("train", "test")]
    assert r"cat/caf\xe9.jpg" in [example.filename for each in divided for example in each]
    half = [{"file": "cat/0.jpg", "caption": "half \ud83d"}, {"file": "cat/1.jpg", "caption": "a"}]
    (folder / "captions_train.json").write_text(json.dumps(half))
    with pytest.raises(RuntimeError, match="1 images rejected"):
        run(
            Options(
                out=str(tmp_path / "captioned"),
                captions=str(folder / "captions_train.json"),
                images=str(folder / "train"),
                workers=1,
            )
        )
    rejected = (tmp_path / "captioned" / "rejected.csv").read_text()
    assert r"cat/0.jpg,a caption has half a character in it: 'half \\ud83d'" in rejected


def test_too_many_rejected_images_fail_after_all_is_written(folder, tmp_path, capsys):
    (folder / "train" / "cat" / "0.jpg").write_bytes(b"")
    message = "1 images rejected, more than --max-rejected 0; the records of all others"
    with pytest.raises(RuntimeError, match=message):
        prepare(tmp_path, folder=str(folder))
    assert "rejected.csv" in capsys.readouterr().out
    assert Manifest.read(tmp_path / "out").splits["train"].count == 7


def test_a_few_rejected_images_can_be_allowed(folder, tmp_path):
    (folder / "train" / "cat" / "0.jpg").write_bytes(b"")
    assert prepare(tmp_path, folder=str(folder), max_rejected=1) == 0


def test_what_another_package_reads_is_left_out_and_said(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
    for name in ("IMG_1.HEIC", "IMG_2.HEIC"):
        (folder / "train" / "cat" / name).write_bytes(heic)
    assert prepare(tmp_path, folder=str(folder)) == 0
    said = capsys.readouterr().out
    assert "rejected: 2 (a HEIC image, which needs pillow-heif: pip install" in said


def test_labels_from_a_table_with_class_columns(folder, tmp_path, capsys):
    table = folder / "table.csv"
    rows = [f"train/{name}/{i},text,{i % 2},1,0" for name in ("cat", "dog") for i in range(4)]
    table.write_text("\n".join(["Id,notes,odd,pet,car", *rows, "test/cat/0,text,0,0,1"]))
    message = r"table\.csv, line 2: class column 'notes': expected 0 or 1, got 'text'"
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path, labels=str(table))
    assert not (tmp_path / "out").exists()
    train, test = table.read_text().replace("Id,", "Id,split,").rsplit(",text", 1)
    table.write_text(f"{train.replace(',text', ',train,text')},test,text{test}")
    assert prepare(tmp_path, labels=str(table), ignore_columns=["notes"]) == 0
    said, _, row, *_ = capsys.readouterr().out.splitlines()
    assert said.startswith("images that the table does not name: ")
    assert row.split()[:6] == ["train", "8", "0", "2", "-", "1"]
    manifest = Manifest.read(tmp_path / "out")
    assert (manifest.schema, manifest.multi_label, manifest.metric) == (2, True, "map")
    assert manifest.class_names == ("odd", "pet", "car")
    assert manifest.splits["train"].class_counts == (4, 8, 0)
    assert manifest.splits["test"].class_counts == (0, 0, 1)


def test_shapes(tmp_path):
    assert prepare(tmp_path, dataset="shapes", limit=3, seed=2) == 0
    manifest = Manifest.read(tmp_path / "out")
    assert list(manifest.splits) == ["train", "validation", "test"]
    assert manifest.splits["train"].captions and manifest.splits["test"].labels
    assert len(manifest.class_names) == 100 and manifest.source["seed"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            "--labels, --captions, --webdataset, --parquet; got none",
        ),
        ({"dataset": "shapes", "folder": "x"}, "got --dataset and --folder"),
        ({"dataset": "food-101"}, "did you mean food101"),
        ({"folder": "x", "data_dir": "y"}, "--data-dir goes with --dataset, not with --folder"),
        ({"dataset": "shapes", "images": "y"}, "--images goes with --labels or --captions"),
        ({"folder": "x", "multi_label": True}, "--multi-label goes with --labels, not"),
        ({"captions": "x", "ignore_columns": ["y"]}, "--ignore-columns goes with --labels"),
        ({"folder": "x", "download": True}, "--download goes with --dataset"),
        ({"dataset": "shapes", "max_rejected": -1}, "max_rejected: expected 0 or more"),
        ({"dataset": "shapes", "seed": -1}, "seed: expected 0 or more, got -1"),
        ({"dataset": "shapes", "limit": 0}, "limit: expected at least 1"),
    ],
)
def test_wrong_options(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path, **options)
    assert not (tmp_path / "out").exists()


def command_line(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "pipelines", "prepare", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


def test_command_line_writes_and_never_overwrites(folder, tmp_path):
    arguments = ["--folder", folder, "--out", tmp_path / "out", "--shard-size", 3]
    first = command_line(*arguments)
    assert first.returncode == 0 and "train" in first.stdout
    assert first.stderr == ""  # no bar where it is not a terminal
    assert command_line(*arguments).returncode == 0  # nothing is left to do
    again = command_line(*arguments[:-1], 4)
    assert again.returncode == 2
    assert again.stderr.startswith("error: ") and len(again.stderr.splitlines()) == 1
    assert "finished records" in again.stderr


def test_command_line_status_of_rejected_images(folder, tmp_path):
    (folder / "test" / "dog" / "3.jpg").write_bytes(b"GIF89a")
    result = command_line("--folder", folder, "--out", tmp_path / "out", "--workers", 1)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: 1 images rejected")
