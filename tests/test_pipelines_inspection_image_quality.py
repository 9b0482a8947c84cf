"""Blank, tiny, blurred and oddly shaped images."""

import numpy as np
import pytest
from drawn_scans import Drawn, planted

import tfrecords
from pipelines.inspection.image_quality import blurred, spoilt
from pipelines.inspection.scan import scan


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixels") / "records"
    tfrecords.write(Drawn(planted()), folder, workers=1, progress=False)
    return scan(str(folder), ["train", "test"])


def test_each_spoilt_image_is_found_and_no_other(found):
    said = {(found.files[s.row], s.kind): s.why for s in spoilt(found)}
    assert sorted(said) == [
        ("train/blank.png", "blank"),
        ("train/long.png", "odd-shape"),
        ("train/soft.png", "blurred"),
        ("train/tiny.png", "tiny"),
    ]
    assert said["train/tiny.png", "tiny"] == "24 x 20 pixels"
    assert said["train/long.png", "odd-shape"] == "400 x 100 pixels, 4.0 to 1"
    assert said["train/blank.png", "blank"] == "grey values vary by 0.0 of 255"


def test_contrast_and_sharpness_are_those_of_the_grey_values(found):
    assert found.sharpness[found.files.index("train/blank.png")] == 0
    soft, sharp = (found.sharpness[found.files.index(f"train/{n}.png")] for n in ("soft", "0"))
    assert soft < sharp / 100


def test_what_is_sharp_depends_on_the_set():
    smooth = np.random.default_rng(0).uniform(5, 20, 50)  # all of them soft: none stands out
    assert blurred(smooth, among=np.ones(50, bool)) == []
    ((row, deviations),) = blurred(np.append(smooth, 1e-3), among=np.ones(51, bool))
    assert row == 50 and deviations > 4
    assert blurred(np.append(smooth, 1e-3)[-19:], among=np.ones(19, bool)) == []  # too few
