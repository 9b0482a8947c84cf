"""`python -m pipelines train`: stopped in every way, gone on with, watched, and misused.

A process that is killed cannot be the one that tests, so this file is also its script:
`python test_pipelines_train.py ARGUMENTS...` dies while it writes its second checkpoint.
"""

import contextlib
import io
import json
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from processes import Forked, environment_of, press

from pipelines.runs import runtime

runtime.import_tensorflow()  # as the command itself does: the tests look at what reaches stderr

from saved_runs import weights  # noqa: E402

import tfrecords  # noqa: E402
from pipelines.__main__ import main  # noqa: E402
from pipelines.training import callbacks, checkpoint_file  # noqa: E402
from tfrecords.sources.shapes.source import ShapesSource  # noqa: E402

pytestmark = pytest.mark.usefixtures("all_eagerly")

STEPS = 5  # of one epoch: 100 images, 20 at a time
SETTINGS = (
    *("--image-size", "32", "--embed-dim", "16", "--vocabulary-size", "300"),
    *("--context-length", "16", "--batch-size", "20", "--epochs", "2", "--checkpoint-steps", "2"),
    *("--dropout", "0.1", "--schedule", "constant", "--early-stopping", "2", "--plateau", "1"),
)
UNWATCHED = ("--early-stopping", "0", "--plateau", "0")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    directory = tmp_path_factory.mktemp("records")
    source = ShapesSource(counts={"train": 100, "validation": 50})
    tfrecords.write(source, directory, shard_size=60, workers=1, progress=False)
    return directory


def command(records, out, *more):
    return ["train", "--data", str(records), "--out", str(out), *SETTINGS, *more]


def run(*arguments):
    """Exit status, standard output and standard error of `main`."""
    output, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
        status = main(*arguments)
    return status, output.getvalue(), error.getvalue()


@pytest.fixture(scope="module")
def uninterrupted(records, tmp_path_factory):
    """The folder of a run that nothing happened to; its output is beside it."""
    out = tmp_path_factory.mktemp("runs") / "uninterrupted"
    status, output, error = run(command(records, out))
    assert status == 0 and error == ""
    out.with_suffix(".log").write_text(output)
    return out


@pytest.fixture(scope="module")
def interrupted(records, uninterrupted, tmp_path_factory):
    """The folder of the same run, killed, gone on with, stopped by Ctrl-C, and finished."""
    out = tmp_path_factory.mktemp("runs") / "interrupted"
    arguments = command(records, out)
    died = Forked([__file__, *arguments], environment_of())
    _, error = died.communicate(timeout=400)
    assert died.returncode == -signal.SIGKILL and error == ""
    left = sorted(path.name for path in (out / "checkpoints").iterdir())
    assert len(left) == 2 and left[0].startswith(".unfinished.")
    assert left[1] == "step-00000002.safetensors"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.Gauges, "on_train_batch_begin", ctrl_c_in_step_7)
        status, output, error = run(arguments)
    assert status == 130 and newest_step(out) == 7 and not (out / "model.keras").exists()
    assert "going on after step 2 of 10" in output
    assert error == "error: interrupted after step 7; the same command goes on from there\n"

    assert main(arguments) == 0
    return out


def ctrl_c_in_step_7(self, batch, logs=None):
    if self.model.optimizer.iterations.numpy() == 6:
        press(signal.SIGINT)


def newest_step(out):
    return checkpoint_file.steps(out / "checkpoints")[-1]


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(uninterrupted, interrupted):
    ours, theirs = weights(interrupted), weights(uninterrupted)
    assert ours.keys() == theirs.keys() and len(ours) > 100
    for name, expected in theirs.items():
        np.testing.assert_array_equal(ours[name], expected, err_msg=name)


def test_and_with_the_same_figures(uninterrupted, interrupted):
    ours, theirs = (results(out)["history"] for out in (interrupted, uninterrupted))
    for row in (*ours, *theirs):
        row.pop("images_per_second", None)
    assert ours == theirs and [row["epoch"] for row in ours] == [0, 1]
    assert {"loss", "val_loss", "val_zero_shot_top1", "temperature", "learning_rate"} < set(ours[0])


