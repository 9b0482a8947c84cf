"""`python -m pipelines finetune`, end to end, on a tiny CLIP and images of a few colours."""

import json

import keras
import numpy as np
import pytest
import yaml

from pipelines.runs import runtime

runtime.import_tensorflow()

from colours import NAMES, RATE, finetune  # noqa: E402
from saved_runs import valid_results  # noqa: E402

import dual_encoder  # noqa: E402
import tfrecords  # noqa: E402
from pipelines.finetuning import auto_method  # noqa: E402
from pipelines.runs import models as runs_models  # noqa: E402

pytestmark = pytest.mark.usefixtures("all_eagerly")


@pytest.fixture(scope="module")
def tuned(home):
    """What the command printed, and the folder of its run."""
    status, output, error = finetune(
        home,
        *("auto", "--held-out-classes", "dog", *RATE, "--head-multiplier", "2"),
        *("--wise-ft", "choose"),
    )
    assert status == 0, error
    return output, home / "auto"


def test_held_out_classes_alpha_and_what_is_left(tuned):
    output, out = tuned
    assert "5 classes to train on" in output and "held out: dog (" in output
    found = valid_results(out)
    assert found["method"] == "projection-ft" and found["config"]["wise_ft"] == "choose"
    assert found["parts"]["held_out"] == [3] and found["classes"] == 5
    metrics, history = found["metrics"], found["history"]
    assert metrics["top1"] == metrics["seen_top1"]
    assert "unseen_top1" not in metrics and "harmonic_mean" not in metrics  # one class is easy
    assert "unseen_among_all" in metrics
    assert [row["epoch"] for row in history] == [-1, 0, 1]  # the first is the untouched model
    assert "loss" not in history[0] and "val_seen_top1" in history[0]
    alpha = found["alpha"]
    assert [row["alpha"] for row in alpha["curve"]] == [i / 5 for i in range(6)]
    assert found["wise_ft"] == alpha["curve"]
    assert 3 not in alpha["classes"] and set(alpha["classes"]) <= set(found["parts"]["seen"])
    assert alpha["chosen"] in [row["alpha"] for row in alpha["curve"]]
    assert set(found["intervals"]) >= {"top1", "unseen_among_all", "generalized_top1"}
    page = (out / "report.html").read_text()
    assert "Interpolation between the weights before and after" in page and "http" not in page


def test_the_saved_model_is_the_one_that_was_measured(home, tuned):
    """And the dual encoder beside it has the tuned image side."""
    _, out = tuned
    model = keras.saving.load_model(out / "model.keras")
    assert model.class_names == [name for name in NAMES if name != "dog"]
    assert model.name == "image_classifier"  # whatever else the process has made before
    dual = dual_encoder.load(out / "dual_encoder.keras")
    right, batches = [], tfrecords.load(home / "records", "test", **model.preprocessing)
    for x, y, weight in batches:
        keep = (weight.numpy() > 0) & (y.numpy() != 3)
        said = [NAMES.index(model.class_names[i]) for i in np.asarray(model(x)).argmax(axis=1)]
        right += list((np.array(said) == y.numpy())[keep])
        ours = dual_encoder.ZeroShotClassifier.from_names(dual, NAMES, ["a photo of a {}."])(x)
        same = np.delete(np.asarray(ours), 3, axis=1)
        np.testing.assert_allclose(same, model(x), atol=1e-3)  # paint leaves the head alone
    assert np.mean(right) == pytest.approx(valid_results(out)["metrics"]["top1"])


def test_auto_trains_no_tower_where_features_tell_the_classes_apart(home):
    every = ("--batch-size", "60")  # image there is; with classes set aside there are fewer
    status, output, error = finetune(home, "cheap", "--held-out", "1", *every)
    assert status == 0, error
    found = valid_results(home / "cheap")
    chosen = found["auto"]
    assert chosen["method"] == found["method"] in auto_method.ROWS
    assert "no room to tell a better one" in chosen["why"]
    assert f"auto: {found['method']}; {chosen['why']}" in output
    assert found["config"] == yaml.safe_load((home / "cheap" / "config.yaml").read_text())
    page = (home / "cheap" / "report.html").read_text()
    assert f"method {found['method']}, taken by auto" in page and "--method auto" in page
    assert f"Auto took {found['method']}: " in page
    assert "0 steps" not in page and "Per epoch" not in page  # there is one, of no training
    assert found["steps"] == 0 and not (home / "cheap" / "set-aside").exists()
    model = keras.saving.load_model(home / "cheap" / "model.keras")
    assert model.class_names == list(NAMES[1:])
    assert model.name == "image_classifier"  # it has tried several


