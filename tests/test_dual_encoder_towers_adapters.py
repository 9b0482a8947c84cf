"""Towers around models of other libraries."""

import keras
import keras_hub
import numpy as np
import pytest

from dual_encoder import DualEncoder, HubTextTower, KerasImageTower, VisionTransformer

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
