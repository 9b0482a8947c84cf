"""Predictions of a model: the most probable class, and no answer where the model is broken."""

import numpy as np
import pytest

from pipelines.runs import predictions

NAN = np.nan
LABELS = np.array([0, 1, 2])


def of(*rows):
    return predictions.of(LABELS, np.array(rows, np.float32), seen=(0, 1), held_out=(2,))


def test_each_image_is_told_among_its_own_classes_and_among_all():
    said = of([1, 2, 3], [1, 2, 3], [1, 2, 0])
    assert said.own.tolist() == [1, 1, 2] and said.among_all.tolist() == [2, 2, 1]
    assert said.right.tolist() == [False, True, True]


def test_classes_that_cannot_be_named_are_never_said():
    said = of([1, 2, NAN], [1, 2, NAN], [2, 1, NAN])
    assert said.own.tolist() == [1, 1, -1] and said.among_all.tolist() == [1, 1, 0]


@pytest.mark.parametrize("bad", [NAN, np.inf])
@pytest.mark.parametrize("column", [0, 2])
def test_nan_and_infinity_are_no_answers(bad, column):
    rows = np.zeros([3, 3], np.float32)
    rows[1, column] = bad
    with pytest.raises(RuntimeError, match="answers 1 of 3 images with NaN or infinity"):
        of(*rows)


def test_they_are_read_as_they_were_written(tmp_path):
    predictions.write(tmp_path / "run", of([1, 2, 3], [1, 2, 3], [1, 2, 0]))
    assert predictions.read(tmp_path / "run").own.tolist() == [1, 1, 2]
