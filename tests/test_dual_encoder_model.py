"""The dual encoder: what it computes, that it trains, and that a saved one is the same."""

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from dual_encoder import (
    ConvolutionalTower,
    DualEncoder,
    HubTextTower,
    KerasImageTower,
    TextTransformer,
    Tokenizer,
    VisionTransformer,
)

TEXTS = ["a red star", "a blue ring", "one red ring", "the blue star"]
TOKENIZER = Tokenizer.learn(TEXTS, context_length=8)
IDS = TOKENIZER(TEXTS)
IMAGES = np.random.default_rng(0).integers(256, size=(4, 32, 32, 3), dtype=np.uint8)
# One plain colour each, to be told apart.
PLAIN = (
    np.zeros((4, 32, 32, 3), "uint8")
    + np.uint8([[250, 0, 0], [0, 0, 250], [0, 250, 0], [9] * 3])[:, None, None]
)
SIZES = {"width": 16, "depth": 1, "heads": 2}


def vit(**options):
    return VisionTransformer(32, 8, **SIZES, **options)


def hub_vit():
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
    return KerasImageTower(keras_hub.models.ViTBackbone((32, 32, 3), patch_size=(8, 8), **sizes))


def hub_bert():
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
    backbone = keras_hub.models.BertBackbone(TOKENIZER.vocabulary_size, **sizes)
    return HubTextTower(backbone, context_length=8, pad_id=TOKENIZER.pad_id)


def text(**options):
    ids = {"end_id": TOKENIZER.end_id}
    return TextTransformer(TOKENIZER.vocabulary_size, 8, **ids, **SIZES, **options)


def efficientnet():
    """As with ImageNet's weights: Keras then rescales once more inside, and not without."""
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling([0.1, 0.2, 0.3])(image)
    x = keras.layers.Conv2D(4, 3, strides=2)(x)
    return KerasImageTower(keras.Model(image, keras.layers.BatchNormalization()(x)))


@keras.saving.register_keras_serializable("test")
class Brightness(keras.layers.Layer):
    """The smallest thing that is an image tower."""

    image_size, output_dim = 32, 3

    def build(self, input_shape=None):
        self.built = True

    def call(self, image, training=None):
        return keras.ops.mean(keras.ops.cast(image, "float32"), axis=(1, 2)) / 255


IMAGE_KINDS = {
    "patches, class token": vit,
    "convolutions, average, pre-norm": lambda: vit(
        stem="convolutions", pooling="average", pre_norm=True, activation="relu", dropout=0.1
    ),
    "convolutions alone": lambda: ConvolutionalTower(32, widths=(4, 8)),
    "KerasHub": hub_vit,
    "ResNet50": lambda: KerasImageTower(
        keras.applications.ResNet50(include_top=False, weights=None, input_shape=(32, 32, 3)),
        bgr=True,
    ),
    "layers inside the model": efficientnet,
    "a user's own": Brightness,
}
KINDS = [(name, text) for name in IMAGE_KINDS] + [("KerasHub", hub_bert)]


def dual_encoder(image=vit, words=text, **options):
    keras.utils.set_random_seed(0)
    model = DualEncoder(image(), words(), embed_dim=6, tokenizer=TOKENIZER, **options)
    model.build()
    return model


def train(model):
    """Two steps, so that what a layer keeps besides its weights' start is tested too."""
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    batch = {"image": IMAGES, "token_ids": IDS}
    model.fit(batch, np.arange(4), epochs=2, batch_size=4, verbose=0)


@pytest.mark.parametrize(("image", "words"), KINDS)
def test_saved_and_loaded_it_gives_the_same(image, words, tmp_path, eagerly):
    model = dual_encoder(IMAGE_KINDS[image], words)
    if image != "ResNet50":  # whose steps take long
        train(model)
    check_round_trip(model, tmp_path)


def test_the_study_s_heads_and_the_sigmoid_loss_saved_and_loaded(tmp_path, eagerly):
    options = {"projection_depth": 1, "dropout": 0.1, "loss_name": "sigmoid", "temperature": 0.3}
    model = dual_encoder(**options)
    before = [np.array(weight) for weight in model.trainable_weights]
    train(model)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.abs(np.array(weight) - old).max() > 0, f"{weight.path} never moves"
    loaded = check_round_trip(model, tmp_path)
    assert (loaded.loss_name, loaded.projection_depth, loaded.dropout_rate) == ("sigmoid", 1, 0.1)
    assert float(loaded.logit_bias) != -10  # trained


