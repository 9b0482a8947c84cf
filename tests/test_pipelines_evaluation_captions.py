"""`evaluate` on captioned records: retrieval, on a few drawn images and a tiny model."""

import csv
import json

import keras
import numpy as np
import pytest

import dual_encoder
import tfrecords
from pipelines.__main__ import main
from pipelines.evaluation import captions as evaluation_captions
from pipelines.metrics import retrieval
from tfrecords.sources.shapes.source import ShapesSource

pytestmark = pytest.mark.usefixtures("all_eagerly")

COUNT, MORE = 70, 30


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with `records` and `model.keras`: split train has captions, test has both."""
    home = tmp_path_factory.mktemp("retrieval")
    source = ShapesSource(counts={"train": COUNT, "validation": MORE})
    tfrecords.write(source, home / "records", shard_size=60, workers=1, progress=False)
    captions = [text for e in tfrecords.examples(home / "records", "train") for text in e.captions]
    keras.utils.set_random_seed(1)
    words = dual_encoder.Tokenizer.learn(captions, context_length=20, vocabulary_size=300)
    image = dual_encoder.image_tower("vit-tiny", image_size=32, width=16, depth=1)
    text = dual_encoder.text_tower("transformer-tiny", words, width=16, depth=1)
    model = dual_encoder.DualEncoder(image, text, embed_dim=8, tokenizer=words)
    model.build()
    model.save(home / "model.keras")
    return home


def evaluate(home, out, *more):
    given = ("--data", home / "records", "--model", home / "model.keras", "--out", out, *more)
    return main(["evaluate", *map(str, given)])


@pytest.fixture(scope="module")
def run(home):
    more = ("--split", "train", "--batch-size", "32", "--bootstrap", "50", "--seed", "3")
    assert evaluate(home, home / "run", *more) == 0
    return home / "run"


@pytest.fixture(scope="module")
def by_hand(home):
    """Images [p, e], captions [c, e] and owners [c], encoded one by one."""
    model = dual_encoder.load(home / "model.keras")
    images, captions, owner = [], [], []
    batches = tfrecords.load(
        home / "records", "train", batch_size=COUNT, tokenizer=model.tokenizer, image_size=32
    )
    for x, _, _ in batches:
        images = np.asarray(model.encode_image(x["image"]))
    for row, example in enumerate(tfrecords.examples(home / "records", "train")):
        ids = model.tokenizer(list(example.captions), length=20)
        captions.append(np.asarray(model.encode_text(ids)))
        owner += [row] * len(example.captions)
    return images, np.concatenate(captions), np.array(owner)


def results(run):
    return json.loads((run / "results.json").read_text())


def test_a_run_leaves_its_files_and_nothing_else(run):
    assert sorted(path.name for path in run.iterdir()) == sorted(evaluation_captions.FILES)
    page = (run / "report.html").read_text()
    assert page.startswith("<!doctype html>") and page.count("data:image/jpeg") == 8 * 4
    assert "find their image first" in page and "--split train" in page


def test_figures_are_those_of_every_caption_and_image(run, by_hand):
    images, captions, owner = by_hand
    found = results(run)
    assert (found["images"], found["captions"]) == (COUNT, len(owner))
    assert found["protocol"] == "retrieval" and found["searched"] == COUNT
    places = retrieval.both_ways(images, captions, owner)
    expected = retrieval.summary(places, owner)
    assert found["metrics"] == pytest.approx(expected, abs=0.03)  # ranks at ties may differ
    assert found["judged_by"] in found["intervals"]


def test_features_of_a_cache_say_the_same_and_are_computed_once(home, run, capsys):
    shared = ("--features", home / "cache")
    index = ("--index", home / "index", "--data", home / "records", "--model", home / "model.keras")
    assert main(["retrieve", "--build", *map(str, (*index, *shared))]) == 0
    before = {path: path.stat().st_mtime_ns for path in (home / "cache").rglob("*.safetensors")}
    more = ("--split", "train", "--batch-size", "32", "--bootstrap", "50", "--seed", "3")
    assert evaluate(home, home / "cached", *more, *shared) == 0
    assert results(home / "cached")["metrics"] == pytest.approx(results(run)["metrics"], abs=0.03)
    after = {path: path.stat().st_mtime_ns for path in (home / "cache").rglob("*.safetensors")}
    assert before == after and len(before) == 2


def test_every_caption_is_listed_with_its_rank(home, run):
    with open(run / "ranks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    written = [
        (str(example.id), text)
        for example in tfrecords.examples(home / "records", "train")
        for text in example.captions
    ]
    assert [(row["id"], row["caption"]) for row in rows] == written
    first = np.mean([row["rank_of_image"] == "1" for row in rows])
    assert first == pytest.approx(results(run)["metrics"]["text_to_image_recall1"])


def test_long_and_short_captions_are_encoded_in_their_order(home, by_hand):
    model = dual_encoder.load(home / "model.keras")
    texts = [t for e in tfrecords.examples(home / "records", "train") for t in e.captions]
    found = evaluation_captions.encode_captions(model, texts)
    np.testing.assert_allclose(found, by_hand[1], atol=1e-5)


def test_fewer_captions_and_more_images(home, capsys):
    more = ("--split", "train", "--captions-per-image", "1", "--distractors", "validation")
    more += ("--bootstrap", "0", "--protocol", "retrieval")
    assert evaluate(home, home / "fewer", *more) == 0
    found = results(home / "fewer")
    assert (found["captions"], found["searched"]) == (COUNT, COUNT + MORE)
    assert found["metrics"]["first_caption_hit100"] == 1.0 and found["intervals"] == {}
    output = capsys.readouterr().out
    assert "of 70 captions find their image first, among 100 images" in output
    assert "Image to text, recall@10" in output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--templates", "a {}"), "--templates goes with another --protocol than retrieval"),
        (("--captions-per-image", "0"), "--captions-per-image: expected 1 or more; got 0"),
        (("--distractors", "train"), "--distractors: expected other splits than train"),
        (("--distractors", "nothing"), "no split 'nothing'"),
        (("--distractors", *["validation"] * 2), "each once; got validation, validation"),
        (("--protocol", "retrieve"), "expected one of zero-shot, classifier, retrieval or null"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(home, tmp_path, capsys, more, message):
    assert evaluate(home, tmp_path / "out", "--split", "train", *more) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("error: ") and message in error[0]
    assert not list(tmp_path.glob("out/*"))


def test_a_model_without_a_tokenizer_is_refused_before_the_first_image(
    home, tmp_path, monkeypatch, capsys
):
    model = keras.saving.load_model(home / "model.keras")
    model.tokenizer = None
    model.save(tmp_path / "mute.keras")
    monkeypatch.setattr("pipelines.inspection.leaks", None)
    given = ("--split", "train", "--model", tmp_path / "mute.keras")
    assert evaluate(home, tmp_path / "out", *given) == 2
    assert "expected one with a tokenizer to read captions" in capsys.readouterr().err
