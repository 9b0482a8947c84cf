"""Few test images: the images are divided several times, and every image is tested once."""

import contextlib
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tfrecords
from pipelines.comparison import folds
from pipelines.comparison import plan as comparison_plan
from pipelines.comparison import run as comparison_run
from pipelines.comparison.comparison_settings import About
from pipelines.comparison.jobs.fork_server import Call, Outcome
from pipelines.comparison.jobs.worker_pool import Workers
from pipelines.comparison.options import Options
from pipelines.comparison.report import pooled, results_document
from pipelines.evaluation import measure
from pipelines.metrics import classification, seen_unseen
from pipelines.runs import predictions
from tfrecords import Manifest

pytestmark = pytest.mark.usefixtures("all_eagerly")

FOLDS = 3  # of 90 images to train on and 36 to test on


class Here(Workers):
    """Does the calls in this process."""

    def run(self, calls):
        for call in calls:
            yield Outcome(call.function(*call.arguments))

    def call(self, call: Call):
        return call.function(*call.arguments)


def asked(home, out="out", **given):
    methods = ["zero-shot", "linear-probe"]
    usual = {"methods": methods, "serving_seconds": 0.0, "bootstrap": 50, "shots": [2]}
    return Options(str(home / "records"), str(out), str(home / "clip.keras"), **{**usual, **given})


def counts(train, test, **given):
    splits = {"train": train, "test": test}
    found = {
        name: SimpleNamespace(count=sum(each), class_counts=each) for name, each in splits.items()
    }
    return SimpleNamespace(split=found.__getitem__, multi_label=False, dataset="d", **given)


@pytest.fixture(scope="module")
def divided(home, tmp_path_factory):
    """The folds of the colours, written."""
    out = tmp_path_factory.mktemp("folds")
    manifest = Manifest.read(home / "records")
    found = folds.of(folds.settled(asked(home, out), manifest, ()), manifest, out)
    folds.write(found)
    return found


def files(fold, split):
    count = Manifest.read(fold.options.data).split(split).count
    return [
        each.filename for _, each in tfrecords.examples_at(fold.options.data, split, range(count))
    ]


def test_every_image_is_tested_once_and_never_trained_on_in_the_same_fold(divided):
    tested = [files(fold, "test") for fold in divided]
    trained = [set(files(fold, "train")) for fold in divided]
    assert len(divided) == FOLDS and [len(each) for each in tested] == [36, 45, 45]
    everything = set().union(*trained)
    assert (
        sorted(name for each in tested for name in each) == sorted(everything)
        and len(everything) == 126
    )
    for own, others in zip(tested, trained, strict=True):
        assert not others & set(own) and len(others) + len(own) == 126


def test_folds_are_as_many_of_each_class_as_was_said_before_they_were_written(divided):
    for fold in divided:
        manifest = Manifest.read(fold.options.data)
        assert manifest.split("train").class_counts == tuple(np.bincount(fold.labels))
        assert manifest.split("test").class_counts == fold.test
        assert manifest.templates == ("a photo of a {}.",) and manifest.dataset == "colours"
        assert max(fold.test) - min(fold.test) <= 1


def test_folds_that_are_there_are_not_written_again(divided):
    before = Path(divided[1].options.data, "manifest.json").stat().st_mtime_ns
    folds.write(divided)
    assert Path(divided[1].options.data, "manifest.json").stat().st_mtime_ns == before


def test_folds_of_another_number_are_not_mixed_with_those_that_are_there(home, divided):
    folds.check_written(divided)
    manifest, out = Manifest.read(home / "records"), Path(divided[0].options.out)
    others = folds.of(folds.settled(asked(home, out, folds=2), manifest, ()), manifest, out)
    with pytest.raises(ValueError, match=rf"another --folds or first seed; .* delete {out}/folds"):
        folds.check_written(others)


def test_the_fewest_images_to_choose_by_of_all_folds_are_said(home, tmp_path):
    """Not what the largest division has more to train on than the smallest."""
    manifest = Manifest.read(home / "records")
    options = folds.settled(asked(home, tmp_path, folds=FOLDS), manifest, ())
    made = comparison_plan.plan(options, manifest, Workers(), held_out=(), out=tmp_path)
    divisions, images, choosing = comparison_plan.divided(
        options, manifest, held_out=(), out=tmp_path
    )
    assert images + choosing == min(len(fold.labels) for fold in divisions) == 81
    (said,) = (each for each in made.remarks if "images to choose by" in each)
    assert said.startswith(f"{choosing} images to choose by")


@pytest.mark.parametrize(
    ("train", "test", "held_out", "number"),
    [
        ([80, 80], [20, 20], (), 5),  # a fifth is tested: five times
        ([20, 20], [20, 20], (), 2),
        ([400, 40], [16, 20], (), 5),  # never more
        ([80, 80], [25, 25], (), 1),
        ([80, 80, 80], [30, 30, 10], (2,), 4),  # 10 of the class that is held out
        ([2000, 10], [20, 20], (), 1),  # what takes long has to be asked for
    ],
)
def test_below_fifty_test_images_of_either_kind_there_are_folds(train, test, held_out, number):
    found = folds.settled(Options("d", "o"), counts(train, test), held_out)
    assert found.folds == number and found.seeds == ([1] if number > 1 else [1, 2, 3])


