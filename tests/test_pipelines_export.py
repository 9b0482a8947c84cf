"""`python -m pipelines export`: the files say what the Keras model says, wherever TensorFlow is."""

import contextlib
import dataclasses
import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from folder_contents import content
from PIL import Image, ImageOps
from tensorflow.lite.tools import flatbuffer_utils

import classifiers
import dual_encoder
import tfrecords
from pipelines import prediction
from pipelines.__main__ import main
from pipelines.deployment import export as deployment_export
from pipelines.deployment import (
    litert,
    litert_metadata,
    load_classifier,
    model_card,
    onnx_openvino,
    saved_model,
)
from tfrecords.sources.shapes.multi_label import ShapesMultiSource
from tfrecords.sources.shapes.source import CLASS_NAMES, ShapesSource

INT8 = 9  # of TensorType
NAMES = ["red star", "blue ring", "ein größeres Dreieck"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with `records`, `dual.keras`, `classifier.keras` and `names.txt`."""
    home = tmp_path_factory.mktemp("export")
    source = ShapesSource(counts={"train": 6, "test": 24})
    tfrecords.write(source, home / "records", workers=1, progress=False)
    keras.utils.set_random_seed(1)
    words = dual_encoder.Tokenizer.learn([*CLASS_NAMES, *NAMES], context_length=16)
    own = {"width": 16, "depth": 1, "heads": 2}
    image = dual_encoder.VisionTransformer(32, 8, resize="squash", **own)
    text = dual_encoder.TextTransformer(words.vocabulary_size, 16, end_id=words.end_id, **own)
    model = dual_encoder.DualEncoder(image, text, embed_dim=8, tokenizer=words)
    model.build()
    model.save(home / "dual.keras")
    classifier = classifiers.from_model(model, classes=NAMES, multi_label=True)
    classifier.save(home / "classifier.keras")
    (home / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return home


def export(home, out, *more, model="dual.keras", format="saved-model"):
    given = ["--model", str(home / model), "--format", format, "--out", str(out)]
    return main(["export", *given, *map(str, more)])


def expected(classifier, files, *, several=False):
    """What the Keras model says of image files."""
    pixels = np.stack([tfrecords.read_image(f, **classifier.preprocessing) for f in files])
    logits = classifier(pixels, training=False)
    return np.asarray(keras.ops.sigmoid(logits) if several else keras.ops.softmax(logits))


def zero_shot(home, names, templates):
    model = dual_encoder.load(home / "dual.keras")
    return dual_encoder.ZeroShotClassifier.from_names(model, names, templates)


IMAGES = [deployment_export.drawn_image(seed) for seed in range(100, 105)]


def saved_options(home):
    texts = ("--class-names", home / "names.txt", "--templates", "a {}", "the {}")
    return (*texts, "--top-k", "2")


@pytest.fixture(scope="module")
def saved(home):
    """A dual encoder with names and templates of its own, as a SavedModel."""
    assert export(home, home / "saved", *saved_options(home)) == 0
    return home / "saved"


@pytest.fixture(scope="module")
def lite(home):
    """A classifier of several labels, as LiteRT."""
    assert export(home, home / "lite", model="classifier.keras", format="litert") == 0
    return home / "lite"


def test_a_saved_model_is_read_where_its_path_is_a_pattern(saved, tmp_path):
    """TensorFlow reads `[2024]` as one of four digits, and a backslash as what quotes a sign."""
    folder = shutil.copytree(saved, tmp_path / "[2024]" / "a\\b")
    np.testing.assert_array_equal(
        saved_model.reader(folder)(IMAGES), saved_model.reader(saved)(IMAGES)
    )
    assert saved_model.pixels_reader(folder)[0]["class_names"] == NAMES


def test_a_saved_model_says_what_the_keras_model_says(home, saved):
    model = tf.saved_model.load(str(saved))
    found = model.signatures["serving_default"](image_bytes=tf.constant(IMAGES))
    wanted = expected(zero_shot(home, NAMES, ["a {}", "the {}"]), IMAGES)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-5)
    order = np.argsort(-wanted, axis=1)[:, :2]
    named = [[text.decode() for text in row] for row in found["top_names"].numpy()]
    assert named == [[NAMES[i] for i in row] for row in order]
    best = np.take_along_axis(wanted, order, 1)
    np.testing.assert_allclose(found["top_probabilities"], best, atol=1e-5)
    assert len({row[0] for row in named}) > 1 and np.ptp(wanted[:, 0]) > 1e-3
    about = model.signatures["about"]()
    assert [name.decode() for name in about["class_names"].numpy()] == NAMES
    assert [text.decode() for text in about["templates"].numpy()] == ["a {}", "the {}"]
    assert json.loads(about["preprocessing"].numpy())["resize"] == "squash"
    used = {op.type for op in model.signatures["serving_default"].graph.get_operations()}
    assert not used & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_onnx_says_what_the_keras_model_says_and_names_the_classes(format, home, tmp_path):
    for package in onnx_openvino.NEEDS[format]:
        pytest.importorskip(package)
    texts = ("--class-names", home / "names.txt", "--templates", "a {}")
    assert export(home, tmp_path / "out", *texts, format=format) == 0
    classifier = zero_shot(home, NAMES, ["a {}"])
    pixels = np.stack([tfrecords.read_image(f, **classifier.preprocessing) for f in IMAGES])
    predictor = prediction.load(str(tmp_path / "out"))
    run = predictor.probabilities
    wanted = expected(classifier, IMAGES)
    np.testing.assert_allclose(run(pixels), wanted, atol=1e-5)
    np.testing.assert_allclose(run(pixels[:1]), wanted[:1], atol=1e-5)
    assert predictor.class_names == tuple(NAMES) and not predictor.multi_label
    assert predictor.preprocessing["resize"] == "squash"
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("```")[0]
    found: dict = {}
    (tmp_path / "out" / "image.jpg").write_bytes(IMAGES[0])
    with contextlib.chdir(tmp_path / "out"):
        exec(code, found)
    assert found["names"] == NAMES
    np.testing.assert_allclose(found["probabilities"], wanted[:1], atol=0.01)


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize("crop_fraction", [1.0, 0.875])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("shape", [(61, 90, 3), (90, 61, 3)])
def test_code_of_the_card_makes_the_pixels_of_evaluation(
    resize, crop_fraction, interpolation, shape, tmp_path
):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.jpg", quality=95)
    asked = tfrecords.Preprocessing(32, resize, interpolation, crop_fraction)
    found = {"np": np, "Image": Image, "ImageOps": ImageOps}
    with contextlib.chdir(tmp_path):
        exec(model_card.pixels_code(asked), found)
    wanted = tfrecords.read_image(tmp_path / "image.jpg", **dataclasses.asdict(asked))
    assert np.abs(found["pixels"][0].astype(int) - wanted).max() <= 2


def test_a_format_whose_packages_are_missing_names_the_extra(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(onnx_openvino.NEEDS, "onnx", ("there_is_no_such_package",))
    assert export(home, tmp_path / "out", format="onnx") == 1
    assert capsys.readouterr().err == (
        "error: onnx (there_is_no_such_package) needs: "
        "pip install 'duet-vision-language[onnx]', "
        "or in a clone pip install -e '.[onnx]'\n"
    )


def test_records_without_classes_give_a_dual_encoder_no_names(home):
    captions = SimpleNamespace(spoken_names=(), prompt_templates=("a {}",))
    with pytest.raises(
        ValueError, match=r"--class-names: .* reads class names; expected names, or"
    ):
        load_classifier.load(str(home / "dual.keras"), manifest=captions)


@pytest.fixture
def given(monkeypatch):
    """The results that exports are given, each of which ends there."""
    given = []

    def stop(*_, results, **__):
        given.append(results)
        raise ValueError("enough")

    monkeypatch.setattr(deployment_export, "export", stop)
    return given


def test_the_figures_of_a_run_are_not_those_of_other_names(home, tmp_path, given):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(home / "dual.keras", run / "model.keras")
    document = {"schema": 2, "command": "finetune", "per_class": [{"name": "red star"}]}
    (run / "results.json").write_text(json.dumps(document), encoding="utf-8")
    for names in (("red star", "blue ring"), ("circle", "blue ring")):
        assert export(home, tmp_path / "out", "--class-names", *names, model=run) == 1
    assert given == [document, None]


def test_a_run_is_not_exported_into_the_folder_of_another(home, tmp_path, capsys):
    """`predict --model` of that folder asked the export from then on."""
    for name in ("model.keras", "results.json", "config.yaml"):
        run = tmp_path / name.replace(".", "_")
        run.mkdir()
        (run / name).write_text("{}", encoding="utf-8")
        assert export(home, run, "--class-names", "red star", "blue ring") == 2
        assert f"already holds {name}; give another --out" in capsys.readouterr().err


def test_how_sure_a_run_is_is_not_said_of_another_model_or_other_classes(home, tmp_path, given):
    """Its dual encoder is another model; among more classes its thresholds are others."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("model.keras", "dual_encoder.keras"):
        shutil.copy(home / "dual.keras", run / name)
    rows = [{"name": name} for name in ("red star", "blue ring")]
    sure = {"temperature": 2.0, "none_of_these": {"threshold": 0.4}, "sets": {"threshold": 0.3}}
    figures = {"schema": 2, "command": "finetune", "per_class": rows}
    document = {**figures, "certainty": sure}
    (run / "results.json").write_text(json.dumps(document), encoding="utf-8")
    own, more = ("red star", "blue ring"), ("red star", "blue ring", "circle")
    for model, names in ((run, own), (run, more), (run / "dual_encoder.keras", own)):
        assert export(home, tmp_path / "out", "--class-names", *names, model=model) == 1
        known = prediction.load(str(model), class_names=names, sure=True).sure
        assert (known is not None) == (given[-1] == document)
    assert given == [document, figures, None]


def test_a_run_is_exported_in_its_own_templates(home, tmp_path, monkeypatch):
    """Also where its records are named, as --int8 needs them; other records have their own."""
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(home / "dual.keras", run / "model.keras")
    begun = {"data": str(home / "records"), "templates": ["{} it is"]}
    (run / "config.yaml").write_text(json.dumps(begun), encoding="utf-8")
    shutil.copytree(home / "records", tmp_path / "others")
    given = []

    def stop(_, found, *__, **___):
        given.append(found.templates)
        raise ValueError("enough")

    monkeypatch.setattr(deployment_export, "export", stop)
    for more in ((), ("--data", home / "records"), ("--data", tmp_path / "others")):
        assert export(home, tmp_path / "out", *more, model=run) == 1
    own = tuple(tfrecords.Manifest.read(home / "records").prompt_templates)
    assert given == [("{} it is",), ("{} it is",), own]


def test_litert_says_what_the_keras_model_says(home, lite):
    data = (lite / "model.tflite").read_bytes()
    classifier = keras.saving.load_model(home / "classifier.keras")
    wanted = expected(classifier, IMAGES, several=True)
    pixels = np.stack([tfrecords.read_image(f, **classifier.preprocessing) for f in IMAGES])
    run = litert.reader(data)
    np.testing.assert_allclose(run(pixels), wanted, atol=1e-5)
    np.testing.assert_allclose(run(pixels[:1]), wanted[:1], atol=1e-5)


def test_a_litert_file_carries_its_names(lite):
    with zipfile.ZipFile(lite / "model.tflite") as archive:
        assert archive.read("labels.txt").decode().splitlines() == NAMES
        about = json.loads(archive.read("preprocessing.json"))
    assert about["preprocessing"] == {
        "image_size": 32,
        "resize": "squash",
        "interpolation": "bicubic",
    }
    assert about["multi_label"] is True and about["class_names"] == NAMES
    with pytest.raises(ValueError, match="it has none"):
        litert_metadata.read(b"TFL3")


def test_the_metadata_names_the_files_where_other_readers_look(lite):
    """The flatbuffer, read by hand: model -> subgraph -> second tensor -> associated file."""
    from flatbuffers import number_types, table

    model = flatbuffer_utils.read_model(str(lite / "model.tflite"))
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"

    def field(parent, number):
        at = parent.Offset(4 + 2 * number)
        return parent.Pos + at if at else None

    def child(parent, number, item=None):
        at = field(parent, number)
        at = parent.Indirect(at) if item is None else at
        if item is not None:
            assert parent.VectorLen(at - parent.Pos) > item
            at = parent.Indirect(parent.Vector(at - parent.Pos) + 4 * item)
        return table.Table(parent.Bytes, at)

    first = int.from_bytes(data[:4], "little")
    graph = child(table.Table(bytearray(data), first), 3, 0)
    pixels, probabilities = child(graph, 2, 0), child(graph, 3, 0)
    assert pixels.String(field(pixels, 0)) == b"pixels"
    content = child(pixels, 3)
    assert content.Get(number_types.Uint8Flags, field(content, 0)) == 2  # ImageProperties
    size = child(child(content, 1), 1)
    assert size.Get(number_types.Uint32Flags, field(size, 0)) == 32
    labels = child(probabilities, 6, 0)
    assert labels.String(field(labels, 0)) == b"labels.txt"
    assert labels.Get(number_types.Int8Flags, field(labels, 2)) == 2  # TENSOR_AXIS_LABELS


PROGRAM = """
import importlib.util, sys, warnings
for name in ("tfrecords", "dual_encoder", "classifiers", "pipelines"):
    assert importlib.util.find_spec(name) is None, name
sys.modules["PIL"] = sys.modules["keras"] = None  # whoever imports it gets an ImportError
import numpy as np, tensorflow as tf
saved, lite, images, pixels, out = sys.argv[1:]
files = [bytes(image) for image in np.load(images, allow_pickle=False)["files"]]
files = [file[: int.from_bytes(file[-4:], "little")] for file in files]
serve = tf.saved_model.load(saved).signatures["serving_default"]
found = serve(image_bytes=tf.constant(files))["probabilities"].numpy()
run = tf.lite.Interpreter(lite).get_signature_runner("serving_default")
np.savez(out, saved=found, lite=run(pixels=np.load(pixels))["probabilities"])
"""


def test_both_run_where_nothing_of_duet_is_installed(home, saved, lite, tmp_path):
    """A virtual environment that has TensorFlow and its like, and no Duet."""
    venv = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")]
    subprocess.run(venv, check=True)
    paths = sysconfig.get_paths(vars={"base": str(tmp_path / "venv")})
    # A line with a folder: it is searched, but the .pth files in it, Duet's among them, are not.
    (Path(paths["purelib"]) / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    classifier = keras.saving.load_model(home / "classifier.keras")
    pixels = np.stack([tfrecords.read_image(f, **classifier.preprocessing) for f in IMAGES])
    np.save(tmp_path / "pixels.npy", pixels)
    longest = max(map(len, IMAGES))
    padded = [f.ljust(longest, b"\0") + len(f).to_bytes(4, "little") for f in IMAGES]
    rows = np.array([np.frombuffer(file, np.uint8) for file in padded])
    np.savez(tmp_path / "files.npz", files=rows)
    python = Path(paths["scripts"]) / "python"
    given = [saved, lite / "model.tflite", "files.npz", "pixels.npy", "found.npz"]
    result = subprocess.run(
        [python, "-I", "-X", "utf8", "-c", PROGRAM, *map(str, given)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found = np.load(tmp_path / "found.npz")
    wanted = expected(zero_shot(home, NAMES, ["a {}", "the {}"]), IMAGES)
    np.testing.assert_allclose(found["saved"], wanted, atol=1e-5)
    wanted = expected(classifier, IMAGES, several=True)
    np.testing.assert_allclose(found["lite"], wanted, atol=1e-5)


def test_a_saved_model_holds_every_weight_once(home, saved):
    weights = zero_shot(home, NAMES, ["a {}", "the {}"]).weights
    found = [shape for name, shape in tf.train.list_variables(str(saved / "variables/variables"))]
    numbers = sum(int(np.prod(shape)) for shape in found if shape)
    assert numbers == sum(int(np.prod(weight.shape)) for weight in weights)


def test_what_an_export_leaves(saved, lite):
    assert {path.name for path in saved.iterdir()} - {"assets", "fingerprint.pb"} == {
        *("saved_model.pb", "variables", "README.md", "export.json")
    }
    document = json.loads((saved / "export.json").read_text())
    assert document["class_names"] == NAMES and document["templates"] == ["a {}", "the {}"]
    assert document["agreement"]["max_abs_difference"] < 1e-4
    assert {path.name for path in lite.iterdir()} == {"model.tflite", "README.md", "export.json"}
    for folder, name in ((saved, "SavedModel"), (lite, "TFLite metadata")):
        card = (folder / "README.md").read_text()
        assert "Nothing was measured." in card and "blue ring" in card
        code = card.split("```python\n")[1].split("```")[0]
        compile(code, name, "exec")


def test_learnt_prompts_and_the_figures_of_a_run(home, tmp_path):
    model = dual_encoder.load(home / "dual.keras")
    coop = dual_encoder.CoOp(model, NAMES, n_ctx=2, seed=0)
    dual_encoder.save_prompts(coop, tmp_path / "prompts.safetensors", backbone="dual")
    results = {
        "schema": 2,
        "dataset": "colours",
        "method": "coop",
        "config": {"model": "x/clip"},
        "metrics": {"top1": 0.8237, "seen_top1": 0.5},
        "intervals": {},
        "versions": {},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    given = ("--prompts", tmp_path / "prompts.safetensors", "--results", tmp_path)
    assert export(home, tmp_path / "out", *given) == 0
    serve = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    found = serve(image_bytes=tf.constant(IMAGES))["probabilities"]
    np.testing.assert_allclose(found, expected(coop.classifier(), IMAGES), atol=1e-5)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| Top-1 accuracy | 82.4 % |" in card and "| Seen classes | 50.0 % |" in card
    assert card.startswith("# colours: x/clip, coop\n") and "| Made from | x/clip |" in card


def test_int8_says_what_it_loses(home, tmp_path, capsys):
    given = ("--data", home / "records", "--int8", "--calibration-images", "4")
    assert export(home, tmp_path / "out", *given, format="litert") == 0
    found = json.loads((tmp_path / "out" / "export.json").read_text())["int8"]
    names = list(CLASS_NAMES)
    assert found["images"] == 24 and found["split"] == "test" and found["metric"] == "top1"
    examples = list(tfrecords.examples(home / "records", "test"))
    classifier = zero_shot(home, names, tfrecords.Manifest.read(home / "records").prompt_templates)
    labels = np.array([example.label for example in examples])
    files = [example.image for example in examples]
    pixels = np.stack([tfrecords.read_image(f, **classifier.preprocessing) for f in files])
    data = (tmp_path / "out" / "model.tflite").read_bytes()
    for key, probabilities in (
        ("float", expected(classifier, files)),
        ("int8", litert.reader(data)(pixels)),
    ):
        assert found[key] == pytest.approx(np.mean(probabilities.argmax(1) == labels))
    assert found["loss"] == pytest.approx(found["float"] - found["int8"])
    assert 0 < found["max_abs_difference"] < 0.5
    assert "8-bit integers: top-1 accuracy" in capsys.readouterr().out
    assert "8-bit integers" in (tmp_path / "out" / "README.md").read_text()
    kept = flatbuffer_utils.read_model(str(tmp_path / "out" / "model.tflite")).subgraphs[0].tensors
    assert sum(tensor.type == INT8 for tensor in kept) > len(kept) / 4


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_int8_in_onnx_says_what_it_loses_and_predicts(format, home, tmp_path):
    for package in onnx_openvino.NEEDS[format]:
        pytest.importorskip(package)
    given = ("--data", home / "records", "--int8", "--calibration-images", "9")
    assert export(home, tmp_path / "out", *given, format=format) == 0
    found = json.loads((tmp_path / "out" / "export.json").read_text())["int8"]
    assert found["calibration_images"] == 6  # all there are
    examples = list(tfrecords.examples(home / "records", "test"))
    predictor = prediction.load(str(tmp_path / "out"))
    pixels = np.stack(
        [tfrecords.read_image(example.image, **predictor.preprocessing) for example in examples]
    )
    answers = predictor.probabilities(pixels).argmax(1)
    assert found["images"] == 24 and 0 < found["max_abs_difference"] < 0.1
    assert found["int8"] == pytest.approx(
        np.mean(answers == [example.label for example in examples])
    )
    assert predictor.class_names == tuple(CLASS_NAMES)


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        ("dual.keras", (), "--class-names: "),
        ("dual.keras", ("--class-names", "nowhere.txt"), "--class-names: no file nowhere.txt"),
        ("dual.keras", ("--prompts", "nowhere"), "no prompts at nowhere"),
        ("dual.keras", ("--int8",), "--int8 goes with --format litert, onnx or openvino"),
        ("dual.keras", ("--data", "nowhere"), "nowhere holds no records"),
        ("dual.keras", ("--top-k", "0"), "--top-k: expected a number in [1, inf); got 0"),
        ("dual.keras", ("--split", "train"), "--split goes with --data"),
        ("dual.keras", ("--batch-size", "99999"), "--batch-size: expected a number in [1, 65536]"),
        ("dual.keras", ("--calibration-images", "9"), "--calibration-images goes with --int8"),
        ("dual.keras", ("--format", "onnx", "--top-k", "2"), "--top-k goes with --format saved-"),
        ("dual.keras", ("--results", "nowhere"), "no results at nowhere"),
        ("dual.keras", ("--format", "pdf"), "expected one of saved-model, litert, onnx, openvino"),
        ("classifier.keras", ("--templates", "a {}"), "--templates goes with a dual encoder"),
        ("nowhere.keras", (), "nowhere.keras"),
        ("names.txt", (), "names.txt: expected a .keras file"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(home, tmp_path, capsys, model, more, message):
    assert export(home, tmp_path / "out", *more, model=model) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("error: ") and message in error[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["litert", "onnx", "openvino"])
def test_weights_that_a_format_cannot_hold_are_refused_before_work(format, tmp_path):
    options = SimpleNamespace(format=format, model="huge.keras")
    model = SimpleNamespace(weights=[SimpleNamespace(shape=(2**15, 2**14))])  # of 2 GiB
    huge = SimpleNamespace(model=model, name="huge.keras")
    with pytest.raises(RuntimeError, match=rf"huge.keras has weights of 2.1 GB; {format} holds"):
        deployment_export.export(options, huge, None, out=tmp_path / "out", results=None)
    assert not (tmp_path / "out").exists()


def test_int8_wants_images_with_labels_of_the_same_kind(home, tmp_path, capsys, monkeypatch):
    """Before anything is converted, which takes minutes."""
    monkeypatch.setattr(deployment_export, "WRITERS", {})
    assert export(home, tmp_path / "out", "--int8", format="litert") == 2
    assert "--int8: expected --data" in capsys.readouterr().err
    source = ShapesMultiSource(counts={"train": 4, "test": 4})
    tfrecords.write(source, tmp_path / "several", workers=1, progress=False)
    given = ("--data", tmp_path / "several", "--int8")
    assert export(home, tmp_path / "out", *given, format="litert") == 2
    assert "have any number of labels each, the model gives one label" in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*"))


def test_a_tower_without_a_head_is_refused(home, tmp_path, capsys):
    tower = dual_encoder.ImageEncoder(
        dual_encoder.VisionTransformer(16, 8, width=8, depth=1, heads=2)
    )
    tower.build()
    tower.save(tmp_path / "tower.keras")
    assert export(tmp_path, tmp_path / "out", model="tower.keras") == 2
    said = capsys.readouterr().err
    assert "expected one that tells classes apart" in said and "without a head" in said


def test_the_same_command_again_says_that_it_is_done(home, saved, capsys):
    """As where it was killed just before it ended, which may leave its lock."""
    before = content(saved)
    (saved / ".lock").touch()
    assert export(home, saved, *saved_options(home)) == 0
    assert f"Written to {saved} by the same command before" in capsys.readouterr().out
    assert content(saved) == before


def test_nothing_is_overwritten(home, saved, capsys):
    assert export(home, saved, model="classifier.keras") == 2
    assert "already holds" in capsys.readouterr().err


def test_a_model_that_was_saved_since_is_not_exported_yet(home, saved, tmp_path, capsys):
    copy = shutil.copytree(saved, tmp_path / "saved")
    os.utime(copy / "export.json", (0, 0))
    assert export(home, copy, *saved_options(home)) == 2
    assert "already holds" in capsys.readouterr().err


def test_other_names_in_the_same_file_are_not_exported_yet(home, saved, tmp_path, capsys):
    copy, names = shutil.copytree(saved, tmp_path / "saved"), tmp_path / "names.txt"
    names.write_text("red circle\nblue star\n")
    about = json.loads((copy / "export.json").read_text())
    about["config"]["class_names"] = [str(names)]
    (copy / "export.json").write_text(json.dumps(about))
    os.utime(names, (2**33, 2**33))
    assert export(home, copy, *saved_options(home), "--class-names", names) == 2
    assert "already holds" in capsys.readouterr().err


def test_a_cell_is_not_taken_for_another_of_the_same_model(home, saved, tmp_path, capsys):
    """Whose model, of both, is the one that the prompts were learnt with."""
    copy = shutil.copytree(saved, tmp_path / "saved")
    cell, document = tmp_path / "cell", {"schema": 2, "command": "prompt", "method": "zero-shot"}
    cell.mkdir()
    own = {"model": str(home / "dual.keras"), "templates": ["a {}"]}
    config = {"templates": None, "data": str(home / "records"), "class_names": None}
    (cell / "results.json").write_text(json.dumps({**document, **own, "config": config}))
    about = json.loads((copy / "export.json").read_text())
    about["config"] |= {"class_names": None, "templates": None, "top_k": 5}
    (copy / "export.json").write_text(json.dumps(about))
    assert export(home, copy, model=cell) == 2
    assert "already holds" in capsys.readouterr().err


def test_onnx_runtime_is_told_to_send_nothing(monkeypatch):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    importlib.reload(onnx_openvino)
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
