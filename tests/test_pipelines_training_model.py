"""`train` from pretrained towers and from whole models, with towers locked or not."""

from pathlib import Path

import keras
import numpy as np
import pytest
from tiny_models import bert, scrambled

import dual_encoder
import tfrecords
from duet import keras_private_api
from pipelines.__main__ import main
from pipelines.train import build
from pipelines.training import data
from pipelines.training.data import Pairs
from pipelines.training.options import Options
from tfrecords.sources.shapes.source import ShapesSource

CLIP = Path(__file__).parent / "fixtures" / "pretrained" / "clip_gelu_bfloat16"
SETTINGS = ("--batch-size", "8", "--epochs", "1", "--learning-rate", "0.01", "--warmup-steps", "1")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    directory = tmp_path_factory.mktemp("records")
    source = ShapesSource(counts={"train": 16})
    tfrecords.write(source, directory, workers=1, progress=False)
    return directory


@pytest.fixture(scope="module")
def bert_files(tmp_path_factory):
    """A published BERT of the size that the table calls bert-tiny."""
    folder = tmp_path_factory.mktemp("bert")
    model = scrambled(bert(width=128, heads=2, mlp_ratio=4, positions=40, dropout=0.5))
    dual_encoder.save_pretrained(model, folder)
    return folder


def train(records, out, *more):
    return main(["train", "--data", str(records), "--out", str(out), *SETTINGS, *more])


def made(records, **given):
    """What a run of these options would train."""
    options = Options(data=str(records), out="", batch_size=8, epochs=1, **given)
    return build(options, pairs(records))


def pairs(records):
    sizes = {"batch_size": 8, "captions_per_image": 1, "crop_scale": 1, "epochs": 1, "seed": 0}
    return Pairs(str(records), tfrecords.Manifest.read(records), **sizes)


def changed(layer, before):
    """Whether the weights of a layer are others than those `before`."""
    pairs = zip(layer.weights, before, strict=True)
    return any(bool((np.array(now) != then).any()) for now, then in pairs)


PARTS = ("image_tower", "text_tower", "image_projection", "text_projection")


@pytest.mark.parametrize(
    ("freeze", "learning"),
    [
        ("none", PARTS),
        ("image", ("text_tower", "image_projection", "text_projection")),
        ("text", ("image_tower", "image_projection", "text_projection")),
        ("both", ("image_projection", "text_projection")),
    ],
)
def test_frozen_towers_stay_and_the_rest_learns(records, freeze, learning):
    model = made(records, model=str(CLIP), freeze=freeze)
    before = {part: [np.array(w) for w in getattr(model, part).weights] for part in PARTS}
    pixels = np.random.default_rng(0).integers(256, size=(4, *[model.image_size] * 2, 3))
    x = {"image": pixels.astype("uint8"), "token_ids": model.tokenizer(["a", "b c", "d", "e"])}
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    model.fit(x, np.arange(4), batch_size=4, verbose=0)
    assert tuple(part for part in PARTS if changed(getattr(model, part), before[part])) == learning


@pytest.mark.parametrize(("batch_norm", "stay"), [("kept", True), ("trained", False)])
def test_batch_normalisation_that_has_learnt_is_kept_where_asked(
    records, tmp_path, batch_norm, stay
):
    start = made(records, image_tower="convnet-tiny", text_tower="transformer-tiny", image_size=16)
    norms = norms_of(start)
    for norm in norms:
        norm.moving_mean.assign(norm.moving_mean + 0.5)
    start.save(tmp_path / "start.keras")
    model = made(records, model=str(tmp_path / "start.keras"), batch_norm=batch_norm)
    assert norms and [norm.trainable for norm in norms_of(model)] == [not stay] * len(norms)


def norms_of(model):
    layers = keras_private_api.layers_of(model.image_tower)
    return [each for each in layers if isinstance(each, keras.layers.BatchNormalization)]


