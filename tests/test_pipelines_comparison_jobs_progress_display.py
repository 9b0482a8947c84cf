"""How one follows a comparison: what is predicted to be left, and the table that fills."""

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from pipelines.comparison.jobs.progress_display import Display, Pace
from pipelines.runs import results as results_files


def job(name, folder=None, *, fit=None, passes=1.0, epochs=2, top1=None):
    """A run; one that has ended has an accuracy."""
    family = "tower" if fit is None else "features"
    method = SimpleNamespace(name=name, fit=fit, passes=passes, family=family)
    finished = ()
    if folder is not None:
        results = folder / name / "results.json"
        if top1 is not None:
            results.parent.mkdir()
            metrics = {"top1": top1, "unseen_top1": None}
            document = {"schema": results_files.SCHEMA, "metrics": metrics}
            results.write_text(json.dumps(document))
        finished = (results,)
    options = SimpleNamespace(epochs=epochs)
    return SimpleNamespace(
        name=f"{name}, seed 1",
        method=method,
        options=options,
        finished=finished,
        shown=finished,
        is_done=top1 is not None,
        failure=None,
    )


def test_what_is_left_takes_as_long_as_what_it_is_like():
    pace = Pace()
    probe, text_probe = job("probe", fit=print), job("text-probe", fit=print)
    tune, auto = job("tune"), job("auto", passes=2.5)
    assert pace.left([]) == 0.0 and pace.left([probe]) is None  # nothing is known yet
    pace.note(probe, 10.0)
    assert pace.left([text_probe, text_probe]) == pytest.approx(20.0)
    assert pace.left([text_probe, tune]) is None
    pace.note(tune, 30.0)  # 2 passes
    assert pace.left([tune, text_probe]) == pytest.approx(40.0)
    assert pace.left([auto]) == pytest.approx(30.0 / 2 * 5)


def test_the_table_fills(tmp_path):
    jobs = [job("probe", tmp_path, fit=print, top1=0.75), job("tune", tmp_path)]
    display = Display(jobs)
    display.pace.note(jobs[0], 65.0)
    display.pace.note(job("tune"), 30.0)
    display.now = jobs[1]
    said = io.StringIO()
    Console(file=said, width=100).print(display.shown())
    headline, _, head, probe, tune = (line.rstrip() for line in said.getvalue().splitlines())
    assert headline.startswith("1 of 2 runs, now tune, seed 1, about ")
    assert head.split() == ["method", "runs", "seen", "held", "out", "time"]
    assert probe.split() == ["probe", "1/1", "75.0", "%", "1.1", "min"]
    assert list(Display(jobs, "map").figures) == ["mAP"]
    assert tune.split()[:3] == ["tune", "0/1", "running,"]


def test_runs_of_a_curve_are_not_in_the_figure_of_their_row(tmp_path):
    """Which is of most images per class, or of all there are."""
    done = job("probe", tmp_path, fit=print, top1=0.75)
    few = job("few", tmp_path, fit=print, top1=0.25)
    few.method, few.shown = done.method, ()
    assert Display([done, few])._row("probe")[1:4] == ["2/2", "75.0 %", ""]
