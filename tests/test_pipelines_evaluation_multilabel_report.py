"""The page and the table of a classifier that says several labels per image."""

import re

import pytest
from evaluation_documents import Page
from multilabel_documents import document

from pipelines.evaluation import multilabel_report, plots
from pipelines.evaluation import report as evaluation_report
from pipelines.metrics import multilabel
from pipelines.runs import results


def test_document_survives_writing_and_reading(tmp_path):
    found = document()
    results.write(tmp_path / "results.json", found)
    assert results.read(tmp_path) == found
    assert set(results.REQUIRED) <= set(found)
    assert found["per_class"][-1]["average_precision"] is None


def test_headline():
    found = {**document(), "metrics": {"map": 0.8312}, "intervals": {"map": [0.81, 0.85]}}
    assert evaluation_report.headline(found) == (
        "83.1 % mean average precision (95 % interval 81.0\u201385.0) on 60 test images, "
        "over 5 classes"
    )


def test_terminal_table_has_a_line_per_figure():
    *lines, _ = evaluation_report.terminal_table(document()).splitlines()
    assert len(lines) == 2 + len(multilabel.METRICS)
    for line, name in zip(lines[2:], ["Mean average precision", "Micro F1"], strict=False):
        assert re.fullmatch(rf"{name} +\d+\.\d % +\d+\.\d\u2013\d+\.\d", line)


@pytest.mark.parametrize("classes", [5, 90])
def test_page_is_whole_self_contained_and_escaped(classes):
    found = document(classes)
    html = multilabel_report.page(found)
    page = Page(html)
    assert not page.open
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 1 and images[0]["src"].startswith("data:image/png") and images[0]["alt"]
    assert not any("href" in attrs or tag == "link" for tag, attrs in page.tags)
    assert "http" not in html and "url(" not in html
    assert "<b>class" not in html and "&lt;b&gt;class&lt;/b&gt; &amp; 0" in html
    assert "Classes without an image in split test: " in html
    assert "on split validation" in html
    assert ("the lowest 60 of 89" in html) == (classes == 90)
    assert len(re.findall(r'<tr><th scope="row">&lt;b', html)) == classes


def test_class_rows_are_weakest_first_and_unknown_last():
    html = multilabel_report.page(document())
    table = html[html.index('id="classes"') :]
    order = [int(number) for number in re.findall(r"&amp; (\d)</th>", table)]
    rows = document()["per_class"]
    known = [rows[i]["average_precision"] for i in order[:-1]]
    assert order[-1] == 4 and known == sorted(known)


def test_the_mark_of_a_class_is_what_an_order_by_chance_has(monkeypatch):
    from matplotlib.figure import Figure

    figure = Figure()
    monkeypatch.setattr(plots, "png", lambda draw, size: draw(figure))
    plots.average_precisions([{"name": "cat", "average_precision": 0.5, "count": 1}], 4)
    assert figure.axes[0].lines[0].get_xdata().tolist() == pytest.approx([25 / 48])  # H_4 / 4
