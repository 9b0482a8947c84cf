"""Accuracy against images per class, and what more of them would bring."""

import json

import pytest
from scipy import stats

from pipelines.comparison.report import learning_curve


def law(shots):
    return 0.9 - 0.4 * shots**-0.5


def test_a_power_law_is_found_again():
    shots = [1, 2, 4, 8, 16]
    found = learning_curve.expected(shots, [law(n) for n in shots], at=64)
    assert found == pytest.approx(law(64), abs=0.002)


def test_what_does_not_grow_is_not_expected_to():
    assert learning_curve.expected([1, 2, 4], [0.5, 0.5, 0.5], at=8) == pytest.approx(0.5, abs=0.01)
    assert learning_curve.expected([1, 2, 4], [0.97, 0.99, 1.0], at=1000) <= 1


def test_points_have_intervals_over_seeds_and_the_forecast_its_error(tmp_path):
    cells = []
    for shots in (1, 2, 4, 8):
        for seed, shift in enumerate((-0.02, 0.0, 0.02)):
            folder = tmp_path / f"{shots}-{seed}"
            folder.mkdir()
            document = {"schema": 2, "metrics": {"top1": law(shots) + shift}}
            (folder / "results.json").write_text(json.dumps(document))
            cells.append(("text-probe", shots, folder))
    cells.append(("gaussian", 1, tmp_path / "1-0"))  # one number alone is no curve
    (curve,) = learning_curve.curves(cells)
    last = curve["points"][-1]
    half = stats.t.ppf(0.975, 2) * 0.02 / 3**0.5
    assert last["mean"] == pytest.approx(law(8))
    assert last["interval"] == pytest.approx([law(8) - half, law(8) + half])
    assert curve["twice"] == pytest.approx(law(16), abs=0.003)
    assert curve["off"] == pytest.approx(0, abs=0.003)
    (line,) = learning_curve.lines([curve])
    assert line.startswith("text-probe: 50.0 % with 1, ") and "; 16 would bring about +4." in line
    assert line.endswith("(the same forecast of 8 was 0.0 off)")
