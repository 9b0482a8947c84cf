"""The commands that use the recommended method."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class NextSteps:
    """For the terminal and the page.

    Attributes:
        said: the method, and where its run or prompts lie.
        commands: that use it.
    """

    said: str
    commands: tuple[str, ...]


def find(out: Path) -> NextSteps | None:
    """Of the comparison in a folder; None where it recommends nothing that can be used."""
    from pipelines.prediction import model_source
    from pipelines.runs.rerun_command import program

    try:
        found = model_source.find(model_source.Source(str(out)))
    except (ValueError, FileNotFoundError):
        return None
    return NextSteps(
        f"{found.said}, is {found.prompts or found.model}",
        (
            f"{program()} predict --model {out} --images IMAGES --out predictions.csv",
            f"{program()} export --model {out} --format saved-model --out FOLDER",
        ),
    )
