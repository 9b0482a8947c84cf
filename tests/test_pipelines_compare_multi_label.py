"""`compare` where images have several labels each."""

import csv
from types import SimpleNamespace

import pytest
from saved_runs import valid_results

import tfrecords
from pipelines.__main__ import main
from pipelines.comparison.options import DEFAULT, Options, check, check_records
from pipelines.methods.registry import METHODS
from tfrecords.sources.shapes.multi_label import ShapesMultiSource


@pytest.fixture(scope="module")
def compared(home):
    source = ShapesMultiSource(counts={"train": 60, "test": 40})
    tfrecords.write(source, home / "multi", workers=1, progress=False)
    where = ["--data", str(home / "multi"), "--model", str(home / "clip.keras")]
    methods = ["--methods", "zero-shot", "linear-probe", "--seeds", "0", "--serving-seconds", "0"]
    given = ["compare", *where, "--out", str(home / "multi-out"), "--bootstrap", "20", *methods]
    assert main(given) == 0
    return home / "multi-out"


def test_methods_are_compared_by_mean_average_precision(compared):
    document = valid_results(compared)
    assert document["multi_label"] and document["judged_by"] == "map"
    rows = {row["method"]: row for row in document["rows"]}
    for name, row in rows.items():
        own = valid_results(compared / "runs" / name / "seed-0")
        assert row["error"] is None
        assert (row["seen"], row["exact_match"]) == (
            own["metrics"]["map"],
            own["metrics"]["exact_match"],
        )
        assert row["intervals"]["seen"] == own["intervals"]["map"]
        assert row["ece"] is None and row["unseen"] is None
    (pair,) = document["pairs"]
    gain = rows["zero-shot"]["seen"] - rows["linear-probe"]["seen"]
    assert pair["difference"] == pytest.approx(gain)
    assert "mean average precision" in document["recommendation"]["answer"]


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
        assert f"finetune --data {compared.parent / 'multi'} " in row["command"]
        assert f"--method {row['method']}" in row["command"]


def manifest():
    split = SimpleNamespace(class_counts=(3, 30))
    return SimpleNamespace(dataset="tags", multi_label=True, split=lambda name: split)


@pytest.mark.parametrize("methods", [list(DEFAULT), ["all"]])
def test_the_usual_methods_are_those_that_take_several_labels(methods):
    options = Options("d", "o", methods=methods)
    check(options)
    check_records(options, manifest())
    assert {"zero-shot", "linear-probe", "fine-tune", "auto"} <= set(options.methods)
    assert all(METHODS[name].takes_several_labels for name in options.methods)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": ["zero-shot", "coop", "flyp"]}, "coop, flyp take one; expected some of zero-"),
        ({"methods": ["wise-ft"]}, "wise-ft takes one; expected some of zero-shot, linear-probe"),
        ({"methods": ["lora"], "shots": [1, 2]}, "--shots: images of tags have several classes"),
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
