"""Writes the notebooks: `python examples/notebooks/write_notebooks.py`, after a change of `cells/`.

A notebook is kept as a Python file, `cells/NAME.py`, in which `# %%` begins a cell of code and
`# %% [markdown]` one of text. The cell that installs Duet is the same in all and stands here.
"""

import hashlib
import re
from pathlib import Path

import nbformat
from nbformat import v4

HERE = Path(__file__).parent

PARAMETERS = "parameters"  # tag of the cell that a test, or papermill, puts other values after

INSTALL = """\
# Skipped where Duet is installed. It is not in a package index yet: `python -m build` makes its
# wheel; put it beside this notebook (Colab: Files, Upload; Kaggle: Add Input, as a data set).
import glob
import importlib.util

if importlib.util.find_spec("dual_encoder") is None:
    places = (".", "/content", "/kaggle/input")
    wheels = [w for p in places for w in glob.glob(f"{p}/**/duet_*.whl", recursive=True)]
    assert wheels, "upload the wheel duet_vision_language-*.whl first"
    %pip install --quiet {wheels[0]}"""


def notebook(source: str) -> nbformat.NotebookNode:
    """The notebook that the text of a file of `cells/` describes, without outputs."""
    cells = [_cell(part) for part in re.split(r"^# %%", source, flags=re.MULTILINE)[1:]]
    cells.insert(1, v4.new_code_cell(INSTALL))
    for cell in cells:
        cell.id = hashlib.sha256(cell.source.encode()).hexdigest()[:8]  # the same at every build
    return v4.new_notebook(cells=cells, metadata=_metadata())


def _cell(part: str) -> nbformat.NotebookNode:
    head, _, body = part.partition("\n")
    if "[markdown]" in head:
        lines = [line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines()]
        return v4.new_markdown_cell("\n".join(lines))
    metadata = {"tags": [PARAMETERS]} if PARAMETERS in head else {}
    return v4.new_code_cell(body.strip(), metadata=metadata)


def _metadata() -> dict[str, object]:
    return {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def main() -> None:
    for path in sorted((HERE / "cells").glob("*.py")):
        nbformat.write(notebook(path.read_text()), HERE / f"{path.stem}.ipynb")


if __name__ == "__main__":
    main()
