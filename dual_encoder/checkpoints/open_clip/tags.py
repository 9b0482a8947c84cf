"""OpenCLIP's published weights: one table, made by tests/parity/open_clip_tags.py."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("tags.csv")

SOURCE = "open_clip 3.3.0, and its docs/openclip_results.csv at commit f862f86"


@dataclass(frozen=True)
class Tag:
    """One row.

    Attributes:
        model, tag: OpenCLIP's names, of the configuration and of the weights.
        repository: on the hub.
        parameters: exact count; None where the text model is only named.
        image_size: pixels.
        embed_dim: size of the space that images and texts share.
        licence: of the weights; "" where no source is known (tests/parity/licences.py has them).
        refusal: why Duet does not have the model; "" where it does.
        average: of 38 data sets, zero-shot accuracy as a fraction, as OpenCLIP's authors measured.
        imagenet: their zero-shot top-1 accuracy on ImageNet.
    """

    model: str
    tag: str
    repository: str
    parameters: int | None
    image_size: int
    embed_dim: int
    licence: str
    refusal: str
    average: float | None
    imagenet: float | None

    @property
    def name(self) -> str:
        """What `dual_encoder.load` takes."""
        return f"{self.model}/{self.tag}"


@cache
def open_clip_tags() -> Mapping[str, Tag]:
    """The table by the names that `dual_encoder.load` takes, such as `ViT-B-16-SigLIP2/webli`."""
    with open(FILE, newline="", encoding="utf-8") as file:
        rows = [_row(row) for row in csv.DictReader(file)]
    return {row.name: row for row in rows}


def _row(row: dict[str, str]) -> Tag:
    return Tag(
        model=row["model"],
        tag=row["tag"],
        repository=row["repository"],
        parameters=int(row["parameters"]) if row["parameters"] else None,
        image_size=int(row["image_size"]),
        embed_dim=int(row["embed_dim"]),
        licence=row["licence"],
        refusal=row["refusal"],
        average=float(row["average"]) if row["average"] else None,
        imagenet=float(row["imagenet"]) if row["imagenet"] else None,
    )
