"""`python -m pipelines inspect`: what it finds, what it writes, what it refuses."""

import csv
import dataclasses
import json
import shlex
import shutil

import keras
import pytest
from colours import Colours
from drawn_scans import Drawn, planted
from tiny_models import clip

import dual_encoder
import tfrecords
from pipelines.__main__ import main
from pipelines.inspection import run as inspection_run
from pipelines.inspection.options import Options
from pipelines.runs import runtime

pytestmark = pytest.mark.usefixtures("all_eagerly")


@pytest.fixture(scope="module")
def planted_records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect") / "records"
    tfrecords.write(Drawn(planted()), folder, workers=1, progress=False)
    return folder


def inspect(data, out, *more):
    return main(["inspect", "--data", str(data), "--out", str(out), *map(str, more)])


def rows(out):
    with open(out / "suspects.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_planted_fault_is_a_row_with_its_images_on_the_page(
    planted_records, tmp_path, capsys
):
    assert inspect(planted_records, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert [(row["kind"], row["file"], row["other_file"]) for row in rows(tmp_path / "out")] == [
        ("exact-duplicate", "train/copy.png", "test/0.png"),
        ("exact-duplicate", "train/twice.png", "train/3.png"),
        ("near-duplicate", "train/again.jpg", "test/1.png"),
        ("blank", "train/blank.png", ""),
        ("tiny", "train/tiny.png", ""),
        ("blurred", "train/soft.png", ""),
        ("odd-shape", "train/long.png", ""),
    ]
    found = json.loads((tmp_path / "out" / "inspection.json").read_text())
    assert found["across_splits"] == {"test in train": 2}
    assert found["suspects"]["exact-duplicate"] == 2 and found["suspects"]["wrong-label"] == 0
    assert "2 test images also stand in train" in said
    assert "look alike not checked: give --model" in said and "prepare ... --exclude" in said
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<img ") == 10 == page.count("data:image/jpeg;base64,")
    assert "train: train/again.jpg and test: test/1.png" in page
    (tmp_path / "out" / ".lock").touch()  # killed as it ended
    assert inspect(planted_records, tmp_path / "out") == 0
    assert "is finished already; nothing is left to do" in capsys.readouterr().out
    assert not (tmp_path / "out" / ".lock").exists()
    assert inspect(planted_records, tmp_path / "out", "--seed", 3) == 2  # nothing is overwritten
    assert "already holds inspection.json" in capsys.readouterr().err


def test_tensorflow_does_not_greet_where_there_is_no_model(planted_records, tmp_path, monkeypatch):
    class ImportedQuietly(Exception):
        pass

    def import_tensorflow():
        raise ImportedQuietly

    monkeypatch.setattr(runtime, "import_tensorflow", import_tensorflow)
    with pytest.raises(ImportedQuietly):
        inspection_run.run(Options(str(planted_records), str(tmp_path / "out")))


def test_prepare_leaves_out_what_the_table_names_and_says_so(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    lines = ["file,label,split"]
    for split, images in planted().items():
        for name, data, label in images:
            path = tmp_path / "photos" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            lines.append(f"{name},{label},{split}")
    (tmp_path / "photos" / "labels.csv").write_text("\n".join(lines) + "\n")
    prepare = ["prepare", "--labels", str(tmp_path / "photos" / "labels.csv"), "--workers", "1"]
    assert main([*prepare, "--out", str(tmp_path / "first")]) == 0
    assert inspect(tmp_path / "first", tmp_path / "out") == 0
    again = [*prepare, "--out", str(tmp_path / "second"), "--exclude"]
    assert main([*again, str(tmp_path / "out" / "suspects.csv")]) == 0
    assert "left out by suspects.csv: 7 of train" in capsys.readouterr().out
    manifest = tfrecords.Manifest.read(tmp_path / "second")
    assert {name: split.count for name, split in manifest.splits.items()} == {
        "train": 20,
        "test": 3,
    }
    assert inspect(tmp_path / "second", tmp_path / "clean") == 0
    assert rows(tmp_path / "clean") == []
    assert "no suspicious image" in capsys.readouterr().out


def test_with_a_model_labels_are_checked_and_features_are_kept(
    colours, tmp_path, capsys, in_graphs
):
    out = tmp_path / "out"
    assert inspect(colours / "records", out, "--model", colours / "clip.keras") == 0
    said = capsys.readouterr().out
    assert "not checked" not in said
    assert "labels checked of split train alone; not of test (--split)" in said
    assert any((out / "features").iterdir())
    found = json.loads((out / "inspection.json").read_text())
    assert found["images"] == {"train": 90, "test": 36} and found["suspects"]["wrong-label"]
    agrees = f"agrees with {100 * found['label_agreement']:.1f} % of all labels"
    assert f"Labels judged by a model that {agrees}" in said
    assert f"The model {agrees}" in (out / "report.html").read_text()
    assert f"prepare ... --exclude {shlex.quote(str(out / 'suspects.csv'))}" in said
    for row in rows(out):
        assert row["kind"] in ("wrong-label", "similar", "blank", "tiny")
        if row["kind"] == "wrong-label":
            assert row["split"] == "train" and ", looks like " in row["why"]


def test_what_cannot_be_looked_at_is_said(colours, tmp_path, capsys):
    model = colours / "clip.keras"
    one = {"train": [(f"{i}.png", data, 0) for i, (_, data, _) in enumerate(planted()["train"])]}
    tfrecords.write(Drawn(one), tmp_path / "one", workers=1, progress=False)
    assert inspect(tmp_path / "one", tmp_path / "a", "--model", model) == 0
    said = capsys.readouterr().out
    assert "duplicates across splits not checked: train is the only split" in said
    assert "labels not checked: split train has fewer than two classes" in said
    assert "Unbalanced classes: train: no image of dog" in said and "(1.0 to 1)" not in said
    none = {"train": [(name, data, None) for name, data, _ in one["train"]]}
    tfrecords.write(Drawn(none), tmp_path / "none", workers=1, progress=False)
    assert inspect(tmp_path / "none", tmp_path / "b", "--model", model) == 0
    said = capsys.readouterr().out
    assert "labels not checked: split train has none" in said
    assert "class balance not checked: the images have no labels" in said


def test_images_with_several_labels_keep_all_other_checks(colours, tmp_path, capsys):
    class Several(Drawn):
        multi_label = True

    images = {"train": [(name, data, (0, 1)) for name, data, _ in planted()["train"]]}
    tfrecords.write(Several(images), tmp_path / "several", workers=1, progress=False)
    model = colours / "clip.keras"
    assert inspect(tmp_path / "several", tmp_path / "out", "--model", model) == 0
    assert "labels not checked: images have several" in capsys.readouterr().out
    assert {"exact-duplicate", "blank"} <= {row["kind"] for row in rows(tmp_path / "out")}


def test_wrong_input_is_one_line(colours, tmp_path, capsys):
    def error(*given):
        assert inspect(*given) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    records, out = colours / "records", tmp_path / "out"
    assert "holds no records" in error(tmp_path, out)
    split = error(records, out, "--model", colours / "clip.keras", "--split", "dev")
    assert "no split 'dev'" in split
    keras.utils.set_random_seed(0)
    whole = clip()
    whole.build()
    words = dual_encoder.TextEncoder(whole.text_tower)
    words.build()
    words.save(tmp_path / "text.keras")
    line = error(records, out, "--model", tmp_path / "text.keras")
    assert "expected a model with an image tower" in line and "text.keras" in line
    assert "--folds: expected a number in [2, 20]" in error(records, out, "--folds", 1)
    assert "--folds goes with --model" in error(records, out, "--folds", 3)
    assert not out.exists()


def test_evaluate_says_what_also_stands_in_train_before_any_accuracy(colours, tmp_path, capsys):
    images = {
        split: [(raw.filename, raw.load(), raw.label % 2) for raw in Colours().read(split, 0, 12)]
        for split in ("train", "test")
    }
    images["train"].append(("again.png", images["test"][0][1], 0))
    tfrecords.write(Drawn(images), tmp_path / "records", workers=1, progress=False)
    words = ["evaluate", "--data", tmp_path / "records", "--model", colours / "clip.keras"]
    assert main([*map(str, words), "--bootstrap", "0", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    line = "1 of 12 test images also stand in train (1 byte for byte)"
    assert said.index(line) < said.index("Top-1")
    assert line in (tmp_path / "out" / "report.html").read_text()
    assert line in json.loads((tmp_path / "out" / "results.json").read_text())["health"][0]


def test_names_that_are_one_to_the_model_are_refused_before_the_first_image(
    colours, tmp_path, monkeypatch, capsys
):
    shutil.copytree(colours / "records", tmp_path / "records")
    manifest = tfrecords.Manifest.read(tmp_path / "records")
    first, _, *others = manifest.class_names
    same = (first, first.upper(), *others)
    dataclasses.replace(manifest, class_names=same).write(tmp_path / "records")
    monkeypatch.setattr(inspection_run, "scan", None)
    model = ("--model", colours / "clip.keras")
    assert inspect(tmp_path / "records", tmp_path / "out", *model) == 2
    assert f"{first!r} and {first.upper()!r} are the same tokens" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
