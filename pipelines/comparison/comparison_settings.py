"""What all rows of a comparison share, and where their costs are kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet import json_validation

COSTS = "deployment"  # folder in that of the comparison: what each method costs to run


@dataclass(frozen=True)
class About:
    """What all rows share.

    Attributes:
        out: folder of the comparison.
        data: folder of the records; split: that is measured.
        model: the name of the compared dual encoder.
        names: of the classes trained on.
        shots: images of each that a cache holds.
        methods: all that are compared, in order.
        seconds: to serve each batch size for; 0 for not at all.
    """

    out: Path
    data: str
    split: str
    model: str
    names: tuple[str, ...]
    shots: int
    methods: tuple[str, ...]
    seconds: float


def costs(method: str, about: About) -> dict[str, Any] | None:
    """What was kept of what a method costs to run, if it was measured for as long."""
    path = about.out / COSTS / f"{method}.json"
    if not path.is_file():
        return None
    row = json_validation.read(path, {"serving_seconds": json_validation.NUMBER}, hint="delete it")
    return row if row.pop("serving_seconds") == about.seconds else None
