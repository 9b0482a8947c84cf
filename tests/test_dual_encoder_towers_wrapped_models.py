"""Towers around models of other libraries."""

import keras
import keras_hub
import numpy as np
import pytest
import tokenizers

import dual_encoder
from dual_encoder import DualEncoder, HubTextTower, KerasImageTower, VisionTransformer
from dual_encoder.checkpoints.tokenizers import from_other_libraries

pytestmark = pytest.mark.usefixtures("all_eagerly")

IMAGES = np.random.default_rng(0).integers(256, size=(2, 16, 16, 3), dtype=np.uint8)
BERT = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
PAD = 0


def channel_means(*shape):
    """A model without weights whose output is the mean of each channel, in some shape."""
    image = keras.Input((16, 16, 3))
    layers = keras.layers
    outputs = {
        "features": layers.GlobalAveragePooling2D()(image),
        "map": layers.AveragePooling2D(8)(image),
        "tokens": layers.Reshape((1, 3))(layers.GlobalAveragePooling2D()(image)),
    }
    return keras.Model(image, outputs[shape[0]])


@pytest.mark.parametrize("shape", ["features", "map", "tokens"])
def test_pixels_are_normalised_and_pooled(shape):
    mean, std = np.array([10, 20, 30]), np.array([2, 4, 8])
    tower = KerasImageTower(channel_means(shape), mean=mean / 255, std=std / 255)
    assert (tower.image_size, tower.output_dim) == (16, 3)
    expected = (IMAGES.mean(axis=(1, 2)) - mean) / std
    np.testing.assert_allclose(tower(IMAGES), expected, rtol=1e-5)
    np.testing.assert_allclose(tower(IMAGES.astype("float32")), expected, rtol=1e-5)


def test_mean_and_deviation_are_in_the_order_of_the_model():
    mean, std = np.array([10, 20, 30]) / 255, (1 / 255,) * 3
    tower = KerasImageTower(channel_means("features"), mean=mean, std=std, bgr=True)
    expected = IMAGES.mean(axis=(1, 2))[:, ::-1] - (10, 20, 30)
    np.testing.assert_allclose(tower(IMAGES), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(None, None, 3), (16, 32, 3), (16, 16, 1), (48,)])
def test_models_of_something_else_are_refused(shape):
    image = keras.Input(shape)
    model = keras.Model(image, keras.layers.Flatten()(image) if None not in shape else image)
    with pytest.raises(ValueError, match=r"expected one for images \[b, s, s, 3\]"):
        KerasImageTower(model)


def test_vit_knows_where_its_patches_are():
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
    tower = KerasImageTower(keras_hub.models.ViTBackbone((16, 16, 3), patch_size=(8, 8), **sizes))
    upside_down = np.concatenate([IMAGES[:, 8:], IMAGES[:, :8]], axis=1)
    assert np.abs(np.array(tower(IMAGES)) - np.array(tower(upside_down))).max() > 1e-4


def bert(**options):
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.BertBackbone(20, **BERT, **options)
    return HubTextTower(backbone, context_length=10, pad_id=PAD)


def test_bert_may_be_cut_behind_the_longest_text():
    tower = bert()
    ids = np.array([[1, 5, 6, 2, PAD, PAD, PAD], [1, 7, 2, PAD, PAD, PAD, PAD]])
    whole = np.array(tower(ids))
    assert tower.trims_exactly and whole.shape == (2, 8)
    np.testing.assert_allclose(tower(ids[:, :4]), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(tower(ids[1:, :3]), whole[1:], rtol=1e-5, atol=1e-6)
    other = np.where(ids == PAD, 3, ids)  # not padding: it does matter
    assert np.abs(np.array(tower(other)) - whole).max() > 1e-4


def test_bert_reads_every_token():
    tower = bert()
    ids = np.array([[1, 5, 6, 2]])
    for place in range(4):
        other = ids.copy()
        other[0, place] = 11
        assert np.abs(np.array(tower(other)) - np.array(tower(ids))).max() > 1e-5


def test_bert_with_too_few_positions():
    with pytest.raises(ValueError, match=r"expected at most the 6 positions .* got 10"):
        bert(max_sequence_length=6)


def test_what_comes_from_keras_nlp_is_taken_as_keras_hub_s(tmp_path):
    keras_nlp = pytest.importorskip("keras_nlp", reason="the extra keras-nlp is not installed")
    assert keras_nlp.models.BertBackbone is keras_hub.models.BertBackbone
    text = HubTextTower(keras_nlp.models.BertBackbone(20, **BERT), context_length=10, pad_id=PAD)
    image = VisionTransformer(16, 8, width=8, depth=1, heads=2)
    model = DualEncoder(image, text, embed_dim=4)
    model.build()
    ids = np.array([[1, 5, 6, 2], [1, 7, 2, PAD]])
    expected = np.array(model.encode_text(ids))
    assert expected.shape == (2, 4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.encode_text(ids), expected)
    assert isinstance(loaded.text_tower.backbone, keras_nlp.models.BertBackbone)


# --- Models of other libraries as they are ----------------------------------------------------

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "star", "##s", "blue"]


