"""Published layouts, on tiny checkpoints that their libraries wrote (tests/parity/tiny.py)."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_sizes import name_tiny_towers

import dual_encoder
import tfrecords
from dual_encoder.checkpoints.weights.position_embeddings import interpolated

pytestmark = pytest.mark.usefixtures("all_eagerly")

FIXTURES = Path(__file__).parent / "fixtures" / "pretrained"
NAMES = sorted(path.name for path in FIXTURES.iterdir())
TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch):
    """OpenCLIP's configurations name some towers instead of describing them; these are tiny."""
    name_tiny_towers(monkeypatch)


@pytest.fixture
def copied(tmp_path):
    """A function that copies a fixture to where it may be changed."""

    def copy(name):
        return Path(shutil.copytree(FIXTURES / name, tmp_path / name))

    return copy


def expected(name):
    return load_file(FIXTURES / name / "expected.safetensors")


def assert_agrees(model, wanted):
    """The model's outputs are those of the reference."""
    two_towers = isinstance(model, dual_encoder.DualEncoder)
    if "image" in wanted:
        encode = model.encode_image if two_towers else model.predict_on_batch
        found = np.array(encode(wanted["image_pixels"]))
        np.testing.assert_allclose(found, wanted["image"], atol=TOLERANCE)
    if "text" in wanted:
        encode = model.encode_text if two_towers else model.predict_on_batch
        np.testing.assert_allclose(
            np.array(encode(wanted["token_ids"])), wanted["text"], atol=TOLERANCE
        )


def changed_json(path, **changes):
    document = json.loads(path.read_text())
    for dotted, value in changes.items():
        *parts, last = dotted.split("__")
        inner = document
        for part in parts:
            inner = inner[part]
        inner[last] = value
    path.write_text(json.dumps(document))


