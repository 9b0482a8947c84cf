"""`compare` where images have several labels each."""

import csv
import shlex
from types import SimpleNamespace

import numpy as np
import pytest
from saved_runs import valid_results

import tfrecords
from pipelines.__main__ import main
from pipelines.comparison.options import DEFAULT, Options, check, check_records
from pipelines.methods.registry import METHODS
from pipelines.metrics import multilabel
from pipelines.runs import predictions
from tfrecords.sources.shapes.multi_label import ShapesMultiSource


@pytest.fixture(scope="module")
def compared(home):
    """Of few images, so that each is tested in one of three divisions."""
    source = ShapesMultiSource(counts={"train": 40, "test": 16})
    tfrecords.write(source, home / "multi", workers=1, progress=False)
    where = ["--data", str(home / "multi"), "--model", str(home / "clip.keras")]
    methods = ["--methods", "zero-shot", "linear-probe", "--serving-seconds", "0"]
    given = [
        *where,
        "--out",
        str(home / "multi-out"),
        "--bootstrap",
        "20",
        "--folds",
        "3",
        *methods,
    ]
    assert main(["compare", *given]) == 0
    return home / "multi-out"


def test_methods_are_compared_by_mean_average_precision_of_all_divisions(compared):
    document = valid_results(compared)
    assert document["multi_label"] and document["judged_by"] == "map" and document["folds"] == 3
    rows = {row["method"]: row for row in document["rows"]}
    for name, row in rows.items():
        cell = f"runs/{name}/seed-1"
        said = [predictions.read(compared / at / cell) for at in (".", "folds/2", "folds/3")]
        labels = np.concatenate([each.labels for each in said])
        probabilities = np.concatenate([each.probabilities for each in said])
        wanted = multilabel.mean_average_precision(labels, probabilities)(np.ones(len(labels)))
        assert row["seen"] == pytest.approx(wanted)
        assert row["exact_match"] == np.concatenate([each.right for each in said]).mean()
        assert row["error"] is None and row["ece"] is None and row["unseen"] is None
    low, high = rows["zero-shot"]["intervals"]["seen"]
    assert low <= rows["zero-shot"]["seen"] <= high
    (pair,) = document["pairs"]
    gain = rows["zero-shot"]["seen"] - rows["linear-probe"]["seen"]
    assert pair["difference"] == pytest.approx(gain)
    assert "mean average precision" in document["recommendation"]["answer"]


def test_each_image_is_tested_once_but_for_the_only_one_of_its_rarest_class(compared):
    data = (compared.parent / "multi", *(compared / f"folds/{n}/records" for n in (2, 3)))
    tested = [each.filename for path in data for each in tfrecords.examples(path, "test")]
    assert 50 <= len(tested) == len(set(tested)) <= 56
    assert f"{len(tested)} images are tested once each" in " ".join(
        valid_results(compared)["remarks"]
    )


def test_its_page_and_table_name_what_is_shown(compared):
    page = (compared / "report.html").read_text()
    assert ">mAP</th>" in page and ">Exact match</th>" in page and "Seen" not in page
    assert "Difference in mean average precision" in page and "McNemar" not in page
    assert "Images with their classes and the predicted ones" in page
    with open(compared / "results.csv", encoding="utf-8") as file:
        row, _ = csv.DictReader(file)
    assert float(row["seen"]) > 0 and float(row["micro_f1"]) > 0 and row["ece"] == ""


def test_each_row_says_what_to_type_for_it_alone(compared):
    for row in valid_results(compared)["rows"]:
        assert f"finetune --data {shlex.quote(str(compared.parent / 'multi'))} " in row["command"]
        assert f"--method {row['method']}" in row["command"]


def manifest():
    split = SimpleNamespace(class_counts=(3, 30))
    return SimpleNamespace(dataset="tags", multi_label=True, split=lambda name: split)


@pytest.mark.parametrize("methods", [list(DEFAULT), ["all"]])
def test_the_usual_methods_are_those_that_take_several_labels(methods):
    options = Options("d", "o", methods=methods)
    check(options)
    check_records(options, manifest())
    assert {"zero-shot", "linear-probe", "text-probe", "fine-tune"} <= set(options.methods)
    assert "auto" not in options.methods  # which is text-probe
    assert all(METHODS[name].takes_several_labels for name in options.methods)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": ["zero-shot", "coop", "flyp"]}, "coop, flyp take one; expected some of zero-"),
        ({"methods": ["wise-ft"]}, "wise-ft takes one; expected some of zero-shot, linear-probe"),
        ({"methods": ["lora"], "shots": [1, 2]}, "--shots: images of tags have several classes"),
        ({"methods": ["lora"], "shots": [4]}, "--shots: images of tags have several classes"),
        ({"methods": ["lora"], "class_weight": 1.0}, "--class-weight: images of tags have several"),
    ],
)
def test_what_needs_one_class_an_image_is_refused(given, message):
    options = Options("d", "o", **given)
    check(options)
    with pytest.raises(ValueError, match=message):
        check_records(options, manifest())


def test_what_the_mean_over_classes_hides_is_said(compared):
    said = " ".join(valid_results(compared)["remarks"])
    assert "Fewer than 10 test images of " in said and "partly luck" in said
    assert "images to choose by" in said and "class-weight" not in said


def test_a_dry_run_refuses_what_a_run_would(home, tmp_path, capsys):
    source = ShapesMultiSource(counts={"train": 3, "test": 4})
    tfrecords.write(source, tmp_path / "few", workers=1, progress=False)
    where = ["--data", str(tmp_path / "few"), "--model", str(home / "clip.keras")]
    for more in ([], ["--dry-run"]):
        assert main(["compare", *where, "--out", str(tmp_path / "out"), *more]) == 2
        assert "has no images to train on in shapes-multi" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