def backbones():
    sizes = {"vocabulary_size": 10, "max_sequence_length": 8, **BERT}
    models = keras_hub.models
    albert = {**sizes, "embedding_dim": 4}
    return {
        "bert": lambda: models.BertBackbone(**sizes),
        "roberta": lambda: models.RobertaBackbone(**sizes),
        "distilbert": lambda: models.DistilBertBackbone(**sizes),
        "albert": lambda: models.AlbertBackbone(**albert),
    }


@pytest.mark.parametrize("make", backbones().values(), ids=backbones())
def test_backbones_and_tokenizers_of_keras_hub_go_in_as_they_are(make, tmp_path):
    tokenizer = keras_hub.tokenizers.BertTokenizer(vocabulary=WORDS, lowercase=True)
    backbone = make()
    model = DualEncoder(channel_means("map"), backbone, embed_dim=4, tokenizer=tokenizer)
    model.built_now()
    ids = model.tokenizer(["A red star", "blue stars"])
    np.testing.assert_array_equal(ids, [[2, 5, 6, 7, 3], [2, 9, 7, 8, 3]])
    assert model.context_length == 8
    inputs = {
        "token_ids": ids,
        "padding_mask": np.ones_like(ids),
        "segment_ids": np.zeros_like(ids),
    }
    theirs = backbone({name: inputs[name] for name in backbone.input})
    theirs = theirs["pooled_output"] if isinstance(theirs, dict) else theirs[:, 0]
    np.testing.assert_allclose(model.text_tower(ids), theirs, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    expected = model.encode_text(["a red star"])
    np.testing.assert_allclose(again.encode_text("a red star"), expected, atol=1e-6)


def test_a_backbone_of_texts_needs_a_tokenizer():
    with pytest.raises(ValueError, match="text_tower: expected a tokenizer with a backbone"):
        DualEncoder(channel_means("map"), backbones()["bert"](), embed_dim=4)


class Fast:
    """What `transformers` has around a tokenizer of `tokenizers`."""

    def __init__(self):
        vocabulary = {word: number for number, word in enumerate(WORDS)}
        model = tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]")
        self.backend_tokenizer = tokenizers.Tokenizer(model)
        self.backend_tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        ends = [("[CLS]", 2), ("[SEP]", 3)]
        self.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=ends
        )
        self.backend_tokenizer.enable_padding(length=20)  # as an earlier call leaves it
        self.eos_token_id, self.sep_token_id, self.pad_token_id = None, 3, 0
        self.model_max_length = 512


def test_tokenizers_of_transformers_are_taken_over():
    ours = from_other_libraries.as_tokenizer(Fast(), context_length=8)
    assert (ours.context_length, ours.pad_id, ours.end_id) == (8, 0, 3)
    np.testing.assert_array_equal(
        ours(["a red stars", "a"]), [[2, 5, 6, 7, 8, 3], [2, 5, 3, 0, 0, 0]]
    )
    assert from_other_libraries.as_tokenizer(ours, context_length=4) is ours
    with pytest.raises(ValueError, match=r"tokenizer: expected a dual_encoder\.Tokenizer.*got int"):
        from_other_libraries.as_tokenizer(7, context_length=8)


def test_a_preset_of_keras_hub_is_an_image_tower(tmp_path):
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64],
        stackwise_num_blocks=[1], stackwise_num_strides=[1], block_type="basic_block",
        image_shape=(None, None, 3),
    )  # fmt: skip
    backbone.save_to_preset(str(tmp_path / "preset"))
    scale, offset = (1 / 51, 1 / 60, 1 / 70), (-2.0, -1.0, 0.5)
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(16, 16), scale=scale, offset=offset
    )
    converter.save_to_preset(str(tmp_path / "preset"))
    assert dual_encoder.is_hub_preset(tmp_path / "preset")
    tower = dual_encoder.hub_image_tower(tmp_path / "preset")
    theirs = backbone(IMAGES.astype("float32") * np.array(scale, "f") + np.array(offset, "f"))
    np.testing.assert_allclose(tower(IMAGES), np.mean(theirs, axis=(1, 2)), rtol=1e-4, atol=1e-5)
    assert tower.preprocessing == {
        "image_size": 16,
        "resize": "crop",
        "interpolation": "bilinear",
    }
    assert not dual_encoder.is_hub_preset("shapes-tiny")
    assert not dual_encoder.is_hub_preset("vit-base-patch16-224")
