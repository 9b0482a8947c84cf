"""results.json, the images and the page, on arrays made up here."""

import json
import re
import shlex
import subprocess

import numpy as np
import pytest
from evaluation_documents import CONFIG, Page, document, evaluation_page, image, with_images

from pipelines.evaluation import measure
from pipelines.evaluation import plots as evaluation_plots
from pipelines.evaluation import report as evaluation_report
from pipelines.metrics import classification
from pipelines.metrics import confusion as metrics_confusion
from pipelines.reporting import figure as reporting_figure
from pipelines.runs import rerun_command, results


def test_document_has_every_field_and_survives_writing_and_reading(tmp_path):
    found = document()
    results.write(tmp_path / "results.json", found)
    assert results.read(tmp_path / "results.json") == found == results.read(tmp_path)
    assert set(results.REQUIRED) <= set(found)
    assert set(found["metrics"]) == set(found["intervals"]) == set(classification.METRICS)
    assert found["per_class"][2]["recall"] is None
    assert np.sum(found["confusion_matrix"]) == found["images"] == 60
    assert found["versions"]["keras"].startswith("3.")
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_document_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="the results lack split, model, metrics"):
        results.write(tmp_path / "results.json", {"schema": 2, "command": "x", "dataset": "d"})
    with pytest.raises(RuntimeError, match="a number in seed that is NaN or infinite"):
        results.write(tmp_path / "results.json", {**document(), "seed": float("nan")})
    assert not list(tmp_path.iterdir())


def test_what_a_reader_needs_and_damage_took_is_named(tmp_path):
    for change, message in (
        ({"metrics": {"top1": []}}, r"results.json: metrics.top1: expected null or a number"),
        ({"per_class": [{}]}, r"results.json: per_class\[0\].name is missing"),
    ):
        (tmp_path / "results.json").write_text(json.dumps(document() | change))
        with pytest.raises(ValueError, match=message):
            results.read(tmp_path)
    (tmp_path / "results.json").write_text('{"schema": 2}')
    with pytest.raises(ValueError, match=r"results\.json is damaged: cost is missing"):
        results.read(tmp_path)["cost"]


def test_results_that_cannot_be_read_say_why(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no results at .*has the run finished"):
        results.read(tmp_path)
    (tmp_path / "results.json").write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="schema: expected 2; got 99"):
        results.read(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ValueError, match="not readable as JSON"):
        results.read(tmp_path)


def test_headline_is_the_answer_in_one_sentence():
    found = {
        "judged_by": "top1",
        "split": "test",
        "images": 2000,
        "classes": 100,
        "metrics": {"top1": 0.824, "mean_per_class": 0.7},
        "intervals": {"top1": [0.8066, 0.84]},
        "protocol": "zero-shot",
    }
    assert evaluation_report.headline(found) == (
        "82.4 % of 2,000 test images right (95 % interval 80.7\u201384.0), "
        "over 100 classes told by their names alone"
    )
    other = {**found, "judged_by": "mean_per_class", "intervals": {}, "protocol": "fine-tuned"}
    assert evaluation_report.headline(other) == (
        "70.0 % mean-per-class accuracy on 2,000 test images, over 100 classes"
    )


def test_terminal_table_has_a_line_per_figure():
    *lines, untested = evaluation_report.terminal_table(document()).splitlines()
    assert len(lines) == 2 + len(classification.METRICS)
    assert untested.startswith("Classes without an image in split test: <b>class</b> & 2; means")
    assert re.fullmatch(r"Top-1 accuracy +\d+\.\d % +\d+\.\d\u2013\d+\.\d", lines[2])


def test_seen_classes_are_a_row_where_others_are_held_out():
    found = {"metrics": {"top1": 0.5, "seen_top1": 0.5}, "intervals": {}, "classes": 9}
    assert [row["name"] for row in evaluation_report.figure_rows(found)] == ["Top-1 accuracy"]
    found["metrics"]["unseen_top1"] = 0.25
    assert len(evaluation_report.figure_rows(found)) == 3


def test_command_line_is_what_to_type():
    options = {**CONFIG, "progress": True, "jit": False}
    assert rerun_command.command_line("evaluate", options) == (
        "python -m pipelines evaluate --data 'records/a b' --model m "
        "--templates 'a {}.' '{}' --seed 0 --progress --no-jit"
    )
    lines = rerun_command.command_line("evaluate", options, between=rerun_command.NEXT_LINE)
    said = subprocess.run(["sh", "-c", f"printf '%s\\n' {lines}"], capture_output=True, text=True)
    assert said.stdout.split("\n")[:-1] == shlex.split(
        rerun_command.command_line("evaluate", options)
    )
    assert lines.split(" \\\n    ")[:2] == ["python -m pipelines evaluate", "--data 'records/a b'"]


@pytest.mark.parametrize("classes", [3, 40])
def test_page_is_whole_self_contained_and_escaped(classes):
    found = document(classes, images=200)
    html = evaluation_page(found, with_images(found))
    page = Page(html)
    assert not page.open
    shown = [attrs for tag, attrs in page.tags if tag == "img"]
    assert shown and all(attrs["src"].startswith("data:image/") for attrs in shown)
    assert all(attrs["alt"] for attrs in shown)
    plots = [
        attrs for tag, attrs in page.tags if tag == "figure" and "plot" in attrs.get("class", "")
    ]
    assert len(plots) == (2 if classes == 3 else 3)  # the block of many classes
    assert not any("href" in attrs or tag == "link" for tag, attrs in page.tags)
    assert "http" not in html and "url(" not in html
    assert "<b>" not in html and "&lt;b&gt;class&lt;/b&gt; &amp; 0" in html
    assert "a &lt;{}&gt;" in html
    assert html.count('<th scope="row">') == len(classification.METRICS) + classes


