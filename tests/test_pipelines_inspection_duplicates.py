"""Groups of the same image, and which of a group is a suspect."""

import shlex

import numpy as np
import pytest
from drawn_scans import CLASSES, Drawn, planted

import tfrecords
from pipelines.inspection import duplicates, leaks
from pipelines.inspection.scan import scan


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("duplicates") / "records"
    tfrecords.write(Drawn(planted()), folder, workers=1, progress=False)
    return folder


@pytest.fixture(scope="module")
def found(records):
    return scan(str(records), ["train", "test"])


def names(found, groups):
    return sorted(tuple(sorted(found.files[row] for row in group)) for group in groups)


def test_the_same_bytes_are_exact_duplicates(found):
    assert names(found, duplicates.exact(found)) == [
        ("test/0.png", "train/copy.png"),
        ("train/3.png", "train/twice.png"),
    ]


def test_an_image_encoded_again_is_a_near_duplicate_and_exact_ones_are_not_said_twice(found):
    pairs = duplicates.near(found)
    assert names(found, pairs) == [("test/1.png", "train/again.jpg")]
    a, b = pairs[0]
    assert np.bitwise_count(found.hashes[a] ^ found.hashes[b]) <= 8


def test_pairs_that_share_an_image_are_one_group():
    assert duplicates.groups(9, [(7, 1), (3, 4), (1, 2)]) == [[1, 2, 7], [3, 4]]


def test_images_of_a_split_that_stand_in_another_are_counted_once_each(found):
    groups = duplicates.joined(len(found.files), duplicates.exact(found), duplicates.near(found))
    assert duplicates.across(found, groups) == {"test in train": 2}


def test_the_test_image_stays_and_different_labels_are_said(found):
    groups = [*duplicates.exact(found), *duplicates.near(found)]
    suspects = duplicates.suspects(
        found, groups, kind="exact-duplicate", say=lambda row, stays: (1.0, "same"), names=CLASSES
    )
    said = {found.files[s.row]: (found.files[s.other], s.why) for s in suspects}
    assert said == {
        "train/copy.png": ("test/0.png", "same"),
        "train/again.jpg": ("test/1.png", "same; labelled cat here and dog there"),
        "train/twice.png": ("train/3.png", "same"),
    }


def test_embeddings_far_closer_than_neighbours_usually_are_are_similar():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 16)).astype("float32")
    rows = np.concatenate([rows, rows[:1] + 0.01 * rng.normal(size=(1, 16)).astype("float32")])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ((a, b, cosine),) = duplicates.similar(rows)
    assert (a, b) == (0, 40)
    assert cosine == pytest.approx(float(rows[0] @ rows[40]), abs=1e-6)


def test_a_long_search_says_how_long_after_its_first_block(monkeypatch, capsys):
    rows = np.random.default_rng(2).normal(size=(40, 16)).astype("float32")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = duplicates.similar(rows)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(duplicates, "_AT_ONCE", 16)
    monkeypatch.setattr(duplicates, "LONG", 0)
    assert duplicates.similar(rows) == found
    assert capsys.readouterr().out == "comparing 40 embeddings with each other: about 0 min\n"


def test_images_of_a_class_that_a_model_maps_to_one_point_are_no_copies():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40, 16))
    together = rows[:1] + 0.01 * rng.normal(size=(10, 16))
    rows = np.concatenate([rows, together, rows[1:2] + 0.01 * rng.normal(size=(1, 16))])
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("float32")
    ((a, b, _),) = duplicates.similar(rows)
    assert (a, b) == (1, 50)


def test_groups_grow_over_pairs_that_share_a_row():
    groups = duplicates.joined(6, [(0, 2)], [(2, 5), (1, 3)])
    assert groups[0] == groups[2] == groups[5] != groups[1] == groups[3]
    assert len(set(groups.tolist())) == 3
    assert len(set(duplicates.joined(3, []).tolist())) == 3


def test_test_images_in_train_are_one_line_and_without_any_there_is_none(records, tmp_path):
    (line,) = leaks(records, "test")
    assert line.startswith("2 of 3 test images also stand in train (1 byte for byte): ")
    assert f"inspect --data {shlex.quote(str(records))} --out FOLDER lists them" in line
    assert leaks(records, "train") == [] == leaks(records, "validation")
    clean = {split: rows[:3] for split, rows in planted().items()}
    tfrecords.write(Drawn(clean), tmp_path / "clean", workers=1, progress=False)
    assert leaks(tmp_path / "clean", "test")[:1] == []
