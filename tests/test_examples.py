"""Every example runs as a user would start it, at its smallest."""

import contextlib
import io
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfrecords
from tfrecords.sources import class_folder
from tfrecords.sources.shapes.source import ShapesSource

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def run(script, *arguments):
    """Start an example as `python examples/SCRIPT ARGUMENTS` would; what it prints.

    In this process, for each of its own would import TensorFlow again.
    """
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(sys, "argv", [script, *map(str, arguments)])
        runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
    return said.getvalue()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What `train_and_evaluate.py` left, and what it said."""
    out = tmp_path_factory.mktemp("example")
    return out, run("train_and_evaluate.py", "--small", "--out", out)


def test_train_and_evaluate(trained):
    out, said = trained
    assert re.search(r"^zero-shot top-1 over 100 classes: \d+\.\d%$", said, re.MULTILINE)
    assert (out / "shapes" / "manifest.json").is_file() and (out / "model.keras").is_file()


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory):
    """Images of two classes, in a folder for each."""
    folder = tmp_path_factory.mktemp("two") / "images"
    world = ShapesSource(counts={"test": 300})
    chosen = ("red_star", "blue_ring")
    for example in world.read("test", 0, 300):
        name = world.class_names[example.label].replace(" ", "_")
        if name in chosen:
            path = folder / name / Path(example.filename).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(example.load())
    for path in list(folder.rglob("*.jpg")):  # enough for a split by seed
        for copy in range(4):
            shutil.copy(path, path.with_stem(f"{path.stem}-{copy}"))
    return folder


def test_own_images(trained, two_classes, tmp_path):
    arguments = ("--model", trained[0], "--out", tmp_path / "records", "--templates", "the {}")
    said = run("own_images.py", two_classes, *arguments)
    assert re.search(r"^zero-shot top-1: \d+\.\d%$", said, re.MULTILINE)


def test_the_lines_of_python_in_the_readme(two_classes, tmp_path, monkeypatch):
    tfrecords.write(
        class_folder(two_classes, seed=0), tmp_path / "records/photos", workers=1, progress=False
    )
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    *lines, last = code.strip().splitlines()
    found = {}
    exec("\n".join(lines), found)
    assert found["names"] == ("blue ring", "red star")
    _, accuracy = eval(last, found)
    assert accuracy > 0.9 and len(code.strip().splitlines()) <= 10


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    """Where records go that two examples make, whichever comes first."""
    return tmp_path_factory.mktemp("records") / "wild"


def test_supervised_classifier(wild):
    said = run("supervised_classifier.py", "--small", "--records", wild)
    assert re.search(r"^test accuracy: \d+\.\d%$", said, re.MULTILINE)


def test_multi_label(tmp_path):
    said = run("multi_label.py", "--small", "--records", tmp_path / "multi")
    assert re.search(r"test: loss \d\.\d+, precision-recall area \d+\.\d%\n$", said)


def test_custom_training_loop(wild):
    said = run("custom_training_loop.py", "--small", "--records", wild)
    losses = [
        float(loss) for loss in re.findall(r"^step \d+: loss (\d+\.\d+)$", said, re.MULTILINE)
    ]
    assert len(losses) == 10 and losses[-1] < losses[0]
    assert re.search(r"^test accuracy: \d+\.\d%$", said, re.MULTILINE)
    assert len((ROOT / "examples" / "custom_training_loop.py").read_text().splitlines()) < 60


def test_contact_sheet(tmp_path):
    run("contact_sheet.py", tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (64 + 960, 2 * (64 + 960) + 64, 3)
    cells = pixels[64:, 64 : 64 + 960].reshape(10, 96, 10, 96, 3)
    assert (cells.std(axis=(1, 3)).mean(-1) > 5).all(), "an empty cell"


def test_every_example_is_tested():
    tested = Path(__file__).read_text()
    assert all(f'"{path.name}"' in tested for path in (ROOT / "examples").glob("*.py"))


def test_zero_shot(tmp_path):
    world = ShapesSource(counts={"test": 40})
    example = next(iter(world.read("test", 0, 1)))
    shown = world.class_names[example.label]
    (tmp_path / "image.png").write_bytes(example.load())
    others = [name for name in world.class_names if name != shown][:2]
    said = run("zero_shot.py", "shapes-tiny", tmp_path / "image.png", *others, shown)
    lines = said.splitlines()
    assert len(lines) == 3 and lines[0].endswith(f"%  {shown}")
    assert sum(float(line.split("%")[0]) for line in lines) == pytest.approx(100, abs=0.2)
    code = (ROOT / "examples" / "zero_shot.py").read_text().split('"""')[2]
    assert sum(bool(line.strip()) for line in code.splitlines()) < 15
