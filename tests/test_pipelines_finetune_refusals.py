"""What goes wrong with `finetune`: one clear line each, and nothing lost."""

import dataclasses
import shutil
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from colours import NAMES, Colours, finetune, image
from safetensors.numpy import load_file, save_file
from saved_runs import valid_results
from tiny_models import vision

import classifiers
import tfrecords
from classifiers import trainable
from pipelines.__main__ import main
from pipelines.finetuning import model as finetuning_model
from pipelines.finetuning import options as finetuning_options
from pipelines.finetuning import settled_options
from pipelines.finetuning.options import Options
from pipelines.runs import class_split
from tfrecords import Manifest
from tfrecords.schema import RawExample

pytestmark = pytest.mark.usefixtures("all_eagerly")

TOWER = ("--model", "convnet-tiny", "--image-size", "32")  # that reads no names


@dataclass(frozen=True)
class Few(Colours):
    """Three images of each class in train but the last, which has none."""

    splits = {"train": 15, "test": 6}  # noqa: RUF012  as sources have it

    def read(self, split, start, stop):
        for i in range(start, stop):
            label = i % (6 if split == "test" else 5)
            yield RawExample(f"{split}/{i}.png", partial(image, split, label), label=label)


@pytest.fixture(scope="module")
def lacking(tmp_path_factory, home):
    """Records in which a class has no training images, and the tiny CLIP."""
    folder = tmp_path_factory.mktemp("lacking")
    tfrecords.write(Few(), folder / "records", workers=1, progress=False)
    shutil.copy(home / "clip.keras", folder)
    return folder


def test_a_class_without_training_images(lacking):
    status, _, error = finetune(lacking, "run", "--batch-size", "4")
    assert status == 2 and error.count("\n") == 1
    assert f"class {NAMES[5]!r} has no images to train on in colours" in error
    assert "--held-out-classes" in error and not (lacking / "run").exists()


@pytest.mark.parametrize("wrong", [-1, 6])
def test_labels_out_of_range(home, wrong):
    manifest = Manifest.read(home / "records")
    ids, labels = tfrecords.labels(home / "records", "train")
    labels[[3, 4]] = wrong
    with pytest.raises(ValueError, match=rf"expected 0 to 5, .* got {wrong} \(2 images\)"):
        class_split.divide(ids, labels, manifest, held_out=(), fraction=0.2, seed=0)


def test_no_test_image_of_a_class_that_is_trained_on(lacking):
    """Said before anything is trained."""
    manifest = Manifest.read(lacking / "records")
    counts = (0, 0, 1, 1, 1, 1)
    split = replace(manifest.split("test"), class_counts=counts)
    none = replace(manifest, splits={**manifest.splits, "test": split})
    given = Options(str(lacking / "records"), "clip", str(lacking / "none"))
    with pytest.raises(ValueError, match="'test' of colours has no image of a class that is tr"):
        finetuning_options.check_tested(given, none, tuple(range(2, 6)))
    finetuning_options.check_tested(given, none, (0, 1))


def test_a_frozen_classifier_has_nothing_to_train():
    model = classifiers.from_model(vision(), classes=2)
    trainable.freeze(model, model.trainable_variables)
    model.compile("sgd")
    pixels, labels = np.zeros((2, 16, 16, 3), np.uint8), np.array([0, 1])
    with pytest.raises(ValueError, match="nothing to train: every weight is frozen"):
        model.fit(pixels, labels, verbose=0)
    assert model.evaluate(pixels, labels, verbose=0) > 0  # measuring it is another matter
    trainable.thaw(model)
    model.compile("sgd")
    model.fit(pixels, labels, verbose=0)


def test_head_and_labels_of_different_size():
    head = keras.layers.Dense(3)
    with pytest.raises(ValueError, match=r"head: expected 2 outputs, one per class; got 3"):
        classifiers.ImageClassifier(vision(), head, class_names=["a", "b"])


def test_a_learning_rate_that_diverges_loses_nothing(home):
    rate = ("--optimizer", "sgd", "--learning-rate", "1e30", "--clip-norm", "0")
    status, _, error = finetune(home, "wild", "--method", "full", *rate)
    assert status == 1 and error.splitlines()[-1].startswith("error: ")
    assert "became NaN or infinite at step" in error and "A smaller --learning-rate" in error
    assert not (home / "wild" / "model.keras").exists()
    kept = list((home / "wild" / "checkpoints").glob("*")) if (home / "wild").exists() else []
    for path in kept:  # no state that is not finite is ever kept
        arrays = load_file(path).values()
        assert all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f")


def test_a_checkpoint_of_another_model_is_refused_and_kept(home):
    out = home / "other"
    assert finetune(home, "other", "--method", "frozen", "--epochs", "1")[0] == 0
    (out / "results.json").unlink()  # by it the run is known to be finished
    (newest,) = (out / "checkpoints").glob("step-*.safetensors")
    arrays = load_file(newest)
    name = max(arrays, key=lambda name: arrays[name].size)
    save_file({**arrays, name: arrays[name][:-1]}, newest, metadata={"duet": "{}"})
    before = newest.read_bytes()
    status, _, error = finetune(home, "other", "--method", "frozen", "--epochs", "1")
    assert status == 2 and "a checkpoint of another model or optimizer" in error
    assert newest.read_bytes() == before and not (out / "results.json").exists()


