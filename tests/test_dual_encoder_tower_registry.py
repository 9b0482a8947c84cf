"""Towers by name: every size exactly, given weights, and what is refused."""

import keras
import keras_hub
import numpy as np
import pytest

import dual_encoder
from dual_encoder import (
    APPLICATIONS,
    IMAGE_TOWERS,
    TEXT_TOWERS,
    Tokenizer,
    as_image_tower,
    image_tower,
    text_tower,
)
from dual_encoder.tower_registry import PUBLISHED_IMAGE, PUBLISHED_TEXT, image_tower_name
from dual_encoder.towers.keras_applications_table import application_of

# At the tower's usual size. Of the published counts, ViT's are less the classifier of 1,000
# classes: 86,567,656 - 769,000, 88,224,232 - 769,000 and 304,326,632 - 1,025,000.
IMAGE_PARAMETERS = {
    "vit-tiny": 515_424,
    "convnet-tiny": 389_856,
    "xception": 20_861_480,
    "resnet50": 23_587_712,
    "efficientnet-b7": 64_097_687,
    "vit-base-16": 85_798_656,
    "vit-base-32": 87_455_232,
    "vit-large-16": 303_301_632,
}
# With a vocabulary of 30,522 tokens, BERT's, and a context of 32.
TEXT_PARAMETERS = {
    "transformer-tiny": 2_055_552,
    "transformer-small": 10_981_376,
    "bert-tiny": 4_385_920,
    "bert-small": 28_763_648,
    "bert-base": 109_482_240,
}
SMALL_VIT = {"patch_size": 8, "width": 8, "depth": 1, "heads": 2}
SMALL_BERT = {"width": 8, "depth": 1, "heads": 2}
HUB = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}  # the same in KerasHub
IMAGES = np.random.default_rng(0).integers(256, size=(2, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.learn(["a red star", "a blue ring"], context_length=32)


@pytest.fixture(scope="module")
def resnet():
    return image_tower("resnet50", image_size=32)


def parameters(make, depth):
    """Of a tower of `depth` equal blocks, without the memory: from those of one block and two."""
    one, two = (_count(make(depth=n)) for n in (1, 2))
    return one + (depth - 1) * (two - one)


def _count(tower):
    tower.build(None)
    return tower.count_params()


def test_every_tower_has_its_row():
    assert {*IMAGE_PARAMETERS, *APPLICATIONS} == set(IMAGE_TOWERS)
    assert set(TEXT_PARAMETERS) == set(TEXT_TOWERS)


@pytest.mark.parametrize("name", sorted({*IMAGE_PARAMETERS} - {*PUBLISHED_IMAGE, "resnet50"}))
def test_parameters_of_image_towers(name):
    size = {"xception": 71, "efficientnet-b7": 32}.get(name)  # which changes no count
    assert _count(image_tower(name, image_size=size)) == IMAGE_PARAMETERS[name]


def test_parameters_of_resnet50(resnet):
    assert (_count(resnet), resnet.output_dim) == (IMAGE_PARAMETERS["resnet50"], 2048)


@pytest.mark.parametrize("name", PUBLISHED_IMAGE)
def test_parameters_of_vits(name):
    def make(**sizes):
        return image_tower(name, **sizes)

    assert parameters(make, PUBLISHED_IMAGE[name]["depth"]) == IMAGE_PARAMETERS[name]


@pytest.mark.parametrize("name", TEXT_PARAMETERS)
def test_parameters_of_text_towers(name, tokenizer):
    def make(**sizes):
        return text_tower(name, tokenizer, **sizes)

    row = PUBLISHED_TEXT.get(name)
    count = parameters(make, row["depth"]) if row else _count(make())
    width = row["width"] if row else make().output_dim
    missing = (30_522 - tokenizer.vocabulary_size) * width
    assert count + missing == TEXT_PARAMETERS[name]


def test_sizes_of_the_table_may_be_changed(tokenizer):
    image = image_tower("vit-tiny", image_size=16, width=8, depth=1, heads=2)
    text = text_tower("transformer-tiny", tokenizer, width=8, depth=1, heads=2)
    assert (image.image_size, image.output_dim, len(image.blocks)) == (16, 8, 1)
    assert (text.output_dim, text.context_length, text.end_id) == (8, 32, tokenizer.end_id)


def test_every_network_of_keras_has_its_name():
    theirs = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {row.function for row in APPLICATIONS.values()} == theirs


@pytest.mark.parametrize("row", APPLICATIONS.items(), ids=APPLICATIONS)
def test_names_are_known_in_keras_own_spelling(row):
    name, network = row
    assert image_tower_name(network.function) == name == image_tower_name(name.replace("-", "_"))
    assert image_tower_name(network.function + "Next") is None


# Where Keras keeps what prepares the pixels of a network.
MODULES = {
    "vgg16": "vgg16", "vgg19": "vgg19", "nasnet": "nasnet", "xception": "xception",
    "densenet": "densenet", "convnext": "convnext", "inception-v3": "inception_v3",
    "inception-resnet": "inception_resnet_v2", "mobilenet-v2": "mobilenet_v2",
    "mobilenet-v3": "mobilenet_v3", "mobilenet": "mobilenet", "efficientnet-v2": "efficientnet_v2",
    "efficientnet": "efficientnet", "resnet": "resnet",
}  # fmt: skip


@pytest.mark.parametrize("name", APPLICATIONS)
def test_pixels_are_prepared_as_keras_does(name):
    row = APPLICATIONS[name]
    module = next(module for start, module in MODULES.items() if name.startswith(start))
    module = "resnet_v2" if module == "resnet" and name.endswith("-v2") else module
    theirs = getattr(keras.applications, module).preprocess_input(IMAGES.astype("float32"))
    ours = IMAGES[..., ::-1] if row.bgr else IMAGES
    np.testing.assert_allclose((ours - np.array(row.mean)) / row.std, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "model, name",
    [
        ("resnet50", "resnet50"),
        ("resnet50v2", "resnet50-v2"),
        ("mobilenetv2_1.00_224", "mobilenet-v2"),
        ("MobileNetV3Small", "mobilenet-v3-small"),
        ("efficientnetv2-b0", "efficientnet-v2-b0"),
        ("convnext_tiny", "convnext-tiny"),
        ("NASNet", "nasnet-mobile"),
        ("functional_3", None),
    ],
)
def test_networks_are_known_by_the_name_of_their_model(model, name):
    assert application_of(model) == (name and APPLICATIONS[name])


def test_a_network_of_keras_is_wrapped_with_its_own_pixels(resnet):
    tower = as_image_tower(resnet.backbone)
    assert (tower.image_size, tower.output_dim) == (32, 2048)
    np.testing.assert_allclose(tower(IMAGES), resnet(IMAGES), atol=1e-5)
    assert as_image_tower(resnet) is resnet


def test_weights_of_an_application(resnet, tmp_path):
    norm = resnet.backbone.get_layer("conv1_bn")
    norm.moving_mean.assign(np.arange(64))  # as training would
    path = str(tmp_path / "resnet.weights.h5")
    resnet.backbone.save_weights(path)
    again = image_tower("resnet50", image_size=32, weights=path)
    np.testing.assert_array_equal(again(IMAGES), resnet(IMAGES))


def test_weights_of_presets(tokenizer, tmp_path):
    models = keras_hub.models
    vit = models.ViTBackbone((32, 32, 3), patch_size=(8, 8), mlp_dim=32, **HUB)
    bert = models.BertBackbone(tokenizer.vocabulary_size, intermediate_dim=32, **HUB)
    folders = {backbone: str(tmp_path / backbone.name) for backbone in (vit, bert)}
    for backbone, folder in folders.items():
        backbone.save_to_preset(folder)
    again = image_tower("vit-base-16", weights=folders[vit], **SMALL_VIT)
    expected = vit((IMAGES / 127.5 - 1).astype("float32"))[:, 0]
    np.testing.assert_allclose(again(IMAGES), expected, atol=1e-5)
    assert again.image_size == 32  # the preset's
    ids = tokenizer(["a red star", "ring"])
    again = text_tower("bert-tiny", tokenizer, weights=folders[bert], **SMALL_BERT)
    mask = (ids != tokenizer.pad_id).astype("int32")
    inputs = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": mask}
    np.testing.assert_allclose(again(ids), bert(inputs)["pooled_output"], atol=1e-5)
    assert again.context_length == 32  # the tokenizer's

    other = Tokenizer.learn(["something else"], context_length=8)
    for message, call in {
        "expected width=768 for vit-base-16 .* got width=8": lambda: image_tower(
            "vit-base-16", weights=folders[vit], patch_size=8
        ),
        "expected pooling=average for vit-base-16 .* got pooling=token": lambda: image_tower(
            "vit-base-16", weights=folders[vit], **SMALL_VIT, pooling="average"
        ),
        "expected pooling=mean for bert-tiny .* got pooling=pooler": lambda: text_tower(
            "bert-tiny", tokenizer, weights=folders[bert], **SMALL_BERT, pooling="mean"
        ),
        "expected vocabulary_size=": lambda: text_tower(
            "bert-tiny", other, weights=folders[bert], **SMALL_BERT
        ),
        "cannot be read as weights of bert-tiny": lambda: text_tower(
            "bert-tiny", tokenizer, weights=folders[vit]
        ),
    }.items():
        assert_refused(call, message)


def assert_refused(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_unreadable_weights_are_one_line(tokenizer, tmp_path):
    text = tmp_path / "not.weights.h5"
    text.write_text("not weights")
    unreadable = f"weights '{text}': cannot be read as weights of xception"
    assert_refused(lambda: image_tower("xception", image_size=71, weights=str(text)), unreadable)
    for weights in ("/no/such/file.h5", "/no/such/folder"):
        assert_refused(lambda w=weights: image_tower("resnet50", weights=w), f"weights '{weights}'")
        assert_refused(lambda w=weights: image_tower("vit-base-16", weights=w), "cannot be read")
        assert_refused(lambda w=weights: text_tower("bert-tiny", tokenizer, weights=w), "cannot be")


def test_published_weights_without_a_network_are_one_line(tokenizer, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    message = "weights 'imagenet': cannot be read as weights of xception"
    assert_refused(lambda: image_tower("xception", image_size=71, weights="imagenet"), message)
    message = "weights 'bert_tiny_en_uncased': cannot be read as weights of bert-tiny"
    assert_refused(
        lambda: text_tower("bert-tiny", tokenizer, weights="bert_tiny_en_uncased"), message
    )


def test_refused_names_and_options(tokenizer):
    for message, call in {
        "no image tower 'vit'; expected one of vit-tiny, .*resnet50": lambda: image_tower("vit"),
        "no text tower 'bert'; expected one of transformer-tiny": lambda: text_tower(
            "bert", tokenizer
        ),
        "'vit-tiny' takes no weights; got weights='imagenet'": lambda: image_tower(
            "vit-tiny", weights="imagenet"
        ),
        "'transformer-tiny' takes no weights; got weights='x'": lambda: text_tower(
            "transformer-tiny", tokenizer, weights="x"
        ),
        "'resnet50' takes no width; got width=3": lambda: image_tower("resnet50", width=3),
        "expected a multiple of the patch size 16; got 100": lambda: image_tower(
            "vit-base-16", image_size=100
        ),
        "expected a multiple of the patch size 8; got 60": lambda: image_tower(
            "vit-tiny", image_size=60
        ),
        "Input size must be at least 71x71": lambda: image_tower("xception", image_size=64),
        "context_length: expected at most the 512 positions": lambda: text_tower(
            "bert-tiny", Tokenizer.learn(["a"], context_length=513), **SMALL_BERT
        ),
    }.items():
        assert_refused(call, message)


TOWER_NUMBERS = {
    "no size": ({"image_size": 0}, "image_size: expected a whole number of at least 1; got 0"),
    "a text": ({"image_size": "64"}, "image_size: expected a whole number .*; got '64'"),
    "one mean": ({"mean": 0.5}, "mean: expected three numbers, of the channels; got 0.5"),
    "no deviation": ({"std": (0, 1, 1)}, "std: expected three numbers above 0, .*; got"),
}


@pytest.mark.parametrize("options, message", TOWER_NUMBERS.values(), ids=TOWER_NUMBERS)
def test_sizes_and_statistics_that_no_image_has_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        dual_encoder.VisionTransformer(
            **{"image_size": 16, "patch_size": 8, "width": 8, "depth": 1, "heads": 2, **options}
        )


@pytest.mark.parametrize("tokenizer", [None, "bert"])
def test_a_text_tower_is_of_a_tokenizer(tokenizer):
    with pytest.raises(ValueError, match="tokenizer: expected a Tokenizer, with its sizes; got"):
        dual_encoder.text_tower("transformer-tiny", tokenizer)
