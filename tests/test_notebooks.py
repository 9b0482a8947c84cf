"""The notebooks of `examples/notebooks/` are what their cells say, and run whole at tiny limits.

A run takes half a minute each, so `make test` runs one; `make notebooks` (NOTEBOOKS=all) runs all.
"""

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("ipykernel", reason="the extra dev is not installed")
nbclient = pytest.importorskip("nbclient", reason="the extra dev is not installed")
nbformat = pytest.importorskip("nbformat", reason="the extra dev is not installed")

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS = 600  # for one cell, on a busy machine

TINY = {
    "captions": "LIMIT, EPOCHS, BATCH = 200, 1, 64",
    "finetune": "LIMIT, EPOCHS, HELD_OUT, BATCH = 400, 1, 10, 64",
    "own_photos": 'DRAWN, METHODS, EPOCHS = 1200, ["zero-shot", "linear-probe"], 1',
    "phone": "LIMIT = 300",
    "retrieval": "DRAWN = 60",
    "zero_shot": "LIMIT, SHOTS, CLASSES, EPOCHS = 300, 2, 5, 5",
}
ALWAYS = "zero_shot"


@pytest.fixture(scope="module")
def writer():
    """The module that writes the notebooks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import write_notebooks

        yield write_notebooks


def read(path):
    return nbformat.read(path, as_version=4)


def named(path):
    return path.stem


def test_each_notebook_has_limits_here():
    assert [named(path) for path in NOTEBOOKS] == sorted(TINY)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_a_notebook_says_what_its_cells_say(path, writer):
    source = (FOLDER / "cells" / f"{path.stem}.py").read_text()
    assert nbformat.writes(writer.notebook(source)) == path.read_text().rstrip("\n")
    nbformat.validate(read(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_outputs_are_stripped(path):
    code = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_a_notebook_begins_with_a_title_and_one_cell_that_installs(path, writer):
    first, second, *rest = read(path).cells
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    assert second.source == writer.INSTALL
    assert not any("pip install" in cell.source for cell in rest)
    tagged = [cell for cell in rest if writer.PARAMETERS in cell.metadata.get("tags", [])]
    assert len(tagged) == 1


def test_own_photos_takes_ten_cells():
    cells = read(FOLDER / "own_photos.ipynb").cells
    assert sum(cell.cell_type == "code" for cell in cells) == 10


@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_a_notebook_runs_whole(path, writer, tmp_path, monkeypatch):
    if named(path) != ALWAYS and os.environ.get("NOTEBOOKS") != "all":
        pytest.skip("make notebooks runs it")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER.parents[1]), *sys.path]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = read(path)
    parameters = next(
        place
        for place, cell in enumerate(notebook.cells)
        if writer.PARAMETERS in cell.metadata.get("tags", [])
    )
    notebook.cells.insert(parameters + 1, nbformat.v4.new_code_cell(TINY[named(path)]))
    work = tmp_path / "work"
    work.mkdir()
    client = nbclient.NotebookClient(
        notebook, timeout=SECONDS, resources={"metadata": {"path": str(work)}}
    )
    client.execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