def test_the_projection_leaves_a_dual_encoder_that_answers_alike(home):
    status, _, error = finetune(home, "projection", "--method", "projection", "--held-out", "2")
    assert status == 0, error
    found = valid_results(home / "projection")
    model = keras.saving.load_model(home / "projection" / "model.keras")
    dual = dual_encoder.load(home / "projection" / "dual_encoder.keras")
    names, prompts = model.class_names, found["templates"]
    by_names = dual_encoder.ZeroShotClassifier.from_names(dual, names, prompts)
    side = model.image_size
    x = np.random.default_rng(0).integers(256, size=(4, side, side, 3)).astype("float32")
    np.testing.assert_allclose(model(x), by_names(x), rtol=1e-3, atol=1e-3)
    assert found["metrics"]["top1"] > 0.9 and "generalized_top1" in found["metrics"]
    with pytest.raises(ValueError, match=r"one tower .*/dual_encoder\.keras beside it is one"):
        runs_models.load_dual_encoder(str(home / "projection"))


def test_the_untouched_model_is_the_zero_shot_model(home):
    status, _, error = finetune(
        home, "flyp", "--method", "flyp", "--held-out", "2", *RATE, "--wise-ft", "curve"
    )
    assert status == 0, error
    found = valid_results(home / "flyp")
    first, way = found["history"][0], found["wise_ft"]
    assert [row["alpha"] for row in way] == [i / 10 for i in range(11)]
    for name in ("seen_top1", "unseen_top1", "generalized_top1"):
        assert first[f"val_{name}"] == way[0][name]
        assert found["history"][-1][f"val_{name}"] == way[-1][name]
    assert isinstance(dual_encoder.load(home / "flyp"), dual_encoder.DualEncoder)
    assert not (home / "flyp" / "dual_encoder.keras").exists()


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("linear-probe", ()),
        ("lp-ft", (*RATE, "--ema", "0.5", "--label-smoothing", "0.1")),
        ("lora", (*RATE, "--lora-rank", "2", "--mixup", "0.2", "--flip", "--held-out", "2")),
        ("clip-lora", (*RATE, "--lora-rank", "2", "--held-out", "2")),
    ],
)
def test_other_methods_learn_colours(home, method, more):
    status, output, error = finetune(home, method, "--method", method, *more)
    assert status == 0, error
    found = valid_results(home / method)
    if "lora" in method:  # little can be learnt in ten steps
        assert found["history"][-1]["loss"] < found["history"][1]["loss"]
        assert "harmonic_mean" in found["metrics"]  # names it never saw by their text
        assert "generalized_top1" in found["metrics"]
    else:
        assert found["metrics"]["top1"] > (0.9 if method == "linear-probe" else 0.3)
    assert ("linear probe: C = " in output) == ("lora" not in method)
    assert found["steps"] == {"linear-probe": 0, "lp-ft": 10, "lora": 6, "clip-lora": 6}[method]
    cost = found["cost"]
    assert cost["trained_parameters"] < cost["parameters"] or method == "lp-ft"
    model = keras.saving.load_model(home / method / "model.keras")
    assert not any("lora" in variable.path for variable in model.variables)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--held-out", "5"), "expected 1 to 4 of the 6 classes of colours; got 5"),
        (("--batch-size", "100"), "expected at most the 72 images that are left to train on"),
        (("--wise-ft", "curve", "--method", "full"), "starts from a new head, with nothing to go"),
        (("--mixup", "0.1", "--cutmix", "0.1"), "expected one of them; got both"),
        (
            ("--method", "last-blocks", "--last-blocks", "7"),
            "0 to the 2 blocks of the tower; got 7",
        ),
        (("--min-learning-rate", "1"), "expected at most --learning-rate"),
        (("--test", "validation"), "no split 'validation'; it has: train, test"),
        (("--validation", "1"), r"expected a number in (0, 1); got 1"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(home, more, message):
    status, _, error = finetune(home, "wrong", *more)
    assert status == 2 and message in error and error.count("\n") == 1
    assert not (home / "wrong").exists()


def test_a_finished_run_is_not_overwritten(home):
    method = ("--method", "linear-probe")
    assert finetune(home, "once", *method)[0] == 0
    status, said, _ = finetune(home, "once", *method)
    assert status == 0 and said.startswith("finished already; nothing is left to do\n")
    status, _, error = finetune(home, "once", *method, "--seed", "9")
    assert status == 2 and "holds a finished run" in error
    origin = home / "once" / "origin.json"
    origin.write_text(json.dumps(json.loads(origin.read_text()) | {"records": "another"}))
    status, said, error = finetune(home, "once", *method)
    assert (status, said) == (2, "") and "a run begun from other records (rewritten since)" in error


@pytest.mark.parametrize("batch_norm", ["kept", "trained"])
def test_batch_normalisation_of_a_pretrained_network_is_kept(home, batch_norm):
    """By the statistics of a batch its answers would be another network's."""
    out = f"norms-{batch_norm}"
    more = ("--method", "zero-shot-head", "--epochs", "1", "--batch-norm", batch_norm)
    status, _, error = finetune(home, out, "--model", "shapes-tiny", *more)
    assert status == 0, error

    def statistics(model):
        values = {v.path.split("image_tower/")[-1]: np.asarray(v) for v in model.variables}
        return {path: value for path, value in values.items() if "moving_" in path}

    before = statistics(dual_encoder.load("shapes-tiny"))
    after = statistics(keras.saving.load_model(home / out / "model.keras"))
    same = [np.array_equal(value, after[path]) for path, value in before.items()]
    assert same == [batch_norm == "kept"] * 6
