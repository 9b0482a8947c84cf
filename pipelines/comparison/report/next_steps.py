"""The commands that use the recommended method."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any


@dataclass(frozen=True)
class NextSteps:
    """For the terminal and the page.

    Attributes:
        said: the method, where its run or prompts lie, and which classes it answers.
        commands: that use it.
    """

    said: str
    commands: tuple[str, ...]


def find(out: Path) -> NextSteps | None:
    """Of the comparison in a folder; None where it recommends nothing that can be used."""
    from pipelines.prediction import model_of_run_folder
    from pipelines.runs.rerun_command import program

    try:
        found = model_of_run_folder.find(model_of_run_folder.Source(str(out)))
    except (ValueError, FileNotFoundError):
        return None
    commands = [
        f"predict --model {quote(str(out))} --images IMAGES --out predictions.csv",
        f"export --model {quote(str(out))} --format saved-model --out FOLDER",
    ]
    said = f"{found.said}, is {found.prompts or found.model}"
    if found.prompts is None and (document := _trained_on_some(Path(found.model))):
        parts = document["parts"]
        learnt, every = len(parts["seen"]), len(parts["seen"]) + len(parts["held_out"])
        said += f"; it answers {learnt} of {every} classes, those that it was trained on"
        if not document["config"].get("stock"):  # it averages runs that were trained on some, too
            said += ", and the first line trains it on all"
            commands.insert(0, _on_all(document, Path(found.model), f"{out}-all"))
    return NextSteps(said, tuple(f"{program()} {command}" for command in commands))


def _trained_on_some(run: Path) -> dict[str, Any] | None:
    """Results of the run of a classifier that lacks the held-out classes; None of other runs."""
    from pipelines.runs import models, results

    if not (run / models.DUAL).is_file() or not (run / results.FILE).is_file():
        return None
    document = results.read(run)
    return document if document.get("parts", {}).get("held_out") else None


def _on_all(document: dict[str, Any], run: Path, out: str) -> str:
    from pipelines.runs.folder import CONFIG

    by_name = " --held-out-classes null" if document["config"]["held_out_classes"] else ""
    config = quote(str(run / CONFIG))
    return f"finetune --config {config} --held-out 0{by_name} --out {quote(out)}"