def test_a_finished_run_leaves_its_files(uninterrupted):
    files = {path.name for path in uninterrupted.iterdir()}
    folders = {"checkpoints", "tensorboard"}
    assert files - folders == {
        *("config.yaml", "model.keras", "origin.json", "report.html"),
        *("results.json", "tokenizer.json"),
    }
    found = results(uninterrupted)
    assert found["command"] == "train" and found["config"]["dropout"] == 0.1
    assert found["metrics"] in found["history"] and found["devices"] == ["CPU:0"]
    page = (uninterrupted / "report.html").read_text()
    assert page.startswith("<!doctype html>") and "--dropout 0.1" in page
    assert "zero-shot top-1 after epoch" in page


def test_tensorboard_shows_every_figure(uninterrupted):
    curves = scalars(uninterrupted / "tensorboard")
    for name in ("loss", "temperature", "learning_rate", "images_per_second"):
        assert [step for step, _ in curves["train", name]] == [STEPS, 2 * STEPS], name
    assert all(value > 0 for _, value in curves["train", "images_per_second"])


def test_tensorboard_goes_on_where_the_run_does(interrupted):
    curves = scalars(interrupted / "tensorboard")
    assert [step for step, _ in sorted(curves["train", "loss"])] == [STEPS, 2 * STEPS]
    history = results(interrupted)["history"]
    for name in ("loss", "zero_shot_top1"):
        expected = {(row["epoch"] + 1) * STEPS: row[f"val_{name}"] for row in history}
        assert dict(curves["validation", name]) == pytest.approx(expected)


def test_tensorboard_shows_images_once(interrupted):
    (events,) = (interrupted / "tensorboard" / "images").iterdir()
    shown = [value for event in read_events(events) for value in event.summary.value]
    kinds = {value.metadata.plugin_data.plugin_name: value for value in shown}
    assert len(shown) == 2 and set(kinds) == {"images", "text"}
    width, height, png = kinds["images"].tensor.string_val[:3]
    assert (int(width), int(height)) == (8 * 32, 3 * 32) and png[1:4] == b"PNG"  # 20 images
    assert len(kinds["text"].tensor.string_val) == 20


def test_a_log_file_is_not_flooded(uninterrupted):
    log = uninterrupted.with_suffix(".log").read_text()
    lines = log.splitlines()
    assert not {"\r", "\b", "\x1b"} & set(log) and len(lines) < 15
    assert lines[0] == "devices: CPU:0" and "images_per_second" in log
    assert "10 steps in" in lines[-3] and "images/s" in lines[-3]
    assert lines[-1].startswith("Measure it: python -m pipelines evaluate --data ")


