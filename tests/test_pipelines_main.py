"""`python -m pipelines`: help, exit statuses, one line for what goes wrong, and `--strategy`."""

import dataclasses
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import Forked, environment_of, press
from saved_runs import weights

import duet
import tfrecords
from pipelines.__main__ import COMMANDS, main
from pipelines.runs import help_groups
from tfrecords.sources.shapes.source import ShapesSource

ROOT = Path(__file__).parents[1]
SETTINGS = (
    *("--image-size", "32", "--embed-dim", "16", "--vocabulary-size", "300", "--epochs", "1"),
    *("--context-length", "16", "--batch-size", "20", "--checkpoint-steps", "3"),
    *("--warmup-steps", "2", "--early-stopping", "1"),
)


def start(*arguments):
    """The command in a process of its own, as it is typed."""
    command = [sys.executable, "-m", "pipelines", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment_of(), text=True, **pipes)


def start_forked(*arguments, tf_config=None):
    """The same without the seconds of importing TensorFlow."""
    return Forked(["-m", "pipelines", *arguments], environment_of(tf_config))


def finish(*processes):
    """Standard output of each; all have to succeed and to keep quiet."""
    try:
        outputs = [process.communicate(timeout=400) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (output, error) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-2000:] + error[-2000:]
        assert error == ""
    return [output for output, _ in outputs]