def test_page_of_more_classes_than_a_matrix_shows(monkeypatch):
    monkeypatch.setattr(metrics_confusion, "DENSE", 5)
    found = document(7)
    assert found["confusion_matrix"] == [] and found["most_confused"]
    html = evaluation_page(found, with_images(found))
    assert "7 classes are too many for a matrix" in html and not Page(html).open


def test_page_says_what_top5_and_absent_classes_mean():
    html = evaluation_page(document(3), [])
    assert "says nothing here: there are only 3 classes" in html
    assert "Classes without an image in split test: &lt;b&gt;class&lt;/b&gt; &amp; 2; means" in html
    assert "says nothing here" not in evaluation_page(document(7), [])


def test_page_of_a_faultless_classifier_has_no_mistakes_to_show():
    labels = np.arange(40) % 40
    measured = measure.measure(labels, np.eye(40), [str(i) for i in range(40)], resamples=5)
    assert measured["most_confused"] == []
    found = {**document(), **measured}
    assert "There are no mistakes." in evaluation_page(found, [])


def test_confusion_matrix_is_coloured_where_the_counts_are():
    # The two cells of 100 % have the full accent; so has the end of the colour bar, on the right.
    confusion = np.array([[0, 9], [4, 0]])
    pixels = image(evaluation_plots.confusion_matrix(confusion, ["a", "b"], labels=False))
    accent = tuple(int(reporting_figure.ACCENT[i : i + 2], 16) for i in (1, 3, 5))
    full = (pixels == accent).all(axis=2)
    rows, columns = np.nonzero(full)
    cells = columns < columns.max() - 60
    top, bottom = np.percentile(rows[cells], (5, 95)).astype(int)
    left, right = np.percentile(columns[cells], (5, 95)).astype(int)
    found = full[np.ix_([top, bottom], [left, right])]
    np.testing.assert_array_equal(found, [[False, True], [True, False]])


def test_confusion_matrix_grows_with_the_classes_and_drops_names_nobody_can_read():
    small, large, huge = (
        image(evaluation_plots.confusion_matrix(np.eye(n, dtype=int), ["x" * 40] * n)).shape
        for n in (3, 40, 201)
    )
    assert max(small, huge) < large


def test_each_of_many_classes_has_a_pixel_of_the_confusion_matrix(monkeypatch):
    monkeypatch.setattr(reporting_figure, "DPI", 144)  # as it is without `conftest`
    classes = 700
    pixels = image(evaluation_plots.confusion_matrix(np.eye(classes, dtype=int), [""] * classes))
    red, _, blue = np.moveaxis(pixels[:, : int(0.81 * pixels.shape[1])].astype(int), -1, 0)
    assert (blue - red > 60).any(axis=1).sum() >= classes


def test_a_page_of_more_classes_than_have_room_does_not_promise_their_names():
    labels = np.arange(201)
    answers = np.eye(201)[(labels + (labels == 3)) % 201]
    names = [f"class {i}" for i in labels]
    found = {**document(), **measure.measure(labels, answers, names, resamples=0)}
    page = evaluation_page(found, [])
    assert "too many for their names" in page and "has the names" not in page


def test_any_text_can_be_the_name_of_a_class():
    names = ["$5 or $10", "b_{\\frac", "\u732b"]
    assert image(evaluation_plots.confusion_matrix(np.eye(3, dtype=int), names)).ndim == 3


def test_most_confused_shows_a_row_per_pair():
    image_ = np.zeros((8, 8, 3), np.uint8)
    pairs = [
        {"true": 0, "predicted": 1, "count": 2, "of": 9, "images": [image_] * 2},
        {"true": 1, "predicted": 0, "count": 1, "of": 1234, "images": [image_]},
    ]
    assert evaluation_plots.confusion_text(pairs[1], ["cat", "d" * 40]) == (
        "d" * 27 + "\u2026 called cat: 1 of 1,234"
    )
    one = image(evaluation_plots.most_confused(pairs[:1], ["cat", "dog"]))
    two = image(evaluation_plots.most_confused(pairs, ["cat", "dog"]))
    assert two.shape[0] > 1.7 * one.shape[0]
    assert image(evaluation_plots.most_confused([], ["cat", "dog"])).ndim == 3


def test_similar_order_puts_mixed_up_classes_side_by_side():
    confusion = np.diag([9, 9, 9, 9])
    confusion[0, 3] = confusion[2, 1] = 1
    order = metrics_confusion.similar_order(confusion).tolist()
    assert abs(order.index(0) - order.index(3)) == abs(order.index(1) - order.index(2)) == 1
    assert metrics_confusion.similar_order(np.diag([1, 2, 3])).tolist() == [0, 1, 2]
    assert metrics_confusion.confused_classes(np.diag([1, 2, 3]), [0, 1, 2]) == []
    assert sorted(metrics_confusion.confused_classes(confusion, order, limit=2)) == [0, 3]