def test_nan_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, capsys, as_for_users):
    source = ShapesSource(counts={"train": 40})
    tfrecords.write(source, tmp_path / "records", workers=1, progress=False)
    much = ("--learning-rate", "1e30", "--clip-norm", "0", "--checkpoint-steps", "1", *UNWATCHED)
    assert main(command(tmp_path / "records", tmp_path / "out", *much)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: loss became NaN or infinite at step 2; the last good checkp")
    assert len(error.splitlines()) == 1 and "step-00000001.safetensors" in error
    assert newest_step(tmp_path / "out") == 1 and not (tmp_path / "out" / "model.keras").exists()


def test_a_finished_run_is_not_overwritten(records, uninterrupted, capsys):
    before = {path: path.read_bytes() for path in uninterrupted.rglob("*") if path.is_file()}
    assert main(command(records, uninterrupted)) == 0
    assert capsys.readouterr().out.startswith("finished already; nothing is left to do\n")
    assert main(command(records, uninterrupted, "--seed", "9")) == 2
    assert "holds a finished run (model.keras); give another --out" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in uninterrupted.rglob("*") if p.is_file()}
    origin = uninterrupted / "origin.json"
    kept = origin.read_text()
    origin.write_text(json.dumps(json.loads(kept) | {"records": "another"}))
    assert main(command(records, uninterrupted)) == 2
    assert "a run begun from other records (rewritten since)" in capsys.readouterr().err
    origin.write_text(kept)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--data", "nowhere"), "nowhere holds no records (there is no such folder)"),
        (("--image-tower", "vit-tny"), "no image tower 'vit-tny'; expected one of vit-tiny,"),
        (("--text-tower", "bert"), "no text tower 'bert'; expected one of transformer-tiny,"),
        (("--image-size", "33"), "multiple of the patch size 8; got 33"),
        (("--image-weights", "imagenet"), "'vit-tiny' takes no weights; got"),
        (("--batch-size", "101"), "--batch-size: expected at most the 100 images of split train"),
        (("--batch-size", "0"), "--batch-size: expected a number in (0, inf); got 0"),
        (("--micro-batch", "3"), "expected a divisor of the 20 images of a batch that each"),
        (("--learning-rate", "nan"), "--learning-rate: expected a number; got 'nan'"),
        (("--dropout", "1"), "--dropout: expected a number in [0, 1); got 1.0"),
        (("--loss", "hinge"), "--loss: expected one of contrastive, sigmoid; got 'hinge'"),
        (("--schedule", "cosine"), "--plateau needs --schedule constant"),
        (("--virtual-devices", "2"), "--virtual-devices goes with --strategy mirrored"),
        (("--vocabulary-size", "2"), "vocabulary_size: expected at least "),
        (("--strategy", "multi-worker"), "strategy multi-worker: TF_CONFIG should be like"),
        (("--out", __file__), "is a file; --out takes a folder"),
        (("--out", str(Path(__file__).parent)), "exists and is not empty; give another --out"),
        (("--out", "/proc/run"), "/proc/run cannot be written"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    records, tmp_path, capsys, monkeypatch, more, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert main(command(records, tmp_path / "out", *more)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and len(error.splitlines()) == 1 and message in error
    assert not list(tmp_path.iterdir())


def test_damaged_records_are_found_before_training(tmp_path, capsys):
    source = ShapesSource(counts={"train": 20})
    tfrecords.write(source, tmp_path / "records", workers=1, progress=False)
    (shard,) = (tmp_path / "records").glob("*train*")
    shard.write_bytes(shard.read_bytes()[:-7])
    assert main(command(tmp_path / "records", tmp_path / "out", *UNWATCHED)) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and shard.name in error
    assert not (tmp_path / "out").exists()


def test_what_is_not_in_the_records_is_refused(tmp_path, capsys):
    counts = {"train": 20}
    tfrecords.write(ShapesSource(counts=counts), tmp_path / "a", workers=1, progress=False)
    assert main(command(tmp_path / "a", tmp_path / "out")) == 2
    assert "has no split validation, by which" in capsys.readouterr().err
    tfrecords.write(ShapesSource(counts={"test": 20}), tmp_path / "c", workers=1, progress=False)
    assert main(command(tmp_path / "c", tmp_path / "out")) == 2
    assert "shapes has no split 'train'; it has: test" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def results(out):
    return json.loads((out / "results.json").read_text())


def scalars(board):
    """(run, name) to [(step, value)], from all event files of a TensorBoard folder."""
    import tensorflow as tf

    found = {}
    for path in sorted(board.rglob("events*")):
        for event in read_events(path):
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name in ("scalars", ""):
                    point = (event.step, float(tf.make_ndarray(value.tensor)))
                    found.setdefault((path.parent.name, value.tag), []).append(point)
    return found


def read_events(path):
    import tensorflow as tf
    from tensorflow.core.util.event_pb2 import Event

    events = [Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    return [event for event in events if event.HasField("summary")]


def write_half_of_the_second_checkpoint(arrays, path, metadata):
    save_file(arrays, path, metadata)
    if json.loads(metadata["duet"])["step"] == 4:
        path.write_bytes(path.read_bytes()[:1000])
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "Even though the", UserWarning)  # of tf.data, `all_eagerly`
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    save_file, checkpoint_file.save_file = (
        checkpoint_file.save_file,
        write_half_of_the_second_checkpoint,
    )
    sys.exit(main(sys.argv[1:]))