def check_round_trip(model, folder):
    expected = {"image": np.array(model.encode_image(IMAGES))}
    expected["text"] = np.array(model.encode_text(IDS))
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")
    np.testing.assert_array_equal(loaded.encode_image(IMAGES), expected["image"])
    np.testing.assert_array_equal(loaded.encode_text(loaded.tokenizer(TEXTS)), expected["text"])
    assert float(loaded.logit_scale) == float(model.logit_scale)
    assert [w.shape for w in loaded.weights] == [w.shape for w in model.weights]
    return loaded


def test_half_precision_saved_and_loaded_elsewhere(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = dual_encoder(IMAGE_KINDS["convolutions, average, pre-norm"], projection_depth=1)
        embeddings = np.array(model.encode_image(IMAGES)), np.array(model.encode_text(IDS))
        model.save(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy(before)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.encode_image(IMAGES), embeddings[0])
    np.testing.assert_array_equal(loaded.encode_text(IDS), embeddings[1])
    assert embeddings[0].dtype == "float32"
    assert np.abs(np.linalg.norm(embeddings[0], axis=1) - 1).max() < 1e-6


def test_embeddings_have_unit_length_and_towers_work_alone():
    model = dual_encoder()
    both = model({"image": IMAGES, "token_ids": IDS})
    image, words = model({"image": IMAGES}), model({"token_ids": IDS})
    assert (set(image), set(words)) == ({"image"}, {"text"})
    for alone, direct in ((image, model.encode_image(IMAGES)), (words, model.encode_text(IDS))):
        for key, value in alone.items():
            np.testing.assert_array_equal(value, both[key])
            np.testing.assert_allclose(value, direct, atol=1e-6)  # which is compiled
            assert np.abs(np.linalg.norm(value, axis=1) - 1).max() < 1e-6


def test_embeddings_are_the_projected_features():
    model = dual_encoder()
    for tower, head, given, found in (
        (model.image_tower, model.image_projection, IMAGES, model.encode_image(IMAGES)),
        (model.text_tower, model.text_projection, IDS, model.encode_text(IDS)),
    ):
        projected = np.array(tower(given)) @ np.array(head.projection.kernel)
        expected = projected / np.linalg.norm(projected, axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_temperature():
    assert float(dual_encoder().logit_scale) == pytest.approx(1 / 0.07)
    assert float(dual_encoder(loss_name="sigmoid").logit_scale) == pytest.approx(10)
    model = dual_encoder(temperature=0.02)
    assert float(model.logit_scale) == pytest.approx(50)
    model.log_scale.assign(20.0)
    assert float(model.logit_scale) == 100


@pytest.mark.parametrize("start", [np.log(100), 4.6055, 5.0])
def test_a_temperature_at_its_bound_learns(start):
    """Most published models lie at 100, where the gradient of the minimum is 0."""
    model = dual_encoder()
    model.compile(keras.optimizers.SGD(1e-6))
    model.log_scale.assign(start)
    with tf.GradientTape() as tape:
        scale = model.logit_scale
    assert float(scale) == 100
    slope = float(tape.gradient(scale, model.log_scale.value))
    assert slope == pytest.approx(np.exp(start), rel=1e-5)
    model.train_on_batch({"image": IMAGES, "token_ids": IDS}, np.arange(4))
    assert float(model.log_scale) == pytest.approx(np.log(100), abs=1e-3)  # not left above


@pytest.mark.parametrize("loss_name", ["contrastive", "sigmoid"])
def test_loss_is_that_of_the_papers(loss_name):
    model = dual_encoder(loss_name=loss_name)
    batch = {"image": IMAGES, "token_ids": IDS}
    found = float(model.compute_loss(batch, np.arange(4), model(batch)))
    logits = np.array(model.encode_image(IMAGES)) @ np.array(model.encode_text(IDS)).T
    logits = logits * float(model.logit_scale)
    if loss_name == "sigmoid":
        expected = np.log1p(np.exp(-(2 * np.eye(4) - 1) * (logits - 10))).sum() / 4
    else:
        rows = np.log(np.exp(logits).sum(1)) - np.diag(logits)
        columns = np.log(np.exp(logits).sum(0)) - np.diag(logits)
        expected = (rows.mean() + columns.mean()) / 2
    assert found == pytest.approx(expected, rel=1e-4)


def test_it_learns_with_plain_compile_and_fit():
    model = dual_encoder(projection_depth=1, dropout=0.1)
    batch = {"image": PLAIN, "token_ids": IDS}
    start = float(model.compute_loss(batch, np.arange(4), model(batch)))
    model.compile(keras.optimizers.AdamW(5e-3), jit_compile=False)
    steps = {key: np.tile(value, (200, *[1] * (value.ndim - 1))) for key, value in batch.items()}
    model.fit(steps, np.tile(np.arange(4), 200), batch_size=4, shuffle=False, verbose=0)
    assert float(model.compute_loss(batch, np.arange(4), model(batch))) < start / 2
    similarity = np.array(model.encode_image(PLAIN)) @ np.array(model.encode_text(IDS)).T
    np.testing.assert_array_equal(similarity.argmax(1), range(4))


def test_evaluate_and_predict():
    model = dual_encoder()
    model.compile("adamw")
    batch = {"image": IMAGES, "token_ids": IDS}
    expected = float(model.compute_loss(batch, np.arange(4), model(batch)))
    loss = model.evaluate(batch, np.arange(4), batch_size=4, verbose=0)
    assert loss == pytest.approx(expected, rel=1e-3)
    found = model.predict({"image": IMAGES}, verbose=0)["image"]
    np.testing.assert_allclose(found, model.encode_image(IMAGES), atol=1e-4)


def test_losses_of_the_towers_count():
    image = Brightness(activity_regularizer=keras.regularizers.L1(1.0))
    model = dual_encoder(lambda: image)
    batch = {"image": IMAGES, "token_ids": IDS}
    found = float(model.compute_loss(batch, np.arange(4), model(batch)))
    image.activity_regularizer = None
    without = float(model.compute_loss(batch, np.arange(4), model(batch)))
    assert found - without == pytest.approx(np.abs(np.array(image(IMAGES))).sum() / 4, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_name": "clip"}, "loss_name: expected one of contrastive, sigmoid; got 'clip'"),
        ({"temperature": 0}, "temperature: expected more than 0; got 0"),
        ({"image": lambda: keras.layers.Dense(2)}, "Dense has no image_size"),
        ({"words": vit}, "text_tower: .* VisionTransformer has no context_length"),
    ],
)
def test_impossible_models(options, message):
    with pytest.raises(ValueError, match=message):
        dual_encoder(**options)


@pytest.mark.parametrize(
    ("inputs", "got"), [(IMAGES, "ndarray|Tensor"), ({"images": IMAGES}, r"keys \['images'\]")]
)
def test_batches_of_something_else(inputs, got):
    with pytest.raises(ValueError, match=f'expected a dict with "image", .* got .*({got})'):
        dual_encoder()(inputs)


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (1, 16, 64, 3), (1, 32, 32, 1)])
def test_images_of_another_size_are_refused_with_both_sizes(shape):
    model = DualEncoder(vit(), text(), tokenizer=TOKENIZER, embed_dim=8)
    images = np.zeros(shape, "uint8")
    for call in (model.encode_image, model.image_tower):
        with pytest.raises(ValueError) as caught:
            call(images)
        line = str(caught.value)
        assert line.startswith("images: expected pixels [b, 32, 32, 3]") and "\n" not in line
        assert f"got {list(shape)}; " in line


@pytest.mark.parametrize(("ids", "got"), [([[1, 999]], 999), ([-1, 2], -1)])
def test_token_ids_without_an_embedding_are_refused(ids, got):
    model = DualEncoder(vit(), text(), tokenizer=TOKENIZER, embed_dim=8)
    size = TOKENIZER.vocabulary_size
    with pytest.raises(ValueError, match=f"expected token ids 0 to {size - 1}, .*; got {got}$"):
        model.encode_text(np.array(ids))


@pytest.mark.parametrize(
    "make", [vit, hub_vit, efficientnet, lambda: ConvolutionalTower(32, widths=(4, 8))]
)
def test_every_image_tower_states_the_images_it_takes(make):
    tower = make()
    assert tower.input_spec.shape == (None, 32, 32, 3)
    with pytest.raises(ValueError, match=r"expected pixels \[b, 32, 32, 3\].*got \[2, 24, 24, 3\]"):
        tower(np.zeros((2, 24, 24, 3), "uint8"))
