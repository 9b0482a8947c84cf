"""What `--method auto` is for some images, and why."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.finetuning import auto_method, wise_ft
from pipelines.finetuning.options import Options

RIGHT = np.array([True] * 60 + [False] * 40)  # of the row: 60 %, 50.4 to 69.6


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Trainings with classes set aside whose ends are given, and what auto makes of them."""
    asked = []

    def against(first, whole, *, epochs=10, alpha=0.5):
        def choose_alpha(train, options, data, *, directory, devices):
            asked.append((directory.name, options.epochs))
            began = directory.name == auto_method.FIRST
            right = (np.arange(100) < 100 * first).tolist() if began else whole
            return {"chosen": alpha, "right": right, "seconds": 3.0}

        monkeypatch.setattr(wise_ft, "choose_alpha", choose_alpha)
        options = Options("records", "clip", str(tmp_path), method="projection-ft", epochs=epochs)
        given = (None, options, SimpleNamespace(), "blend", RIGHT)
        low, _ = auto_method._interval(RIGHT)
        return auto_method._against_tower(*given, low=low, out=tmp_path, devices=1), asked

    return against


def test_a_tower_that_begins_below_the_rows_interval_is_left_at_that(trained):
    found, asked = trained(0.5, None)
    assert asked == [("tried", 2)]
    assert "method" not in found and found["seconds"] == 3
    assert found["why"].startswith("blend is right for 60.0 % of the images to choose by, ")
    assert found["why"].endswith("projection-ft after 2 of 10 passes, alpha 0.5, for 50.0 %")


def test_a_tower_that_is_surely_better_is_taken_with_its_alpha(trained):
    found, asked = trained(0.55, (RIGHT | (np.arange(100) > 90)).tolist())
    assert asked == [("tried", 2), ("set-aside", 10)]
    assert found["method"] == "projection-ft" and found["seconds"] == 6
    assert found["why"].endswith("projection-ft with alpha 0.5 for 69.0 %")
    assert found["tried"] == {"blend": 0.6, "projection-ft": 0.69}


def test_a_tower_that_is_as_good_within_the_error_is_not(trained):
    other = RIGHT.copy()
    other[50:60], other[60:71] = False, True  # better by one image of 21 that differ
    assert trained(0.6, other.tolist())[0]["method"] == "blend"


def test_its_seconds_are_those_of_the_rows_and_of_the_tower(monkeypatch, tmp_path):
    many = SimpleNamespace(seen=tuple(range(20)), train=(0, 1))
    monkeypatch.setattr(auto_method.class_split, "pseudo", lambda parts, seed: (0, 1))
    monkeypatch.setattr(auto_method.class_split, "set_aside", lambda parts, away, labels: parts)
    monkeypatch.setattr(auto_method, "_best_row", lambda *_, **__: ("blend", RIGHT, 2.0))
    chosen = {"chosen": 0.5, "right": RIGHT.tolist(), "seconds": 3.0}
    monkeypatch.setattr(wise_ft, "choose_alpha", lambda *_, **__: chosen)

    @dataclasses.dataclass
    class Data:
        parts: object
        labels: object = None
        batch_size: int = 1

    options = Options("records", "clip", str(tmp_path), method="projection-ft", epochs=1)
    given = {"out": tmp_path, "claim": None, "devices": 1}
    assert auto_method.choose(None, options, Data(many), **given)["seconds"] == 5
    assert auto_method.choose(None, options, None, **given)["seconds"] == 5  # from its file


@pytest.mark.parametrize("epochs", (1, 4))
def test_few_passes_are_not_tried_before(trained, epochs):
    assert trained(0.1, RIGHT.tolist(), epochs=epochs)[1] == [("set-aside", epochs)]


def test_the_interval_of_an_accuracy():
    assert auto_method._interval(RIGHT) == pytest.approx((0.504, 0.696), abs=1e-3)
    assert auto_method._interval(np.ones(30, bool)) == pytest.approx((0.9, 1.1))
