"""JSON files of a checkpoint: what a configuration may say of the sizes of a model."""

import json

import pytest

from dual_encoder.checkpoints.json_files import read_config, read_json


def written(folder, document):
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "config.json").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hidden_size": "224"}, "expected a whole number above 0 for hidden_size; got '224'"),
        ({"hidden_size": True}, "expected a whole number above 0 for hidden_size; got True"),
        ({"patch_size": 0}, "expected a whole number above 0 for patch_size; got 0"),
        ({"image_size": {"a": 1}}, "expected a whole number above 0 for image_size; got {'a': 1}"),
        ({"depths": []}, r"expected whole numbers above 0 for depths; got \[\]"),
        ({"depths": [2, -1]}, r"expected whole numbers above 0 for depths; got \[2, -1\]"),
        ({"mlp_ratio": "4"}, "expected a number that is not below 0 for mlp_ratio; got '4'"),
        ({"vision_config": -1}, "expected vision_config with settings; got -1"),
        (
            {"model_cfg": {"text_cfg": {"width": 1.5}}},
            r"expected a whole number above 0 for width; got 1\.5",
        ),
    ],
)
def test_a_setting_that_is_none_of_its_kind_is_refused_by_name(setting, message, tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}: config.json: {message}$"):
        read_config(written(tmp_path, setting), "config.json")


def test_what_published_configurations_say_is_taken(tmp_path):
    document = {
        "model_cfg": {"vision_cfg": {"layers": [3, 4, 6, 3], "patch_size": None, "mlp_ratio": 4}},
        "type_vocab_size": 0, "id2label": {"0": "width"}, "architectures": ["heads"],
    }  # fmt: skip
    assert read_config(written(tmp_path, document), "config.json") == document


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[1]", "expected an object; got a list"),
        ("[" * 9999, "JSON"),
    ],
)
def test_what_is_no_object_is_refused(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_json(written(tmp_path, text), "config.json")
