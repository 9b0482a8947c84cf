"""The page and the summary of a training run, from a document written out by hand."""

import io

import numpy as np
import pytest
from PIL import Image
from training_documents import HISTORY, RESULTS

from pipelines.reporting import figure as reporting_figure
from pipelines.training import output_files
from pipelines.training import plots as training_plots


def test_summary():
    assert output_files.summary(RESULTS, ["train", "test"]).splitlines() == [
        "52.0 % zero-shot top-1 after epoch 2 of 3",
        "training loss 2.0000, validation loss 1.5000",
        "1,500 steps in 60 s, 1,000 images/s (500 on each of CPU:0, CPU:1)",
        "Written to runs/one; open runs/one/report.html",
        "Measure it: python -m pipelines evaluate --data records/shapes --model runs/one --out RUN",
    ]


def test_what_to_type_next_names_the_split_that_there_is():
    *_, last = output_files.summary(RESULTS, ["train", "validation"]).splitlines()
    assert last.endswith("--model runs/one --out RUN --split validation")
    spaced = {**RESULTS, "model": "my runs/one"}
    assert "--model 'my runs/one' --out RUN" in output_files.summary(spaced, ["test"])


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"epoch": 2, "loss": 1.0, "val_loss": 1.75}, "Validation loss 1.750 after epoch 3 of 3"),
        ({"epoch": 2, "loss": 1.0}, "Loss 1.000 after epoch 3 of 3"),
    ],
)
def test_headline_without_labels_or_validation(metrics, expected):
    assert output_files.headline({**RESULTS, "metrics": metrics}) == expected


def test_page_has_every_epoch_and_what_to_type():
    page = output_files.page(RESULTS)
    assert page.startswith("<!doctype html>") and "http" not in page.replace("http-equiv", "")
    assert page.count('<tr class="chosen">') == 1
    chosen = page.split('<tr class="chosen">')[1].split("</tr>")[0]
    assert '<th scope="row">2</th>' in chosen and "52.0\u00a0%" in chosen and "1.5" in chosen
    assert "python -m pipelines train \\\n    --data records/shapes \\\n    --epochs 3" in page
    assert "&lt;x&gt;" in page and "<x>" not in page
    assert "Learning rate" not in page  # was not measured


def test_curves_are_drawn_in_every_panel():
    panels = [{"title": name, "lines": {"": name}} for name in ("loss", "val_loss", "temperature")]
    image = Image.open(io.BytesIO(training_plots.curves(HISTORY, panels))).convert("RGB")
    accent = tuple(int(reporting_figure.ACCENT[i : i + 2], 16) for i in (1, 3, 5))
    drawn = np.all(np.asarray(image) == accent, axis=-1)
    height, width = drawn.shape
    upper, lower = drawn[: height // 2], drawn[height // 2 :]
    assert upper[:, : width // 2].any() and upper[:, width // 2 :].any()
    assert lower[:, : width // 2].any() and not lower[:, width // 2 :].any()


def test_what_changes_by_rounding_alone_is_a_level_line():
    history = [{"epoch": 0, "temperature": 0.05}, {"epoch": 1, "temperature": 0.05 + 5e-8}]
    panels = training_plots.panels_of({"temperature": {"": "temperature"}}, history)
    image = Image.open(io.BytesIO(training_plots.curves(history, panels))).convert("RGB")
    accent = tuple(int(reporting_figure.ACCENT[i : i + 2], 16) for i in (1, 3, 5))
    rows = np.flatnonzero(np.all(np.asarray(image) == accent, axis=-1).any(axis=1))
    assert len(rows) and np.ptp(rows) < image.height / 10