def refused(error, *arguments, **options):
    """The message, one line, of what `load` raises."""
    with pytest.raises(error) as caught:
        dual_encoder.load(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_fixtures_are_small():
    assert len(NAMES) == 42
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*.*")) < 1_000_000


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_the_reference_s(name):
    assert_agrees(dual_encoder.load(FIXTURES / name), expected(name))


@pytest.mark.parametrize("name", NAMES)
def test_everything_travels_with_the_keras_file(name, tmp_path):
    model = dual_encoder.load(FIXTURES / name)
    model.save(tmp_path / "model.keras")
    loaded = dual_encoder.load(tmp_path / "model.keras")
    assert_agrees(loaded, expected(name))
    if "image" in expected(name):
        assert loaded.preprocessing == model.preprocessing
        assert loaded.image_tower.mean == (0.4, 0.5, 0.6)


@pytest.mark.parametrize("name", [name for name in NAMES if "larger" in expected(name)])
def test_other_sizes_interpolate_positions_as_the_library_does(name):
    wanted = expected(name)
    model = dual_encoder.load(FIXTURES / name, image_size=24)
    found = np.array(model.encode_image(wanted["larger_pixels"]))
    np.testing.assert_allclose(found, wanted["larger"], atol=TOLERANCE)


def test_a_margin_is_cut_off_where_the_checkpoint_was_trained_so():
    model = dual_encoder.load(FIXTURES / "deit")
    assert model.preprocessing == {
        "image_size": 16,
        "resize": "squash",
        "interpolation": "bicubic",
        "crop_fraction": 16 / 18,
    }
    assert tfrecords.Preprocessing(**model.preprocessing).resized_side == 18
    assert dual_encoder.load(FIXTURES / "convnext").preprocessing["crop_fraction"] == 0.875
    assert "crop_fraction" not in dual_encoder.load(FIXTURES / "swin").preprocessing


def test_clip_s_text_tower_alone_finds_the_end_in_a_larger_vocabulary(copied):
    """An eos_token_id of 2 means the end of a text, not the last row of a table that has grown."""
    folder, wanted = copied("clip_text"), expected("clip_text")
    changed_json(folder / "config.json", eos_token_id=2, vocab_size=22)
    tensors, name = load_file(folder / "model.safetensors"), "embeddings.token_embedding.weight"
    name = next(key for key in tensors if key.endswith(name))
    tensors[name] = np.concatenate([tensors[name], tensors[name][:2]])
    save_file(tensors, folder / "model.safetensors")
    assert_agrees(dual_encoder.load(folder), wanted)
    changed_json(folder / "config.json", eos_token_id=7)
    assert "expected eos_token_id 5 in config.json" in refused(ValueError, folder)


def test_interpolated_positions():
    table = np.random.default_rng(0).normal(size=(1 + 16, 3)).astype("float32")
    for antialias in (False, True):
        np.testing.assert_array_equal(interpolated(table, 4, extra=1, antialias=antialias), table)
        constant = np.ones((1 + 16, 3), "float32")
        for grid in (2, 3, 7):
            ones = interpolated(constant, grid, extra=1, antialias=antialias)
            np.testing.assert_allclose(ones, np.ones((1 + grid**2, 3)), atol=1e-6)
    fewer = [interpolated(table, 2, extra=1, antialias=a) for a in (False, True)]
    assert np.abs(fewer[0] - fewer[1]).max() > 0.01  # antialiasing matters where places are lost
    with pytest.raises(ValueError, match=r"expected 1 \+ a square number; got 18"):
        interpolated(np.ones((18, 3)), 2, extra=1, antialias=True)


# --- What must not go unnoticed -----------------------------------------------------------------


def test_a_wrong_activation_is_noticed(copied):
    folder = copied("clip_quick_gelu_legacy_eos")
    for part in ("text", "vision"):
        changed_json(folder / "config.json", **{f"{part}_config__hidden_act": "gelu"})
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_agrees(dual_encoder.load(folder), expected(folder.name))


def test_a_transposed_projection_is_noticed(copied):
    folder = copied("clip_quick_gelu_legacy_eos")
    tensors = load_file(folder / "model.safetensors")
    tensors["text_projection.weight"] = np.ascontiguousarray(tensors["text_projection.weight"].T)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_agrees(dual_encoder.load(folder), expected(folder.name))


def test_swapped_mean_and_deviation_are_noticed(copied):
    folder = copied("siglip")
    pixels = json.loads((folder / "preprocessor_config.json").read_text())
    swapped = {"image_mean": pixels["image_std"], "image_std": pixels["image_mean"]}
    changed_json(folder / "preprocessor_config.json", **swapped)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_agrees(dual_encoder.load(folder), expected(folder.name))


@pytest.mark.parametrize("name", ["clip_gelu_bfloat16", "open_clip_vit"])
def test_a_missing_causal_mask_is_noticed(name):
    model = dual_encoder.load(FIXTURES / name)
    model.text_tower.causal = False
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_agrees(model, expected(name))


# --- Other forms of the same ---------------------------------------------------------------------


def test_weights_in_several_files(copied):
    folder = copied("clip_gelu_bfloat16")
    from dual_encoder.checkpoints.weights.weight_files import open_tensors

    tensors = {
        name: value.astype("float32")
        for name, value in open_tensors(folder, "transformers").items()
    }
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, some in parts.items():
        save_file({name: tensors[name] for name in some}, folder / file)
    weight_map = {name: file for file, some in parts.items() for name in some}
    index = {"weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    assert_agrees(dual_encoder.load(folder), expected(folder.name))
    (folder / "model-2.safetensors").unlink()
    assert "lists model-2.safetensors, which is not here" in refused(FileNotFoundError, folder)


def test_an_index_says_which_copy_of_a_tensor_counts(copied):
    folder = copied("clip_quick_gelu_legacy_eos")
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, some in parts.items():
        copies = {name: tensors[name] * (name in some) for name in (names[0], names[1])}
        copies = {name: np.asarray(value, tensors[name].dtype) for name, value in copies.items()}
        save_file({name: tensors[name] for name in some} | copies, folder / file)
    weight_map = {name: file for file, some in parts.items() for name in some}
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    (folder / "model.safetensors").unlink()
    assert_agrees(dual_encoder.load(folder), expected(folder.name))
    path.write_text(json.dumps({"weight_map": weight_map | {"x": "model-2.safetensors"}}))
    assert "lists x in model-2.safetensors, which has it not" in refused(ValueError, folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(copied, value):
    folder = copied("clip_quick_gelu_legacy_eos")
    tensors = load_file(folder / "model.safetensors")
    name = "text_model.embeddings.token_embedding.weight"
    tensors[name][3, 0] = value
    save_file(tensors, folder / "model.safetensors")
    assert f"{name}: expected numbers; got NaN or infinity" in refused(ValueError, folder)


@pytest.mark.parametrize("name", ["siglip", "clip_quick_gelu_legacy_eos", "chinese_clip"])
def test_texts_are_cut_to_the_length_of_the_tokenizer(copied, name):
    folder = copied(name)
    changed_json(folder / "tokenizer_config.json", model_max_length=5)
    model = dual_encoder.load(folder)
    assert model.context_length == model.tokenizer.context_length == 5
    found = model.encode_text(["a"])
    np.testing.assert_allclose(found, model.encode_text(model.tokenizer(["a"])), atol=1e-6)
    assert model.tokenizer(["a"], length=model.context_length).shape == (1, 5)
    changed_json(folder / "tokenizer_config.json", model_max_length=10**30)
    assert dual_encoder.load(folder).context_length == model.text_tower.context_length


@pytest.mark.parametrize("name", ["bert_mean", "chinese_clip"])
def test_what_is_padding_is_said_by_the_tokenizer(copied, name):
    folder = copied(name)
    part = "text_config__pad_token_id" if name == "chinese_clip" else "pad_token_id"
    changed_json(folder / "config.json", **{part: 1})  # of no effect in `transformers`
    assert_agrees(dual_encoder.load(folder), expected(name))


def test_weights_that_were_quantized_once_are_as_they_are(copied):
    folder = copied("bert_mean")
    changed_json(folder / "config.json", quantization_config=None)
    assert_agrees(dual_encoder.load(folder), expected("bert_mean"))


@pytest.mark.parametrize("name", ["vit_classifier", "deit"])
def test_class_names_may_be_a_list(copied, name):
    folder = copied(name)
    names = [*map(str.upper, dual_encoder.load(folder).class_names)]
    changed_json(folder / "config.json", id2label=names)
    assert dual_encoder.load(folder).class_names == names


@pytest.mark.parametrize("name", ["vit_classifier", "deit"])
def test_an_image_may_have_several_classes_where_the_problem_says_so(copied, name, tmp_path):
    folder = copied(name)
    changed_json(folder / "config.json", problem_type="multi_label_classification")
    model = dual_encoder.load(folder)
    assert model.multi_label and type(model).from_config(model.get_config()).multi_label
    if name == "vit_classifier":
        dual_encoder.save_pretrained(model, tmp_path / "again")
        assert dual_encoder.load(tmp_path / "again").multi_label


@pytest.mark.parametrize("name", ["clip_quick_gelu_legacy_eos", "vit_classifier"])
def test_settings_of_images_as_transformers_5_writes_them(copied, name):
    folder = copied(name)
    image = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    nested = {"processor_class": "CLIPProcessor", "image_processor": image}
    (folder / "processor_config.json").write_text(json.dumps(nested))
    assert_agrees(dual_encoder.load(folder), expected(name))


def test_steps_that_are_left_out_change_the_pixels(copied):
    folder = copied("vit_classifier")
    usual = dual_encoder.load(folder).image_tower
    changed_json(folder / "preprocessor_config.json", do_normalize=False)
    plain = dual_encoder.load(folder).image_tower
    pixels = np.full((1, 16, 16, 3), 51, "uint8")
    np.testing.assert_allclose(plain.normalize(pixels), np.full((1, 16, 16, 3), 0.2), rtol=1e-6)
    assert np.abs(usual.normalize(pixels) - plain.normalize(pixels)).max() > 1


def test_added_tokens_leave_the_end_of_old_configurations_findable(copied):
    """`eos_token_id` 2 is the highest id in a text; the vocabulary may have more."""
    folder = copied("clip_quick_gelu_legacy_eos")
    changed_json(folder / "config.json", text_config__vocab_size=22)
    tensors = load_file(folder / "model.safetensors")
    name = "text_model.embeddings.token_embedding.weight"
    tensors[name] = np.concatenate([tensors[name], np.ones((2, 8), tensors[name].dtype)])
    save_file(tensors, folder / "model.safetensors")
    assert_agrees(dual_encoder.load(folder), expected(folder.name))


def test_keys_of_text_configurations_of_2022(copied):
    folder = copied("open_clip_roberta")
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    text = config["model_cfg"]["text_cfg"]
    text["pooler_type"], text["proj"] = text.pop("hf_pooler_type"), "mlp"
    path.write_text(json.dumps(config))
    assert_agrees(dual_encoder.load(folder), expected(folder.name))
    changed_json(path, model_cfg__text_cfg__proj="linear")
    assert "expected hf_proj_type 'mlp'" in refused(ValueError, folder)


def test_open_clip_with_a_tokenizer_of_transformers_by_name(copied):
    """Texts are then mended alone; what is a small letter is the tokenizer's own matter."""
    folder = copied("open_clip_vit")
    changed_json(
        folder / "open_clip_config.json", model_cfg__text_cfg__hf_tokenizer_name="duet/tiny"
    )
    model = dual_encoder.load(folder)
    assert_agrees(model, expected(folder.name))
    assert model.tokenizer.cleaning == "whitespace"


def test_pixels_that_fill_no_patch_are_left_out_as_siglip_does(copied):
    """so400m-patch14-384: 27 x 27 patches, the last 6 pixels are in none."""
    folder = copied("siglip")
    wanted = expected("siglip")
    changed_json(folder / "config.json", vision_config__image_size=21)
    square = {"height": 21, "width": 21}
    changed_json(folder / "preprocessor_config.json", size=square)
    model = dual_encoder.load(folder)
    assert model.image_size == 21 and model.image_tower.grid == 2
    larger = np.full((2, 21, 21, 3), 255, "uint8")
    larger[:, :16, :16] = wanted["image_pixels"]
    np.testing.assert_allclose(model.encode_image(larger), wanted["image"], atol=TOLERANCE)


def test_a_towers_own_weights(tmp_path):
    """Of `image_tower` and `text_tower`, in a dual encoder of one's own."""
    vit = dual_encoder.image_tower(
        "vit-base-16",
        weights=str(FIXTURES / "vit_classifier"),
        patch_size=8,
        width=8,
        depth=1,
        heads=2,
    )
    whole = dual_encoder.load(FIXTURES / "vit_classifier")
    pixels = expected("vit_classifier")["image_pixels"]
    np.testing.assert_allclose(vit(pixels), whole.image_tower(pixels), atol=1e-6)


# --- What is refused -----------------------------------------------------------------------------


def test_both_leftovers_are_listed(copied):
    folder = copied("open_clip_vit")
    file = folder / "open_clip_model.safetensors"
    tensors = load_file(file)
    del tensors["visual.proj"]
    tensors["visual.ln_mid.weight"] = np.ones(8, "float16")
    save_file(tensors, file)
    message = refused(ValueError, folder)
    assert message.startswith(f"{folder}: weights and model do not match: tensors without a ")
    assert "tensors without a variable: visual.ln_mid.weight;" in message
    assert message.endswith("variables without a tensor: visual.proj")
    assert keras.layers.Dense(1).units == 1  # Keras is as it was


def test_a_tensor_of_another_shape(copied):
    folder = copied("bert_mean")
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"] = np.ones((9, 8), "float16")
    save_file(tensors, folder / "model.safetensors")
    message = refused(ValueError, folder)
    assert "embeddings.word_embeddings.weight: expected (20, 8)" in message
    assert message.endswith("got (9, 8)")


def test_files_that_only_look_like_weights_are_refused(copied):
    folder = copied("bert_mean")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    message = refused(ValueError, folder)
    assert message.startswith(f"{folder / 'pytorch_model.bin'}: expected a file of torch.save")
    (folder / "pytorch_model.bin").rename(folder / "weights.pickle")
    message = refused(FileNotFoundError, folder)
    assert "no weights here; expected model.safetensors, pytorch_model.bin" in message
    assert "weights.pickle" in message


@pytest.mark.parametrize(
    ("name", "file", "change", "expected_message"),
    [
        (
            "bert_mean",
            "config.json",
            {"model_type": "gpt2"},
            "expected a model_type of clip, metaclip_2, ",
        ),
        (
            "vit_pooler",
            "config.json",
            {"model_type": "", "architecture": "vit_tiny"},
            "got timm's vit_tiny",
        ),
        ("siglip", "config.json", {"text_config__hidden_act": "swish"}, "got 'swish'"),
        ("siglip", "preprocessor_config.json", {"resample": 1}, "expected resample 2 or 3"),
        ("siglip", "preprocessor_config.json", {"size": {"height": 9, "width": 9}}, "of 9 x 9 pix"),
        ("siglip", "preprocessor_config.json", {"do_resize": False}, "expected do_resize true"),
        ("vit_pooler", "config.json", {"num_channels": 1}, "expected num_channels 3"),
        ("vit_pooler", "config.json", {"pooler_act": "gelu"}, "expected pooler_act tanh"),
        ("bert_mean", "config.json", {"is_decoder": True}, "expected is_decoder False"),
        ("chinese_clip", "config.json", {"text_config__is_decoder": True}, "is_decoder False"),
        ("siglip", "config.json", {"vision_config__vision_use_head": False}, "_head True"),
        ("roberta", "config.json", {"pad_token_id": None}, "expected a pad_token_id"),
        (
            "open_clip_vit",
            "open_clip_config.json",
            {"model_cfg__vision_cfg__ls_init_value": 0.1},
            "vision_cfg.ls_init_value = 0.1, which is unknown",
        ),
        (
            "open_clip_clipa",
            "open_clip_config.json",
            {"model_cfg__vision_cfg__final_ln_after_pool": False},
            "expected pool_type 'tok', or 'avg' with final_ln_after_pool true; got 'avg'",
        ),
        (
            "open_clip_eva02",
            "open_clip_config.json",
            {"model_cfg__vision_cfg__timm_pool": "avg"},
            "expected timm_pool 'token' with eva02_mini_16; got 'avg'",
        ),
        ("dinov3", "config.json", {"key_bias": True}, "expected key_bias False in config.json"),
        ("convnext", "preprocessor_config.json", {"do_resize": False}, "expected do_resize true"),
        ("swin", "preprocessor_config.json", {"sharpen": 2}, "says sharpen = 2, which is unknown"),
        ("swin", "config.json", {"window_size": 3}, "expected maps that windows of 3 fill; got 8"),
        (
            "open_clip_roberta",
            "open_clip_config.json",
            {"model_cfg__text_cfg__hf_model_name": "t5"},
            "expected hf_model_name roberta-base",
        ),
        (
            "open_clip_vit",
            "open_clip_config.json",
            {"preprocess_cfg__resize_mode": "longest"},
            "expected resize_mode shortest, squash",
        ),
        (
            "open_clip_vit",
            "open_clip_config.json",
            {"preprocess_cfg__fill_color": 128},
            "preprocess_cfg.fill_color = 128, which is unknown",
        ),
        (
            "clip_gelu_bfloat16",
            "config.json",
            {"text_config__eos_token_id": 7},
            "expected eos_token_id 5 in config.json, with which its tokenizer ends every text; got",
        ),
        (
            "open_clip_vit",
            "open_clip_config.json",
            {"model_cfg__audio_cfg": {"width": 8}},
            "model_cfg.audio_cfg = {'width': 8}, which is unknown",
        ),
        (
            "siglip",
            "tokenizer_config.json",
            {"padding_side": "left"},
            "padding_side: expected null or 'right'; got 'left'",
        ),
        ("roberta", "config.json", {"pad_token_id": 0}, "expected pad_token_id 1 in config.json"),
        ("bert_mean", "config.json", {"quantization_config": {}}, "got quantization_config"),
        ("deit", "config.json", {"id2label": [1, 2, 3]}, "expected id2label with a name for each"),
        ("siglip", "preprocessor_config.json", {"resample": [3]}, "expected resample 2 or 3"),
        ("dinov2", "config.json", {"use_swiglu_ffn": 3}, "expected use_swiglu_ffn false"),
    ],
)
def test_configurations_of_something_else(copied, name, file, change, expected_message):
    folder = copied(name)
    changed_json(folder / file, **change)
    assert expected_message in refused(ValueError, folder)


@pytest.mark.parametrize("file", ["preprocessor_config.json", "tokenizer.json"])
def test_missing_files_are_named(copied, file):
    folder = copied("siglip")
    (folder / file).unlink()
    assert file in refused(FileNotFoundError, folder)


def test_packed_weights_are_refused_and_the_next_checkpoint_loads(copied):
    folder = copied("vit_classifier")
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"] = tensors["classifier.bias"].astype("int8")
    save_file(tensors, folder / "model.safetensors")
    assert "classifier.bias: expected fractions; got int8" in refused(ValueError, folder)
    assert dual_encoder.load("shapes-tiny").built


def test_damaged_files_are_named(copied):
    folder = copied("siglip")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])
    assert f"{weights}: not a readable safetensors file" in refused(ValueError, folder)
    folder = copied("vit_pooler")
    (folder / "config.json").write_text("{")
    assert f"{folder / 'config.json'}: not readable as JSON" in refused(ValueError, folder)


def test_options_that_do_not_apply(tmp_path):
    assert "takes no image_size" in refused(ValueError, "shapes-tiny", image_size=32)
    assert "takes no revision" in refused(ValueError, FIXTURES / "siglip", revision="main")
    assert "a text encoder takes none" in refused(ValueError, FIXTURES / "roberta", image_size=32)


def test_a_branch_that_lacks_a_tensor_is_named(copied):
    folder = copied("open_clip_fastvit")
    file = folder / "open_clip_model.safetensors"
    tensors = load_file(file)
    missing = "visual.trunk.stages.0.blocks.0.token_mixer.mixer.conv_scale.bn.running_var"
    del tensors[missing]
    save_file(tensors, file)
    message = refused(ValueError, folder)
    assert message.endswith(f"variables without a tensor: {missing}")


def test_branches_and_what_they_were_folded_into_give_the_same(copied):
    whole, folded = (expected(f"open_clip_fastvit{kind}") for kind in ("", "_folded"))
    np.testing.assert_array_equal(whole["image_pixels"], folded["image_pixels"])
    np.testing.assert_allclose(whole["image"], folded["image"], atol=0.02)  # stored as float16
