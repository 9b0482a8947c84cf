"""What a run was begun from is known by its content, not by its name."""

import dataclasses
from types import SimpleNamespace

import pytest

from pipelines.runs import resume_check
from tfrecords.manifest import Manifest

MANIFEST = Manifest(1, "pets", {}, ("cat",), (), "top1", False, {}, {}, {})


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_bytes(b"1")
    return tmp_path / "model"


@pytest.fixture
def out(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_other_records_and_another_model_under_the_same_name_are_refused_by_name(model, out):
    resume_check.keep(out, resume_check.of(MANIFEST, str(model)))
    resume_check.check(out, resume_check.of(MANIFEST, str(model)))
    (model / "a").write_bytes(b"2")
    with pytest.raises(ValueError, match=rf"other model {model} \(another one of that name now\)"):
        resume_check.check(out, resume_check.of(MANIFEST, str(model)))
    other = dataclasses.replace(MANIFEST, dataset="cars")
    with pytest.raises(ValueError, match=r"other records \(rewritten since\); give another"):
        resume_check.check(out, resume_check.of(other))


def test_other_texts_in_the_same_file_are_refused_by_its_name(out, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("a {}")
    given = SimpleNamespace(templates=[str(texts)], captions=None, class_names="none.csv")
    resume_check.keep(out, resume_check.of(MANIFEST, options=given))
    resume_check.check(out, resume_check.of(MANIFEST, options=given))
    resume_check.check(out, resume_check.of(MANIFEST))
    texts.write_text("the {}")
    with pytest.raises(ValueError, match=rf"other texts {texts} \(changed since\)"):
        resume_check.check(out, resume_check.of(MANIFEST, options=given))


def test_a_published_name_is_no_file():
    assert resume_check.of(MANIFEST, "clip-vit-base-patch32", None)["models"] == {}


def test_another_version_and_other_devices_are_said_once_and_noted(out, capsys):
    now = resume_check.of(MANIFEST)
    resume_check.keep(out, {**now, "versions": ["0.1"]}, devices=["CPU:0", "CPU:1"])
    assert resume_check.noted(out) == {} and capsys.readouterr().out == ""
    lines = [
        f"Begun with Duet 0.1, gone on with {resume_check.version()}.",
        "Begun on CPU:0, CPU:1, gone on on CPU:0, with batches of the same size.",
    ]
    for said in ("\n".join([*lines, ""]), ""):
        resume_check.keep(out, now, devices=["CPU:0"])
        assert resume_check.noted(out) == {"went_on": lines} and capsys.readouterr().out == said


def test_a_run_of_before_goes_on_and_a_damaged_origin_is_named(out):
    resume_check.check(out, resume_check.of(MANIFEST))
    for damage in ("{", "[]", "null", '{"models": [], "records": ""}'):
        (out / resume_check.FILE).write_text(damage)
        with pytest.raises(ValueError, match=r"origin\.json is damaged: .*; give another --out"):
            resume_check.check(out, resume_check.of(MANIFEST))
