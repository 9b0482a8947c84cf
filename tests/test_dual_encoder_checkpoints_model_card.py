"""The card of a repository: its header, its figures, its code."""

import json

import keras
import pytest
import yaml
from tiny_models import PIXELS, bert, clip, vit

import dual_encoder
from dual_encoder.checkpoints.model_card import model_card, read_results

RESULTS = {
    "schema": 2,
    "command": "evaluate",
    "created": "2026-11-05T12:00:00+01:00",
    "dataset": "shapes|of mine",
    "split": "test",
    "model": "/home/someone/runs/one",
    "images": 1200,
    "classes": 24,
    "metrics": {"top1": 0.8237, "ece": None, "nll": 0.51239},
    "intervals": {"top1": [0.8071, 0.8402]},
    "protocol": "zero-shot",
    "templates": ["a {}", "a photo of `a` {}."],
    "versions": {"python": "3.11.9", "keras": "3.15.0"},
}


def card_of(model, **options):
    model.build()
    return model_card(model, "me/shapes", **options)


def test_frozen_weights_are_parameters_too():
    model = clip()
    (before,) = (line for line in card_of(model).splitlines() if "Parameters" in line)
    model.trainable = False
    assert before in card_of(model).splitlines() and "| 0 |" not in before


def test_the_card_has_the_figures():
    card = card_of(clip(), results=RESULTS, licence="mit", architecture="CLIPModel")
    _, header, body = card.split("---\n", 2)
    assert yaml.safe_load(header) == {
        "license": "mit",
        "library_name": "transformers",
        "pipeline_tag": "zero-shot-image-classification",
        "tags": ["duet", "dual-encoder"],
    }
    lines = body.splitlines()
    for line in (
        "| Top-1 accuracy | 82.4 % | 80.7 % to 84.0 % |",
        "| Calibration error | unknown |  |",
        "| nll | 0.5124 |  |",
        "| Dataset | shapes\\|of mine |",
        "| Protocol | zero-shot |",
        "| Images | 1,200 |",
        "| Classes | 24 |",
        "| Measured as | one |",
        "    a photo of `a` {}.",
        "| measured with | keras | 3.15.0 |",
        'model = dual_encoder.load("hf://me/shapes")',
        "images = model.encode_image(pixels)  # 0-255, 16 x 16",
        "| Pixels of a patch | 8 |",
    ):
        assert line in lines, f"{line}\n\n{card}"
    assert '`transformers.CLIPModel.from_pretrained("me/shapes")`' in body
    assert "/home/someone" not in card


@pytest.mark.parametrize(
    ("make", "task"),
    [
        (lambda: vit(keras.layers.Dense(1), class_names=["a"]), "image-classification"),
        (vit, "image-feature-extraction"),
        (bert, "feature-extraction"),
    ],
)
def test_the_card_without_results(make, task):
    card = card_of(make())
    assert "Nothing was measured." in card and "%" not in card
    assert f"pipeline_tag: {task}\n" in card and "library_name: keras\n" in card
    assert "license: unknown\n" in card and "transformers" not in card


def test_the_code_of_the_card_runs(tmp_path):
    for name, make in (("clip", clip), ("vit", vit), ("bert", bert)):
        code = card_of(make()).split("```python\n")[1].split("```")[0]
        dual_encoder.save_pretrained(make(), tmp_path / name)
        found = {"pixels": PIXELS}
        exec(code.replace("hf://me/shapes", str(tmp_path / name)), found)
        made = [found[key] for key in ("texts", "images", "outputs", "features") if key in found]
        assert [len(each) for each in made] == ([1, 3] if name == "clip" else [len(made[0])])


def test_results_that_are_none(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    assert read_results(tmp_path) == read_results(tmp_path / "results.json") == RESULTS
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ValueError, match="not readable as JSON"):
        read_results(tmp_path)
    with pytest.raises(ValueError, match="expected results of schema 2; got 3"):
        read_results({"schema": 3})
    with pytest.raises(FileNotFoundError, match="no such results"):
        read_results(tmp_path / "none.json")