def test_what_is_asked_for_is_done():
    few = counts([80, 80], [20, 20])
    assert folds.settled(Options("d", "o", folds=1), few, ()).folds == 1
    given = folds.settled(Options("d", "o", folds=3, seeds=[4, 5]), few, ())
    assert (given.folds, given.seeds) == (3, [4, 5])
    with pytest.raises(ValueError, match=r"--folds: expected at most 5, so that .* of d for each"):
        folds.settled(Options("d", "o", folds=6), counts([2, 2], [2, 2]), ())


def test_no_fold_is_without_an_image():
    found = folds.settled(Options("d", "o"), counts([2, 1, 1], [1, 0, 0]), ())
    assert found.folds == 3  # of two images of four; the others are all there is of their class
    with pytest.raises(ValueError, match=r"--folds: expected at most 3, .* each class to train on"):
        folds.settled(Options("d", "o", folds=4), counts([2, 1, 1], [1, 0, 0]), ())


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([(0,), (0,), (1,)], [(), ()], "no image that split test of d tests has a label"),
        ([(0,), (0,)], [(0,), (1,)], "class 'b' has no images to train on in d"),
        ([(0,), (1,)], [(0,), (1,)], "every image in split train has a class that no other has"),
    ],
)
def test_what_no_method_could_do_is_refused_before_the_first(train, test, message):
    options = Options("d", "o", seeds=[1], validation=0.2)
    manifest = SimpleNamespace(dataset="d", class_names=("a", "b"), multi_label=True)
    fold = folds.Fold.of(1, options, Path("o"), train, test, 2)
    with pytest.raises(ValueError, match=message):
        comparison_plan._parts(fold, manifest, ())


def logits_of(rng, labels, classes):
    return rng.normal(size=(len(labels), classes)) + 1.5 * np.eye(classes)[labels]


def run_of(labels, logits, seen, held_out):
    """The results and predictions of one fold, as the commands make them."""
    rows = np.isin(labels, seen)
    document = measure.measure(
        np.searchsorted(seen, labels[rows]),
        classification.softmax(logits[rows][:, list(seen)]),
        [f"class {i}" for i in seen],
        resamples=0,
    )
    found = seen_unseen.figures(labels, logits, seen=seen, held_out=held_out)
    document["metrics"] |= {name: value for name, value in found.items() if value is not None}
    document["cost"] = {"seconds": float(len(labels)), "peak_rss_bytes": len(labels)}
    return document, predictions.of(labels, logits, seen=seen, held_out=held_out)


@pytest.mark.parametrize("held_out", [(), (1, 4)])
def test_figures_of_folds_are_those_of_all_their_images_together(held_out):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 5
    logits = logits_of(rng, labels, 5)
    seen = tuple(i for i in range(5) if i not in held_out)
    whole, _ = run_of(labels, logits, seen, held_out)
    parts = [run_of(labels[a:b], logits[a:b], seen, held_out) for a, b in ((0, 25), (25, 60))]
    said = pooled.predictions([each for _, each in parts])
    found = pooled.document([each for each, _ in parts], said, held_out=held_out, resamples=200)
    for name, value in found["metrics"].items():
        assert value == pytest.approx(whole["metrics"][name]), name
    assert {"top1", "macro_f1", "ece"} <= set(found["metrics"])
    assert ("unseen_among_all" in found["metrics"]) == bool(held_out)
    assert found["confusion_matrix"] == whole["confusion_matrix"]
    assert found["calibration"] == [
        {**each, "confidence": pytest.approx(each["confidence"])} for each in whole["calibration"]
    ]
    low, high = found["intervals"]["top1"]
    assert low < found["metrics"]["top1"] < high
    assert found["cost"] == {"seconds": 30.0, "peak_rss_bytes": 35}


def test_a_comparison_of_folds_has_one_figure_of_all_images(home, divided):
    """Its runs are those of the folds; the first leaves what is used afterwards."""
    out, manifest = divided[0].out, Manifest.read(home / "records")
    options = folds.settled(asked(home, out), manifest, ())
    with Here() as workers:
        made = comparison_plan.plan(options, manifest, workers, held_out=(), out=out)
        names = ("a", "b")
        about = About(out, options.data, "test", options.model, names, 2, tuple(made.folders), 0.0)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            comparison_run.run(made, workers, about, claim=int)
    document = results_document.document(made, options, manifest, deployed={})
    assert document["folds"] == FOLDS and made.tested == [21] * 6
    for row in document["rows"]:
        assert row["error"] is None and row["seeds"] == 1
        runs = [predictions.read(path) for path in made.folders[row["method"]][0]]
        right = np.concatenate([each.right for each in runs])
        assert len(right) == 126 and row["seen"] == pytest.approx(right.mean())
    assert results_document.said(made)["zero-shot"].labels.shape == (126,)
    assert any("images are divided 3 times" in remark for remark in made.remarks)
    assert (out / "runs" / "linear-probe" / "seed-1" / "model.keras").is_file()
    lines = output.getvalue().splitlines()
    assert any(line.startswith("6 of 6: linear-probe, seed 1, fold 3") for line in lines)
    assert any(" seen, " in line and line.endswith(" left") for line in lines)
    assert "\r" not in output.getvalue()