def test_rows_of_long_contexts_are_as_long_as_the_longest_caption(records, monkeypatch):
    model = dual_encoder.load(CLIP)
    captions = [c for example in tfrecords.examples(records, "train") for c in example.captions]
    longest = model.tokenizer(captions).shape[1]
    assert longest < model.context_length  # of 77, or 512 with BERT
    x, *_ = next(iter(pairs(records).training(model)))
    assert x["token_ids"].shape == (8, model.context_length)
    monkeypatch.setattr(data, "LONG", model.context_length - 1)
    x, *_ = next(iter(pairs(records).training(model)))
    assert x["token_ids"].shape == (8, longest)


def test_a_run_from_a_model_of_the_hub(records, tmp_path, hub):
    hub.publish("duet/clip", CLIP)
    more = ("--model", "hf://duet/clip", "--freeze", "image")
    assert train(records, tmp_path / "run", *more) == 0
    start, end = dual_encoder.load(CLIP), dual_encoder.load(tmp_path / "run")
    assert end.tokenizer.get_config() == start.tokenizer.get_config()
    assert not changed(start.image_tower, [np.array(w) for w in end.image_tower.weights])
    assert changed(start.text_tower, [np.array(w) for w in end.text_tower.weights])
    again = made(records, model=str(tmp_path / "run"))  # nothing stays locked by accident
    assert len(again.trainable_variables) == len(start.trainable_variables)


def test_text_weights_bring_their_tokenizer(records, bert_files):
    given = {"text_weights": str(bert_files), "freeze": "text", "context_length": 10}
    model = made(records, text_tower="bert-tiny", **given)
    published = dual_encoder.load(bert_files)
    assert model.context_length == model.tokenizer.context_length == 10
    assert model.tokenizer.json == published.tokenizer.json
    ids = published.tokenizer(["a red star"])
    locked = model.text_projection(model.text_tower(ids))  # in spite of a dropout of 0.5
    np.testing.assert_allclose(
        model.encode_text(ids, training=True), keras.ops.normalize(locked), atol=1e-5
    )
    np.testing.assert_allclose(model.text_tower(ids), published.encode_text(ids), atol=1e-4)


def test_a_locked_tower_computes_as_in_inference():
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    image = dual_encoder.KerasImageTower(keras.Model(inputs, x))
    tokenizer = dual_encoder.Tokenizer.learn(["a b"], context_length=4)
    text = dual_encoder.text_tower("transformer-tiny", tokenizer, width=8)
    model = dual_encoder.DualEncoder(image, text, embed_dim=4, tokenizer=tokenizer)
    model.build()
    pixels = np.random.default_rng(0).integers(256, size=(6, 16, 16, 3)).astype("uint8")
    unlocked = np.array(model.encode_image(pixels, training=True))
    as_published = np.array(model.encode_image(pixels))
    assert not np.allclose(unlocked, as_published, atol=1e-2)
    image.trainable = False
    np.testing.assert_allclose(model.encode_image(pixels, training=True), as_published, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--freeze", "image"), "--freeze image: the image tower has random weights"),
        (("--freeze", "both"), "give --image-weights or --model"),
        (("--model", str(CLIP), "--embed-dim", "64"), "--embed-dim makes a new model"),
        (
            ("--text-weights", str(CLIP), "--vocabulary-size", "64"),
            "--vocabulary-size is of a vocabulary that is learnt; --text-weights has its own",
        ),
        (("--model", str(CLIP), "--loss", "sigmoid"), "--loss makes a new model; with --model"),
        (("--model", "nowhere"), "no model 'nowhere'"),
        (("--model", str(CLIP.parent / "vit_pooler")), "vit_pooler is ImageEncoder"),
        (("--text-weights", "nowhere"), "weights 'nowhere': cannot be read as weights of a text"),
        (("--freeze", "head"), "--freeze: expected one of none, image, text, both; got 'head'"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(records, tmp_path, capsys, more, message):
    assert train(records, tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and len(error.splitlines()) == 1 and message in error
    assert not list(tmp_path.iterdir())


def test_weights_that_cannot_be_fetched_say_what_to_do(records, tmp_path, capsys, hub):
    hub.publish("google-bert/bert-base-uncased", {"config.json": b"{}"})
    more = ("--text-tower", "bert-base", "--text-weights", "bert-base-uncased")
    assert train(records, tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert "google-bert/bert-base-uncased: no weights" in error
    assert "expected model.safetensors, pytorch_model.bin" in error