def test_a_name_of_two_classes_is_measured_if_asked_and_the_figures_say_so(home, tmp_path):
    shutil.copytree(home / "records", tmp_path / "records")
    shutil.copy(home / "clip.keras", tmp_path)
    manifest = Manifest.read(home / "records")
    names = (NAMES[1], *NAMES[1:])
    dataclasses.replace(manifest, class_names=names).write(tmp_path / "records")
    status, _, error = finetune(tmp_path, "twice", "--method", "linear-probe")
    assert status == 2 and f"{NAMES[1]!r} is there 2 times (--allow-equal-names" in error
    asked = ("--method", "linear-probe", "--allow-equal-names", "--bootstrap", "0")
    status, output, error = finetune(tmp_path, "twice", *asked)
    assert status == 0, error
    assert valid_results(tmp_path / "twice")["equal_names"] == {NAMES[1]: 2}
    line = f"names of several classes, which are not told apart: {NAMES[1]!r} (2)"
    assert line in output
    page = (tmp_path / "twice" / "report.html").read_text()
    assert "Names of several classes, which are not told apart" in page


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--held-out", "1", "--held-out-classes", "dog"), "expected one of them; got both"),
        (("--held-out-classes", "dogs"), "; got 'dogs'; did you mean dog?"),
        (("--held-out", "9", "--held-out-seed", "1"), "expected 1 to 4 of"),
        (("--method", "lora2"), "expected one of auto, zero-shot, chosen-words"),
        (
            ("--lora-rank", "4", "--method", "full"),
            "--lora-rank goes with --method lora, clip-lora",
        ),
        (
            ("--last-blocks", "2", "--method", "lora"),
            "--last-blocks goes with --method last-blocks",
        ),
        (("--momentum", "0.5"), "--momentum goes with --optimizer sgd"),
        (("--beta-2", "0.5", "--optimizer", "sgd"), "--beta-2 goes with --optimizer adamw"),
        (("--plateau", "2"), "--plateau needs --schedule constant"),
        (("--schedule", "constant", "--warmup-steps", "9"), "--warmup-steps goes with --schedule"),
        (("--method", "flyp", "--cutmix", "1"), "--cutmix goes with methods that learn"),
        (("--method", "flyp", "--label-smoothing", "0.1"), "--label-smoothing goes with methods"),
        (("--method", "lp-ft", "--head", "zero-shot"), "--head goes with --method full, frozen"),
        (("--method", "gaussian", "--head", "linear"), "--head goes with --method full, frozen"),
        (
            ("--method", "paint", "--wise-ft", "choose", "--head", "linear"),
            "--wise-ft choose goes back to the zero-shot head, and --head linear starts anew",
        ),
        (("--head", "linear"), "--method auto goes back to the zero-shot head, and --head linear"),
        (("--head", "zero-shot", "--method", "lora", "--templates", "x"), "no file x"),
        (("--model", "no-such-model"), "no-such-model"),
        (("--model", "resnet50", "--weights", "nowhere.h5"), "nowhere.h5"),
        (("--data", "nowhere"), "nowhere holds no records"),
        (("--image-size", "20"), "image_size"),
        (("--teacher", "1", "--random-texts", "1"), "--teacher and --random-texts: expected one"),
        (("--method", "gaussian", "--random-texts", "1"), "--random-texts goes with methods that"),
        (
            (*TOWER, "--method", "full", "--random-texts", "1"),
            "--random-texts needs a dual encoder, which encodes texts; got ",
        ),
    ],
)
def test_wrong_words_are_one_line_and_leave_nothing(home, more, message):
    status, _, error = finetune(home, "no", *more)
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert status == 2 and len(lines) == 1 and message in lines[0], error
    assert not (home / "no").exists()


def test_a_model_without_texts_has_no_zero_shot_head(home, tmp_path):
    status, _, error = finetune(home, "no", *TOWER, "--method", "zero-shot-head")
    assert status == 2 and "needs a dual encoder, which reads class names" in error
    assert main(["finetune", "--data", "x"]) == 2


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("flyp", "got flyp, which cuts images out anew in every pass"),
        ("chosen-words", "got chosen-words, which learns nothing from the images themselves"),
    ],
)
def test_views_are_refused_by_methods_that_take_none(method, why):
    given = Options("records", "clip", "out", method=method, views=2)
    data = SimpleNamespace(manifest=SimpleNamespace(multi_label=False))
    with pytest.raises(ValueError, match=f"--views goes with .* linear-probe, .*, auto; {why}"):
        settled_options.settled(given, data)
    assert settled_options.settled(replace(given, views=1), data).method == method
    taken = settled_options.settled(replace(given, method="text-probe"), data)
    assert taken.views == 2


def test_classes_that_a_classifier_knew_and_the_new_one_will_not_are_named(capsys):
    known = classifiers.from_model(vision(), classes=list("abcdefg"))
    finetuning_model.say_left_behind(known, ["a", "x"])
    assert capsys.readouterr().out == (
        "The model knew b, c, d, e, f and 1 more; the new classifier will not: there are no images "
        "of them to train on.\n"
    )
    finetuning_model.say_left_behind(known, list("gfedcbah"))
    finetuning_model.say_left_behind(vision(), ["x"])  # an image tower knows no classes
    assert not capsys.readouterr().out
