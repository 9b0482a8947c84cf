"""Every key of what a checkpoint says about images is honoured, or refused by its name."""

import json

import numpy as np
import pytest

import tfrecords
from dual_encoder.checkpoints.huggingface.preprocessing import pixels, sized_pixels

USUAL = {
    "do_resize": True, "size": {"shortest_edge": 16}, "resample": 3, "do_center_crop": True,
    "crop_size": {"height": 16, "width": 16}, "do_rescale": True, "rescale_factor": 1 / 255,
    "do_normalize": True, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.25],
}  # fmt: skip
FOUND = {
    "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25), "resize": "crop", "interpolation": "bicubic",
}  # fmt: skip
SQUARE = {"height": 16, "width": 16}
SQUARE_224 = {"height": 224, "width": 224}
OPENAI = (0.48145466, 0.4578275, 0.40821073)
# As image processors of `transformers` 5 write themselves.
OF_FIVE = {
    "data_format": "channels_first", "default_to_square": False, "device": None, "do_pad": None,
    "disable_grouping": None, "do_convert_rgb": True, "image_processor_type": "CLIPImageProcessor",
    "input_data_format": None, "pad_size": None, "return_tensors": None, "image_seq_length": None,
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    """What a folder with these settings says of a model of 16 pixels."""

    def call(config, *, kind="clip", file="preprocessor_config.json"):
        (tmp_path / file).write_text(json.dumps(config))
        return pixels(tmp_path, 16, kind=kind)

    return call


def without(*keys):
    return {key: value for key, value in USUAL.items() if key not in keys}


def test_the_usual(read):
    assert read(USUAL) == FOUND
    assert read(USUAL | OF_FIVE) == FOUND


def test_transformers_5_puts_them_into_processor_config_json(read):
    nested = {"processor_class": "CLIPProcessor", "image_processor": USUAL | OF_FIVE}
    assert read(nested, file="processor_config.json") == FOUND
    # Of both files it takes the newer one; a processor_config.json without images says nothing.
    read_both = read(USUAL | {"resample": 2})
    assert read_both == FOUND
    assert read({"processor_class": "CLIPProcessor"}, file="processor_config.json") == (
        FOUND | {"interpolation": "bilinear"}
    )


def test_neither_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no preprocessor_config\.json here"):
        pixels(tmp_path, 16, kind="clip")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"do_normalize": False}, lambda x: x / 255),
        ({"do_rescale": False}, lambda x: (x - 0.4) / 0.2),
        ({"rescale_factor": 1 / 127.5}, lambda x: (x / 127.5 - 0.4) / 0.2),
        ({"do_rescale": False, "do_normalize": False}, lambda x: x),
        ({"image_mean": 0.4, "image_std": 0.2}, lambda x: (x / 255 - 0.4) / 0.2),
    ],
)
def test_statistics_give_the_numbers_that_these_steps_give(read, change, expected):
    found = read(USUAL | change)
    x = np.array([0.0, 17.0, 255.0])
    ours = (x - found["mean"][0] * 255) / (found["std"][0] * 255)  # as towers do it
    np.testing.assert_allclose(ours, expected(x), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("config", "resize"),
    [
        (without("size", "crop_size") | {"size": 16, "crop_size": 16}, "crop"),  # OpenAI's, of 2021
        (without("crop_size"), "crop"),
        (without("size", "crop_size"), "crop"),
        (USUAL | {"size": SQUARE}, "squash"),
        (without("crop_size") | {"do_center_crop": False, "size": SQUARE}, "squash"),
        (without("crop_size") | {"do_center_crop": False, "size": 16}, "squash"),
        (without("crop_size") | {"default_to_square": True, "size": 16}, "squash"),
    ],
)
def test_forms_of_sizes(read, config, resize):
    assert read(config)["resize"] == resize


@pytest.mark.parametrize(
    ("kind", "config", "side", "resized", "resize"),
    [
        # As DINOv2, DeiT (of both kinds), ConvNeXt and Swin are published.
        ("dinov2", {"size": {"shortest_edge": 256}, "crop_size": SQUARE_224}, 224, 256, "crop"),
        ("deit", {"size": 256, "crop_size": 224, "do_center_crop": True}, 224, 256, "squash"),
        ("vit", {"size": 256, "crop_size": 224, "do_center_crop": True}, 224, 256, "squash"),
        ("convnext", {"size": 224, "crop_pct": 0.875}, 224, 256, "crop"),
        ("convnext", {"size": {"shortest_edge": 384}, "crop_pct": 1.0}, 384, 384, "squash"),
        ("swin", {"size": 224}, 224, 224, "squash"),
        # What is left out is as the library has it.
        ("dinov2", {}, 224, 224, "crop"),
        ("deit", {}, 224, 256, "squash"),
        ("convnextv2", {}, 384, 384, "squash"),
        ("dinov3_vit", {}, 224, 224, "squash"),
        # 224 / (224 / 400) is a little less than 400.
        ("dinov2", {"size": {"shortest_edge": 400}, "crop_size": 224}, 224, 400, "crop"),
    ],
)
def test_image_encoders_take_the_size_of_the_file(tmp_path, kind, config, side, resized, resize):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    size, found = sized_pixels(tmp_path, kind=kind)
    how = tfrecords.Preprocessing(
        size, found["resize"], crop_fraction=found.get("crop_fraction", 1.0)
    )
    assert (how.image_size, how.resized_side, how.resize) == (side, resized, resize)