def test_help_imports_nothing_that_takes_long_and_lists_the_commands():
    code = "import sys, pipelines.__main__ as m; m.main(['--help']); print(*sys.modules)"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=environment_of(), capture_output=True, text=True).stdout
    output, imported = said.rstrip().rsplit("\n", 1)
    assert not {"numpy", "PIL", "jsonargparse", "keras", "tensorflow"} & set(imported.split())
    listed = [line.split()[0] for line in output.splitlines() if line.startswith("  ")]
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_options(command, capsys):
    assert main([command, "--help"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"usage: python -m pipelines {command} ") and "--config" in output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained_and_short_help_is_short(command, capsys):
    options = importlib.import_module(f"pipelines.{command}").Options
    names = [field.name for field in dataclasses.fields(options)]
    assert main([command, "--help-all"]) == 0
    output = capsys.readouterr().out
    for name in names:
        assert f"--{name.replace('_', '-')} " in output.replace("--no-", "--")
    assert main([command, "--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) <= 52
    assert set(help_groups.BASIC.get(command, "").split()) <= set(names)


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"duet {duet.__version__}\n"


def test_whoever_reads_help_may_stop_reading():
    process = subprocess.run(
        ["bash", "-c", '"$0" -m pipelines --help | head -1; exit ${PIPESTATUS[0]}', sys.executable],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr == "" and process.returncode in (0, 141)
    assert process.stdout.startswith("usage: ")


def test_a_log_file_has_no_bars(tmp_path):
    for name in (f"{name}/{i}.png" for name in "ab" for i in range(12)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    (output,) = finish(start("prepare", "--folder", tmp_path, "--out", tmp_path / "records"))
    assert "\r" not in output and "written to" in output  # and nothing on standard error


def test_a_shell_completes_commands_options_and_choices(tmp_path, capsys):
    pytest.importorskip("shtab", reason="shtab is not installed")
    assert main(["--print-completion", "bash"]) == 0
    (tmp_path / "duet.bash").write_text(capsys.readouterr().out)
    asked = """source duet.bash
    complete_words() {
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_duet; echo ${COMPREPLY[@]}
    }
    complete_words duet fin
    complete_words duet finetune --learning
    complete_words duet finetune --optimizer s"""
    found = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.split("\n")[:3] == ["finetune", "--learning-rate", "sgd"]


def test_a_shell_that_is_not_known_is_wrong_input(capsys):
    assert main(["--print-completion", "fish"]) == 2
    assert "expected bash, zsh, tcsh; got 'fish'" in capsys.readouterr().err


def test_no_command_is_wrong_input(capsys):
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("usage: python -m pipelines COMMAND")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["trian"],
            "no command 'trian'; expected one of datasets, models, prepare, inspect, train, ",
        ),
        (["train"], "error: expected --data, --out; missing"),
        (["train", "--dat", "x", "--out", "y"], "arguments: --dat x; did you mean --data?"),
        (["train", "--config", "nope"], "--config: no file and no recipe 'nope'; recipes: "),
        (["prepare", "--dataset", "food-101", "--out", "y"], "did you mean food101"),
        (["datasets", "--jsn"], "did you mean --json?"),
        (["finetune", "--lr", "1"], "did you mean --learning-rate?"),
    ],
)
def test_wrong_input_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and len(error.splitlines()) == 1 and message in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ((), ("--folder", "in"), "expected a folder for each of two or more classes, got none"),
        (("train/cat/1.jpg", "test/cat/1.jpg"), ("--folder", "in"), "class"),
        (
            ("train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg", "test/fox/1.jpg"),
            ("--folder", "in"),
            "fox",
        ),
        (("captions.csv",), ("--captions", "in/captions.csv"), "gone.jpg"),
        (("1.jpg",), ("--captions", "in/captions.csv"), "in/captions.csv"),
        (("train/cat/1.jpg", "train/dog/1.jpg"), ("--folder", "in", "--out", "in"), "in "),
    ],
)
def test_wrong_images_are_one_line(files, options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in files:
        path = Path("in", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".csv"):
            path.write_text("file,caption\ngone.jpg,an image\n")
        else:
            Image.new("RGB", (9, 9)).save(path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["prepare", "--out", "out", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and len(error.splitlines()) == 1 and message in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_fault_of_the_program_shows_where(monkeypatch, capsys):
    import pipelines.datasets

    monkeypatch.setattr(pipelines.datasets, "entries", lambda: int("not a number"))
    monkeypatch.setattr("pipelines.__main__.HOUSE", Path("/elsewhere"))
    assert main(["datasets"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_whoever_terminates_get_one_line(number, monkeypatch, capsys):
    import pipelines.datasets

    before = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    found = signal.signal(number, before)
    monkeypatch.setattr(pipelines.datasets, "entries", lambda: press(number))
    assert main(["datasets"]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"
    assert signal.signal(number, found) is before


def test_ctrl_c_says_which_commands_go_on(monkeypatch, capsys):
    import pipelines.compare

    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipelines.compare, "run", interrupted)
    assert main(["compare", "--data", "records", "--out", "run"]) == 130
    assert capsys.readouterr().err == "error: interrupted; the same command goes on\n"


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_was_closed_leads_nowhere(name, monkeypatch):
    number = ("stdin", "stdout", "stderr").index(name)
    kept = os.dup(number)
    monkeypatch.setattr(sys, name, None)  # as Python has it then
    os.close(number)
    try:
        statuses = main(["--version"]), main(["nothing"])
        assert os.path.samestat(os.fstat(number), os.stat(os.devnull))
    finally:
        os.dup2(kept, number)
        os.close(kept)
    assert statuses == (0, 2)


EXHAUSTED = {
    "OOM when allocating tensor with shape[9,9] and type float on /device:CPU:0 [Op:Fill]": (
        "error: out of memory (shape[9,9] and type float); a smaller --batch-size or "
        "--micro-batch takes less\n"
    ),
    "out/variables; No space left on device\nat node": (
        "error: out/variables; No space left on device\n"
    ),
}


@pytest.mark.parametrize("said", EXHAUSTED)
def test_memory_that_is_not_enough_for_tensorflow_is_one_line(said, monkeypatch, capsys):
    import tensorflow as tf

    import pipelines.datasets

    def fail():
        raise tf.errors.ResourceExhaustedError(None, None, said)

    monkeypatch.setattr(pipelines.datasets, "entries", fail)
    assert main(["datasets"]) == 1
    assert capsys.readouterr().err == EXHAUSTED[said]


def test_memory_that_is_not_enough_for_an_array_is_one_line(monkeypatch, capsys):
    import pipelines.datasets

    monkeypatch.setattr(pipelines.datasets, "entries", lambda: np.zeros(2**46))
    assert main(["datasets"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: out of memory (Unable to allocate 512. TiB")
    assert error.count("\n") == 1


def test_names_that_no_file_can_have_are_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("train/cat", "train/dog", "test/cat", "test/dog"):
        Path("in", name).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(f"in/{name}/1.png")
    for words, said in (
        (["--folder", "a\0b", "--out", "out"], "--folder: expected no zero byte; got 'a\\x00b'"),
        (["--folder", "in", "--out", "n" * 300], f"{'n' * 300}/manifest.json: file name too long"),
        (["--folder", "n" * 300, "--out", "out"], f"{'n' * 300}: file name too long"),
    ):
        assert main(["prepare", *words, "--workers", "1"]) == 2
        assert capsys.readouterr().err == f"error: {said}\n"
    images = ["--model", "m.keras", "--images", "x", "a\0b", "--out", "o.csv"]
    assert main(["predict", *images]) == 2
    assert capsys.readouterr().err == "error: --images: expected no zero byte; got 'a\\x00b'\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_a_name_would_do_to_a_terminal_is_shown_and_not_done(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "--data", "\x1b[2Jgone", "--model", "m", "--out", "o"]) == 2
    assert "\\x1b[2Jgone" in capsys.readouterr().err


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with `records`, and `one`: what one device makes of them."""
    home = tmp_path_factory.mktemp("strategies")
    source = ShapesSource(counts={"train": 70, "validation": 30})
    tfrecords.write(source, home / "records", shard_size=30, workers=1, progress=False)
    assert main([str(word) for word in train(home, "one")]) == 0
    return home


def train(home, out, *more):
    return ["train", "--data", home / "records", "--out", home / out, *SETTINGS, *more]


def assert_same_run(ours, theirs):
    expected = weights(theirs)
    assert len(expected) > 100
    for name, weight in weights(ours).items():
        # A tenth of what a step moves: Adam enlarges rounding, which is another on every CPU.
        np.testing.assert_allclose(weight, expected[name], atol=1e-4, err_msg=name)
    ours, theirs = (json.loads((out / "results.json").read_text()) for out in (ours, theirs))
    for name in ("loss", "val_loss", "val_zero_shot_top1", "temperature", "learning_rate"):
        assert ours["metrics"][name] == pytest.approx(theirs["metrics"][name], abs=1e-5), name


def test_two_devices_train_like_one(home):
    (output,) = finish(
        start_forked(*train(home, "two", "--strategy", "mirrored", "--virtual-devices", "2"))
    )
    assert "devices: CPU:0, CPU:1" in output and "on each of CPU:0, CPU:1" in output
    assert_same_run(home / "two", home / "one")


def test_two_processes_train_like_one_and_only_the_chief_writes(home):
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        hosts = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two)]
    chief, other = (
        start_forked(
            *train(home, out, "--strategy", "multi-worker"),
            tf_config={"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}},
        )
        for index, out in enumerate(["chief", "other"])
    )
    output, quiet = finish(chief, other)
    assert "devices: worker 0 of 2, CPU:0" in output and "Written to" in output
    assert "devices: worker 1 of 2, CPU:0" in quiet and "Written to" not in quiet
    assert not (home / "other").exists()
    assert_same_run(home / "chief", home / "one")
