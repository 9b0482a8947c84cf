"""`python -m pipelines predict`: what any result says of images that nobody has labelled."""

import contextlib
import csv
import io
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

import classifiers
import dual_encoder
import tfrecords
from pipelines import prediction
from pipelines.__main__ import main
from pipelines.deployment.export import drawn_image
from pipelines.prediction import (
    answers,
    contact_sheet,
    images,
    journal,
    load_predictor,
    model_of_run_folder,
    predict_batches,
    run,
    sorting,
)
from pipelines.prediction.answers import Answer, answer, from_json, to_json
from pipelines.prediction.model_of_run_folder import Source
from pipelines.prediction.options import Options
from tfrecords.sources.shapes.source import ShapesSource

pytestmark = pytest.mark.usefixtures("all_eagerly")

NAMES = ["red star", "blue ring", "ein größeres Dreieck"]
FILES = 7


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with `photos` (seven images, one that is none, a note) and tiny models."""
    home = tmp_path_factory.mktemp("predict")
    (home / "photos" / "more").mkdir(parents=True)
    for seed in range(FILES):
        folder = home / "photos" / ("more" if seed > 3 else "")
        (folder / f"{seed}.png").write_bytes(drawn_image(seed))
    (home / "photos" / "broken.jpg").write_bytes(b"no image")
    (home / "photos" / "notes.txt").write_text("a note")
    keras.utils.set_random_seed(1)
    words = dual_encoder.Tokenizer.learn(NAMES, context_length=16)
    own = {"width": 16, "depth": 1, "heads": 2}
    image = dual_encoder.VisionTransformer(32, 8, resize="squash", **own)
    text = dual_encoder.TextTransformer(words.vocabulary_size, 16, end_id=words.end_id, **own)
    model = dual_encoder.DualEncoder(image, text, embed_dim=8, tokenizer=words)
    model.build()
    model.save(home / "dual.keras")
    classifiers.from_model(model, classes=NAMES).save(home / "classifier.keras")
    several = classifiers.from_model(model, classes=NAMES, multi_label=True)
    several.save(home / "several.keras")
    return home


def predict(home, out, *more, model="classifier.keras", photos="photos"):
    words = ["predict", "--model", home / model, "--images", home / photos, "--out", out, *more]
    return main([str(word) for word in words])


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def expected(home, model="classifier.keras", *, several=False):
    """File to probabilities [c], by the Keras model on the pixels of evaluation."""
    classifier = keras.saving.load_model(home / model)
    paths = sorted((home / "photos").rglob("*.png"))
    pixels = np.stack([tfrecords.read_image(path, **classifier.preprocessing) for path in paths])
    logits = classifier(pixels, training=False)
    found = np.asarray(keras.ops.sigmoid(logits) if several else keras.ops.softmax(logits))
    return {str(path): row for path, row in zip(paths, found, strict=True)}


def assert_table(found, wanted, names=NAMES):
    """Every file once, its classes likeliest first with the right probabilities."""
    assert sorted(row["file"] for row in found) == sorted(wanted)
    for row in found:
        right = wanted[row["file"]]
        order = np.argsort(-right)
        assert [row[f"class_{i + 1}"] for i in range(3)] == [names[i] for i in order]
        said = [float(row[f"probability_{i + 1}"]) for i in range(3)]
        np.testing.assert_allclose(said, right[order], atol=1e-5)
        assert row["label"] == row["class_1"]


def test_a_table_of_every_image_and_of_what_cannot_be_read(home, tmp_path, capsys):
    assert predict(home, tmp_path / "p.csv", "--batch-size", 3) == 0
    output = capsys.readouterr().out
    assert_table(rows(tmp_path / "p.csv"), expected(home))
    (bad,) = rows(tmp_path / "p.unreadable.csv")
    assert bad["file"] == str(home / "photos" / "broken.jpg") and "not an image" in bad["reason"]
    assert "7 images: " in output and "files that cannot be read: 1; " in output
    assert "passed over: files that are no images (.txt): 1\n" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "p.unreadable.csv"]


def test_exports_say_the_same_without_the_keras_model(home, tmp_path):
    for format in ("saved-model", "litert"):
        given = [
            "--model",
            home / "classifier.keras",
            "--format",
            format,
            "--out",
            tmp_path / format,
        ]
        assert main(["export", *map(str, given)]) == 0
        made = tmp_path / f"{format}.csv"
        assert predict(tmp_path, made, model=format, photos=home / "photos") == 0
        assert_table(rows(made), expected(home))
    assert predict(tmp_path, tmp_path / "x.csv", "--class-names", "a", "b", model="litert") == 2


def test_names_make_a_dual_encoder_a_classifier(home, tmp_path, in_graphs):
    given = ("--class-names", *NAMES, "--templates", "a {}", "--top-k", 1)
    assert predict(home, tmp_path / "p.jsonl", *given, model="dual.keras") == 0
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    model = dual_encoder.load(home / "dual.keras")
    classifier = dual_encoder.ZeroShotClassifier.from_names(model, NAMES, ["a {}"])
    said = prediction.predict_images(classifier, [line["file"] for line in lines])
    for line, each in zip(lines, said, strict=True):
        ((name, value),) = [(one["class"], one["probability"]) for one in line["classes"]]
        assert line["label"] == name == each.classes[0][0] and len(each.classes) == 3
        assert value == pytest.approx(each.confidence, abs=1e-5)


def test_classifiers_name_images_by_themselves(home):
    wanted, paths = expected(home), sorted((home / "photos").rglob("*.png"))
    classifier = keras.saving.load_model(home / "classifier.keras")
    found = classifier.predict_images([*paths[:2], Image.open(paths[2])], top_k=2, batch_size=2)
    assert [len(each) for each in found] == [2, 2, 2]
    for path, each in zip(paths, found, strict=False):
        best = np.argsort(-wanted[str(path)])[:2]
        assert [name for name, _ in each] == [NAMES[i] for i in best]
        said = [value for _, value in each]  # of pixels that Pillow resized, not TensorFlow
        np.testing.assert_allclose(said, wanted[str(path)][best], atol=1e-3)
    with pytest.raises(ValueError, match="expected a list of paths, PIL images or arrays; got str"):
        classifier.predict_images(str(paths[0]))
    for options in ({"top_k": 0}, {"top_k": -1}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=rf"{next(iter(options))}: expected 1 or more; got"):
            classifier.predict_images(paths[:1], **options)
    several = keras.saving.load_model(home / "several.keras")
    ((_, value), *_), *_ = several.predict_images(paths[:1])
    right = expected(home, "several.keras", several=True)[str(paths[0])]
    assert value == pytest.approx(right.max(), abs=1e-3)


def test_an_image_with_several_labels_gets_those_above_the_threshold(home, tmp_path):
    assert predict(home, tmp_path / "p.csv", "--threshold", 0.4, model="several.keras") == 0
    wanted = expected(home, "several.keras", several=True)
    for row in rows(tmp_path / "p.csv"):
        right = wanted[row["file"]]
        names = [NAMES[i] for i in np.argsort(-right) if right[i] >= 0.4]
        assert row["labels"] == ";".join(names)


def test_without_a_threshold_those_that_the_run_chose_count_for_each_class(home):
    paths = [home / "photos" / f"{seed}.png" for seed in range(2)]
    model = prediction.load(str(home / "several.keras"))
    assert model.thresholds is None
    chosen = dict(zip(NAMES, [0.0, 1.0, 0.0], strict=True))
    rows = [{"name": name, "threshold": value} for name, value in chosen.items()]
    for document in ({"thresholds": chosen}, {"per_class": rows}):  # of an export, of a run
        knowing = model.knowing({"multi_label": True, **document}, sure=False)
        for found in prediction.predict_images(knowing, paths):
            assert set(found.labels) == {NAMES[0], NAMES[2]}
        assert prediction.predict_images(knowing, paths, threshold=1.0)[0].labels == ()
    assert model.knowing({"multi_label": True, "thresholds": {"cat": 0.1}}, sure=False) == model


def test_the_last_lines_count_the_images_of_every_class():
    counts = {"a": 9, "b": 8, "c": 7, "d": 6, "e": 5, "f": 2, "g": 1}
    said = [Answer("x", (name,), ((name, 1.0),)) for name in counts for _ in range(counts[name])]
    found = SimpleNamespace(passed_over={})
    options = Options("m", ["x"], "p.csv")
    (line, _) = run.summary(options, found, said, {})
    assert line.startswith("38 images: 9 a, 8 b, 7 c, 6 d, 5 e, 3 of 2 other classes")
    (line, _) = run.summary(options, found, said[:-1], {})
    assert line.endswith("5 e, 2 f")


def test_learnt_prompts_and_a_comparison_are_found_by_their_folders(home, tmp_path):
    model = dual_encoder.load(home / "dual.keras")
    cell = tmp_path / "runs" / "prompt" / "cells" / "dual" / "coop" / "2-shot" / "seed-1"
    cell.mkdir(parents=True)
    prompts = dual_encoder.CoOp(model, NAMES, n_ctx=2, seed=0)
    backbone = str(home / "dual.keras")
    dual_encoder.save_prompts(prompts, cell / "prompts.safetensors", backbone=backbone)
    tuned = tmp_path / "runs" / "linear-probe" / "seed-1"
    tuned.mkdir(parents=True)
    shutil.copy(home / "classifier.keras", tuned / "model.keras")
    for method, wanted in (("coop", prompts.classifier()), ("linear-probe", None)):
        comparison(tmp_path, method)
        out = tmp_path / f"{method}.csv"
        assert predict(tmp_path, out, model="", photos=home / "photos") == 0
        if wanted is None:
            assert_table(rows(out), expected(home))
            given = ["export", "--model", str(tmp_path), "--format", "saved-model"]
            assert main([*given, "--out", str(tmp_path / "served")]) == 0
            about = json.loads((tmp_path / "served" / "export.json").read_text())
            assert about["model"] == str(tuned) and about["class_names"] == NAMES
        else:
            paths = [row["file"] for row in rows(out)]
            said = [each.label for each in prediction.predict_images(wanted, paths)]
            assert [row["label"] for row in rows(out)] == said
    (tmp_path / "results.json").unlink()
    shutil.move(tmp_path / "runs" / "prompt" / "cells", tmp_path)
    cell = tmp_path / "cells" / "dual" / "coop" / "2-shot" / "seed-1"
    assert prediction.load(str(tmp_path)).name.endswith(f"dual.keras (prompts of {cell})")


def comparison(folder, method):
    """The results of `compare`, as far as they say what to use."""
    document = {
        "schema": 2,
        "command": "compare",
        "recommendation": {"method": method, "answer": "None: no method is surely better."},
        "config": {"seeds": [1, 2], "templates": None, "data": "records/gone"},
    }
    (folder / "results.json").write_text(json.dumps(document))


def test_of_a_comparison_the_first_seed_that_has_ended_is_taken(tmp_path):
    for seed in (1, 2):
        (tmp_path / "runs" / "full" / f"seed-{seed}").mkdir(parents=True)
    (tmp_path / "runs" / "full" / "seed-2" / "model.keras").touch()
    comparison(tmp_path, "full")
    found = model_of_run_folder.find(Source(str(tmp_path)))
    assert found.model == str(tmp_path / "runs" / "full" / "seed-2")


def test_a_comparison_without_a_winner_names_its_runs(tmp_path):
    tuned = tmp_path / "runs" / "fine-tune" / "seed-1"
    tuned.mkdir(parents=True)
    comparison(tmp_path, None)
    with pytest.raises(ValueError, match=r"recommends no method .*seed-1") as error:
        model_of_run_folder.find(Source(str(tmp_path)))
    assert str(tuned) in str(error.value)
    comparison(tmp_path, "tip-adapter")
    with pytest.raises(FileNotFoundError, match="holds no run of tip-adapter"):
        model_of_run_folder.find(Source(str(tmp_path)))


def test_zero_shot_of_a_comparison_reads_the_names_of_its_records(tmp_path):
    comparison(tmp_path, "zero-shot")
    cell = tmp_path / "runs" / "prompt" / "cells" / "clip" / "zero-shot" / "0-shot" / "seed-0"
    cell.mkdir(parents=True)
    config = {"templates": ["a {}"], "data": "records/x", "class_names": None}
    document = {"schema": 2, "command": "prompt", "method": "zero-shot", "model": "clip"}
    (cell / "results.json").write_text(json.dumps({**document, "config": config}))
    found = model_of_run_folder.find(Source(str(tmp_path)))
    assert (found.model, found.data, found.data_templates) == ("clip", "records/x", ("a {}",))
    named = model_of_run_folder.find(Source(str(tmp_path), class_names=("cat", "dog")))
    assert (named.class_names, named.data) == (("cat", "dog"), None)


def test_of_a_curve_the_prompts_of_most_shots_are_taken_which_the_table_is_of(home, tmp_path):
    model = dual_encoder.load(home / "dual.keras")
    prompts = dual_encoder.CoOp(model, NAMES, n_ctx=2, seed=0)
    cells = tmp_path / "runs" / "prompt" / "cells" / "dual" / "coop"
    for shots in (1, 2, 16):
        cell = cells / f"{shots}-shot" / "seed-1"
        cell.mkdir(parents=True)
        path = cell / "prompts.safetensors"
        dual_encoder.save_prompts(prompts, path, backbone=str(home / "dual.keras"))
    comparison(tmp_path, "coop")
    found = model_of_run_folder.find(Source(str(tmp_path)))
    assert found.prompts == str(cells / "16-shot" / "seed-1" / "prompts.safetensors")


def test_zero_shot_with_names_of_its_own_keeps_its_templates(tmp_path):
    config = {"templates": ["t.txt"], "data": "records/x", "class_names": "names.txt"}
    document = {"schema": 2, "command": "prompt", "method": "zero-shot", "model": "clip"}
    own = {"templates": ["a {}", "the {}"], "per_class": [{"name": "cat"}, {"name": "dog"}]}
    text = json.dumps({**document, **own, "config": config})
    (tmp_path / "results.json").write_text(text)
    found = model_of_run_folder.find(Source(str(tmp_path)))
    assert (found.class_names, found.templates) == (("cat", "dog"), ("a {}", "the {}"))
    given = model_of_run_folder.find(Source(str(tmp_path), templates=("my {}",)))
    assert given.templates == ("my {}",)


def test_templates_of_a_run_are_those_that_its_file_had_then(tmp_path):
    (tmp_path / "t.txt").write_text("another {}")
    (tmp_path / "manifest.json").touch()
    config = {"data": str(tmp_path), "templates": [str(tmp_path / "t.txt")]}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    (tmp_path / "model.keras").touch()
    results = {"schema": 2, "command": "finetune", "templates": ["a {}"]}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert model_of_run_folder.find(Source(str(tmp_path))).data_templates == ("a {}",)


def test_class_names_are_not_read_from_records_of_another_project(tmp_path, monkeypatch):
    """`--data records` is another folder in another working directory."""
    home, records = tmp_path / "home", tmp_path / "home" / "records"
    tfrecords.write(ShapesSource(counts={"test": 2}), records, workers=1, progress=False)
    config = {"data": "records", "templates": ["a {}"], "class_names": None}
    names = tfrecords.Manifest.read(records).class_names
    rows = [{"name": name} for name in names]
    run, cell = tmp_path / "run", tmp_path / "cell"
    for folder, command in ((run, "finetune"), (cell, "prompt")):
        folder.mkdir()
        document = {"schema": 2, "command": command, "method": "zero-shot", "model": "clip"}
        document |= {"per_class": rows, "config": config}
        (folder / "results.json").write_text(json.dumps(document))
    (run / "config.yaml").write_text(json.dumps(config))
    (run / "model.keras").touch()
    monkeypatch.chdir(home)
    assert {model_of_run_folder.find(Source(str(each))).data for each in (run, cell)} == {"records"}
    (tmp_path / "records").mkdir()
    document = json.loads((records / "manifest.json").read_text())
    document["class_names"] = [f"other {name}" for name in names]
    (tmp_path / "records" / "manifest.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    assert model_of_run_folder.find(Source(str(run))).data is None
    with pytest.raises(ValueError, match="the records records have other classes here than"):
        model_of_run_folder.find(Source(str(cell)))


def test_what_is_stopped_goes_on_and_does_nothing_twice(home, tmp_path, monkeypatch, capsys):
    assert predict(home, tmp_path / "whole.csv", "--batch-size", 2) == 0
    real, batches = journal.Journal.add, []

    def stop_at_third(self, *batch):
        batches.append(batch)
        if len(batches) == 3:
            raise KeyboardInterrupt
        real(self, *batch)

    monkeypatch.setattr(journal.Journal, "add", stop_at_third)
    assert predict(home, tmp_path / "p.csv", "--batch-size", 2) == 130
    assert "4 of 8 images are done, and the same command goes on" in capsys.readouterr().err
    assert not (tmp_path / "p.csv").exists()
    with open(tmp_path / "p.csv.unfinished" / "rows.jsonl", "ab") as file:
        file.write(b'{"file": "half a li')  # what a process leaves that is killed as it writes
    assert predict(home, tmp_path / "p.csv", "--top-k", 1) == 2
    assert "top_k was 3, not 1" in capsys.readouterr().err
    with monkeypatch.context() as another:
        another.setattr(load_predictor.array_checksums, "crc32", lambda *_: 1)
        assert predict(home, tmp_path / "p.csv") == 2
        assert "checksum of the model was '" in capsys.readouterr().err
    monkeypatch.setattr(
        journal.Journal, "add", lambda s, *batch: (batches.append(batch), real(s, *batch))
    )
    assert predict(home, tmp_path / "p.csv", "--batch-size", 2) == 0
    assert len(batches) == 5  # two that were kept, one that was not, and two more
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / "p.csv.unfinished").exists()


def test_an_interrupt_when_all_is_written_stops_nothing(home, tmp_path, monkeypatch, capsys):
    held = journal.held

    @contextlib.contextmanager
    def interrupted(out):
        with held(out):
            yield
        raise KeyboardInterrupt

    monkeypatch.setattr(journal, "held", interrupted)
    assert predict(home, tmp_path / "p.csv") == 0
    assert "7 images: " in capsys.readouterr().out and (tmp_path / "p.csv").is_file()


def test_an_image_replaced_in_between_is_looked_at_again(tmp_path):
    files = [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    for file in files[:2]:
        Path(file).write_bytes(b"one")
    first = journal.Journal(tmp_path / "p.csv", {}, multi_label=False)
    found = [Answer(file, ("cat",), (("cat", 0.9),)) for file in files[:1]]
    first.add(found, [(files[1], "damaged"), (files[2], "no such file")])
    Path(files[1]).write_bytes(b"another")
    again = journal.Journal(tmp_path / "p.csv", {}, multi_label=False)
    assert [file in again for file in files] == [True, False, True]
    again.add([Answer(files[1], ("dog",), (("dog", 0.8),))], [])
    last = journal.Journal(tmp_path / "p.csv", {}, multi_label=False)
    assert sorted(last.done) == files[:2] and list(last.unreadable) == files[2:]
    assert all(file in last for file in files)


def test_a_batch_has_no_more_rows_than_there_are_images(home, tmp_path, monkeypatch):
    real, sizes = predict_batches.batches, []

    def noting(*asked, batch_size, **more):
        sizes.append(batch_size)
        return real(*asked, batch_size=batch_size, **more)

    monkeypatch.setattr(predict_batches, "batches", noting)
    assert predict(home, tmp_path / "p.csv", "--batch-size", 65536) == 0
    assert sizes == [FILES + 1]  # one of them is broken


def test_images_are_sorted_and_shown(home, tmp_path):
    more = ("--sort-into", tmp_path / "sorted", "--sheet", tmp_path / "s.html", "--threshold", 0.4)
    assert predict(home, tmp_path / "p.csv", *more) == 0
    for row in rows(tmp_path / "p.csv"):
        image = Path(row["file"])
        copy = tmp_path / "sorted" / (row["label"] or "unsure") / image.name
        assert copy.read_bytes() == image.read_bytes() and not copy.is_symlink()
    page = (tmp_path / "s.html").read_text()
    assert page.count('src="data:image/jpeg') == FILES and "broken.jpg" in page
    assert predict(home, tmp_path / "again.csv", "--sheet", tmp_path / "s.html") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--images", "nowhere"), "--images: no file or folder nowhere"),
        (("--images", "*.gif"), "--images: no file fits *.gif"),
        (("--out", "p.txt"), "--out: expected a file that ends in .csv or .jsonl; got p.txt"),
        (("--link",), "--link goes with --sort-into"),
        (("--sort-into", "photos/sorted"), "photos/sorted lies in --images photos, whose images"),
        (("--sheet", "s.png"), "--sheet: expected a file that ends in .html; got s.png"),
        (("--threshold", "2"), "--threshold: expected a number in [0, 1]; got 2.0"),
        (("--sure", "--threshold", "0.5"), "--sure and --threshold: expected one of them"),
        (("--sure",), "--sure: classifier.keras does not say how sure it is; expected a run of"),
        (("--class-names", "a", "b"), "has 3 class names of its own"),
        (("--model", "nowhere"), "nowhere"),
        (("--model", "dual.keras", "--class-names", "a", "a"), "'a' is there several times"),
        (("--model", "dual.keras"), "--class-names: dual.keras reads class names"),
        (("--model", "dual.keras", "--class-names", "cat"), "--class-names: no file cat"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(options, message, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    before = sorted(home.rglob("*"))
    given = {"--model": "classifier.keras", "--images": "photos", "--out": "p.csv"}
    usual = [word for pair in given.items() if pair[0] not in options for word in pair]
    assert main(["predict", *usual, *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and len(error.splitlines()) == 1 and message in error
    assert sorted(home.rglob("*")) == before


def test_names_of_records_are_refused_where_nothing_reads_them(home, tmp_path):
    records = tmp_path / "records"
    tfrecords.write(ShapesSource(counts={"test": 4}), records, workers=1, progress=False)
    with pytest.raises(ValueError, match=r"--data goes with a dual encoder; .*classifier.keras"):
        prediction.load(str(home / "classifier.keras"), data=str(records))
    model = dual_encoder.load(home / "dual.keras")
    prompts, path = dual_encoder.CoOp(model, NAMES, n_ctx=2, seed=0), tmp_path / "p.safetensors"
    dual_encoder.save_prompts(prompts, path, backbone=str(home / "dual.keras"))
    with pytest.raises(ValueError, match=r"--data: .*p.safetensors has class names of its own"):
        prediction.load(str(path), data=str(records))
    assert len(prediction.load(str(home / "dual.keras"), data=str(records)).class_names) == 100


def test_a_file_that_is_there_is_never_overwritten(home, tmp_path, capsys):
    (tmp_path / "p.csv").write_text("mine")
    assert predict(home, tmp_path / "p.csv") == 2
    assert "p.csv exists; give --out another name" in capsys.readouterr().err
    assert (tmp_path / "p.csv").read_text() == "mine"


def test_nothing_that_can_be_read_is_a_failure_that_writes_nothing(home, tmp_path, capsys):
    assert predict(home, tmp_path / "p.csv", photos="photos/broken.jpg") == 1
    assert "none of 1 files can be read as an image: " in (said := capsys.readouterr().err)
    assert "broken.jpg (" in said and list(tmp_path.iterdir()) == []
    assert predict(home, tmp_path / "p.csv") == 0  # the same command, of other images


def test_images_are_folders_files_patterns_and_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.jpg", "a/b/2.PNG", "a/.hidden.jpg", "a/x.txt", "c.jpg", "[d].jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    found = images.find(["a", "[d].jpg", "*.jpg", "c.jpg"])
    assert list(found.loads) == ["a/1.jpg", "a/b/2.PNG", "[d].jpg", "c.jpg"]
    assert found.loads["a/1.jpg"]() == b"a/1.jpg" and found.passed_over == {
        "files that are no images (.txt)": 1,
        "hidden files and folders": 1,
    }
    for listed in ("c.jpg\ngone.jpg\n", "c.jpg\0gone.jpg\0"):
        found = images.find(["-"], stdin=lambda text=listed: text)
        assert list(found.loads) == ["c.jpg", "gone.jpg"]
    with pytest.raises(ValueError, match="a file on each line"):
        images.find(["-"], stdin=lambda: "\n")
    (tmp_path / "my a").mkdir()
    (tmp_path / "my a" / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match="evaluate --data 'my a' says"):
        images.find(["my a"])


def test_sorting_keeps_every_image_and_can_be_gone_on_with(tmp_path):
    for name, colour in (("one/a.png", "red"), ("two/a.png", "blue")):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (4, 4), colour).save(tmp_path / name)
    found = [Answer(str(tmp_path / each / "a.png"), ("x/y",), ()) for each in ("one", "two")]
    for _ in range(2):
        assert sorting.sort(found, tmp_path / "sorted", link=False) == 2
        there = sorted(path.name for path in (tmp_path / "sorted" / "x_y").iterdir())
        assert there == ["a (2).png", "a.png"]
    for _ in range(2):
        sorting.sort(found, tmp_path / "links", link=True)
        links = {path.name: path.resolve() for path in (tmp_path / "links" / "x_y").iterdir()}
        assert links == {"a.png": tmp_path / "one/a.png", "a (2).png": tmp_path / "two/a.png"}
    assert [sorting.folder_name(name) for name in ("a/b", "..", ".x")] == ["a_b", "_", "x"]


class OneLabel:
    class_names = ("a", "b", "c")
    multi_label = False


class ManyLabels(OneLabel):
    multi_label = True


@pytest.mark.parametrize("several", [True, False])
def test_a_name_with_a_semicolon_is_refused_where_cells_have_several(several):
    """`a;b` was the classes a and b of whoever split the cell."""
    model = ManyLabels() if several else OneLabel()
    model.class_names = ("a;b", "b", "c")
    with pytest.raises(ValueError, match=r"class 'a;b' has a ';' in it, .* ends in \.jsonl"):
        answers.check_names(model, Path("p.CSV"), sets=not several)
    answers.check_names(model, Path("p.jsonl"), sets=True)
    if not several:
        answers.check_names(model, Path("p.csv"), sets=False)


def test_one_path_is_not_read_as_many(home):
    """Each letter of it was a path; a threshold above 1 gave no image a class."""
    model = prediction.load(str(home / "classifier.keras"))
    for path in ("a.jpg", Path("a.jpg")):
        with pytest.raises(
            ValueError, match=r"paths: expected a list of paths; got 'a\.jpg' alone"
        ):
            prediction.predict_images(model, path)
    with pytest.raises(ValueError, match=r"threshold: expected a number in \[0, 1\]; got 80"):
        prediction.predict_images(model, ["a.jpg"], threshold=80)


def test_a_run_says_how_sure_it_is(home, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(home / "classifier.keras", run / "model.keras")
    sure = {"temperature": 1e6, "none_of_these": {"threshold": 0.4}, "sets": {"threshold": 0.3}}
    document = {"schema": 2, "command": "finetune", "certainty": sure}
    (run / "results.json").write_text(json.dumps(document), encoding="utf-8")
    assert predict(home, tmp_path / "p.csv", "--sure", model=run) == 0
    for row in rows(tmp_path / "p.csv"):  # at such a temperature all classes are alike
        assert row["label"] == "" and float(row["probability_1"]) == pytest.approx(1 / 3, abs=1e-4)
        assert sorted(row["candidates"].split(";")) == sorted(NAMES)
    # Of few images there is no set of classes, and no column.
    document["certainty"] = {**sure, "sets": {"threshold": None}}
    (run / "results.json").write_text(json.dumps(document), encoding="utf-8")
    capsys.readouterr()
    assert predict(home, tmp_path / "few.csv", "--sure", model=run) == 0
    assert "candidates" not in rows(tmp_path / "few.csv")[0]
    assert capsys.readouterr().out.startswith("No column candidates: the run had too few images")
    # Of a model that reads other names, it says nothing.
    document["per_class"] = [{"name": "a class of the run"}]
    (run / "results.json").write_text(json.dumps(document), encoding="utf-8")
    assert predict(home, tmp_path / "q.csv", "--sure", model=run) == 2
    assert "and no other class names than its own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "threshold", "labels"),
    [
        (OneLabel, None, ("b",)),
        (OneLabel, 0.8, ()),
        (ManyLabels, None, ("b", "c")),
        (ManyLabels, 0.6, ("b",)),
    ],
)
def test_an_answer_is_what_the_model_is_sure_enough_of(model, threshold, labels):
    found = answer("x.jpg", np.array([0.1, 0.7, 0.5]), model, threshold=threshold, top_k=2)
    assert found == Answer("x.jpg", labels, (("b", 0.7), ("c", 0.5)))
    assert from_json(json.loads(json.dumps(to_json(found, multi_label=model.multi_label)))) == found


def test_a_page_of_many_images_goes_from_the_surest_to_the_least_sure():
    assert contact_sheet.shown(3) == [0, 1, 2]
    assert contact_sheet.shown(101, most=5) == [0, 25, 50, 75, 100]


def test_names_of_files_that_are_no_text_are_escaped(home, tmp_path, capsys):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        (tmp_path / name).write_bytes(drawn_image(0))
    except OSError:
        pytest.skip("the disk takes only UTF-8")
    assert predict(home, tmp_path / "p.csv", photos=tmp_path / name) == 0
    written = rows(tmp_path / "p.csv")
    assert written[0]["file"] == f"{tmp_path}/caf\\xe9.png"
    (tmp_path / "p.csv").rename(tmp_path / "q.csv")
    assert predict(home, tmp_path / "p.csv", photos=tmp_path) == 0
    assert rows(tmp_path / "p.csv") == written
    assert "passed over: files that are no images (.csv): 1\n" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_of_files_may_begin_with_a_mark(tmp_path, monkeypatch, encoding):
    names = ["Straße.jpg", "b.jpg"]
    data = "\r\n".join(names).encode(encoding)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert list(images.find(["-"]).loads) == names