def test_a_margin_that_a_model_of_this_size_is_shown_without(read):
    found = read(USUAL | {"size": {"shortest_edge": 20}})
    assert found == FOUND | {"crop_fraction": 16 / 20}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"size": SQUARE}, "expected size with shortest_edge; got"),
        ({"size": 16, "crop_pct": 1.5}, "expected crop_pct above 0, at most 1; got 1.5"),
        ({"size": 16, "crop_pct": "7/8"}, "expected a number for crop_pct; got '7/8'"),
    ],
)
def test_what_convnext_cannot_mean(read, config, message):
    with pytest.raises(ValueError, match=message):
        read(config, kind="convnext")


def test_only_convnext_has_its_own_share(read):
    with pytest.raises(ValueError, match=r"says crop_pct = 0\.875, which is unknown"):
        read(USUAL | {"crop_pct": 0.875})


@pytest.mark.parametrize(
    ("kind", "mean", "interpolation", "resize"),
    [
        ("clip", OPENAI, "bicubic", "crop"),
        ("vit", (0.5,) * 3, "bilinear", "squash"),
        ("siglip", (0.5,) * 3, "bicubic", "squash"),
    ],
)
def test_what_is_left_out_is_as_transformers_has_it(read, kind, mean, interpolation, resize):
    found = read({"size": 16, "image_mean": None}, kind=kind)
    assert (found["mean"], found["interpolation"]) == (mean, interpolation)
    assert found["resize"] == resize


@pytest.mark.parametrize(
    ("key", "name", "kind"),
    [
        ("image_processor_type", "ViTImageProcessor", "vit"),
        ("image_processor_type", "ViTImageProcessorFast", "vit"),
        ("image_processor_type", "SiglipImageProcessor", "siglip"),
        ("feature_extractor_type", "ConvNextFeatureExtractor", "convnext"),
        ("feature_extractor_type", "ChineseCLIPFeatureExtractor", "clip"),
    ],
)
def test_the_processor_that_a_file_names_counts_before_the_model(read, key, name, kind):
    given = {"size": {"shortest_edge": 16} if kind == "convnext" else 16}
    for model in ("clip", "siglip", "vit"):
        assert read(given | {key: name}, kind=model) == read(given, kind=kind)


@pytest.mark.parametrize("name", ["BlipImageProcessor", "CLIPProcessor", 7])
def test_other_processors_are_refused(read, name):
    with pytest.raises(ValueError, match=r"expected an image_processor_type of Bit, CLIP, .*; got"):
        read(USUAL | {"image_processor_type": name})


def test_a_shorter_side_without_a_crop_makes_no_squares(read):
    with pytest.raises(ValueError, match="expected do_center_crop true, or a size of height"):
        read({"size": {"shortest_edge": 16}}, kind="siglip")


def test_google_s_file_of_160_bytes(read):
    """Those of its ViTs have no `resample`: `transformers` then takes bilinear."""
    half = [0.5, 0.5, 0.5]
    given = {"do_normalize": True, "do_resize": True, "image_mean": half, "image_std": half}
    found = read(given | {"size": 16}, kind="vit")
    assert found["interpolation"] == "bilinear" and found["resize"] == "squash"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"do_resize": False}, "expected do_resize true; got False"),
        ({"resample": 1}, "expected resample 2 or 3; got 1"),
        ({"size": {"longest_edge": 16}}, "with shortest_edge; got {'longest_edge': 16}"),
        ({"size": {"height": 16, "width": 8}}, "makes images of 16 x 8 pixels; the model takes 16"),
        ({"size": {"shortest_edge": 9}}, "makes images of 9 pixels; the model takes 16"),
        ({"size": "16"}, "expected size with height and width"),
        ({"crop_size": 32}, "cuts out 32 x 32 pixels; the model takes 16"),
        ({"size": SQUARE | {"height": 20}}, "makes images of 20 x 16 pixels; the model takes 16"),
        ({"do_center_crop": False, "size": 20}, "images of 20 x 20 pixels; the model takes 16"),
        ({"do_center_crop": False}, "expected do_center_crop true, or a size of height and width"),
        ({"rescale_factor": "1/255"}, "expected a number for rescale_factor; got '1/255'"),
        ({"rescale_factor": 0}, "expected rescale_factor and image_std above 0"),
        ({"image_std": [0, 1, 1]}, "expected rescale_factor and image_std above 0"),
        ({"image_mean": [0.5]}, "expected image_mean with 3 numbers; got [0.5]"),
        ({"do_pad": True}, "expected do_pad null or false; got True"),
        ({"do_grey": True}, "says do_grey = True, which is unknown"),
        ({"mean": [0.5] * 3}, "says mean = [0.5, 0.5, 0.5], which is unknown"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(read, tmp_path, change, message):
    with pytest.raises(ValueError) as caught:
        read(USUAL | change)
    line = str(caught.value)
    assert message in line and "\n" not in line
    assert line.startswith(f"{tmp_path}: preprocessor_config.json")
