"""List the models that can be named: pretrained checkpoints, and towers to train from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

# Of the published accuracies, those that a line has room for; --json has all.
SHOWN = ("shapes", "shapes-wild", "imagenet", "food101", "cifar10", "oxford_iiit_pet")

TITLES = {
    "dual-encoder": "dual encoders (--model): zero-shot, and to adapt",
    "image-encoder": "image encoders: towers for --image-weights",
    "text-encoder": "text encoders: towers for --text-weights",
}

HEADER = ("name", "pixels", "parameters", "here", "published zero-shot top-1")

TAG_HEADER = ("name", "pixels", "parameters", "licence", "zero-shot top-1, as OpenCLIP measured")


@dataclass
class Options:
    """List checkpoints and towers.

    Args:
        json: print JSON instead of tables.
    """

    json: bool = False


def run(options: Options) -> None:
    """Print what `--model`, `--image-tower` and `--text-tower` take."""
    found = entries()
    print(json.dumps(found, indent=2) if options.json else tables(found))


def entries() -> dict[str, Any]:
    """Checkpoints and towers as plain data."""
    from pipelines.runs import runtime

    runtime.import_tensorflow()  # Keras does, and would let it greet
    from dual_encoder import (
        CHECKPOINTS,
        IMAGE_TOWERS,
        TEXT_TOWERS,
        bytes_here,
        open_clip_tags,
    )

    checkpoints = []
    for name, row in CHECKPOINTS.items():
        facts = {key: value for key, value in asdict(row).items() if key != "file"}
        checkpoints.append({"name": name, **facts, "bytes_here": bytes_here(row)})
    return {
        "checkpoints": checkpoints,
        "open_clip": [{"name": tag.name, **asdict(tag)} for tag in open_clip_tags().values()],
        "image_towers": list(IMAGE_TOWERS),
        "text_towers": list(TEXT_TOWERS),
    }


def tables(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = []
    for kind, title in TITLES.items():
        rows = [_cells(row) for row in found["checkpoints"] if row["kind"] == kind]
        lines += [f"{title}", *_columns([HEADER, *rows]), ""]
    rows = [_tag_cells(row) for row in found["open_clip"]]
    loaded = sum(not row["refusal"] for row in found["open_clip"])
    title = f"OpenCLIP's own table (--model MODEL/TAG): {loaded} of {len(rows)} load"
    lines += [title, *_columns([TAG_HEADER, *rows]), ""]
    lines += ["licences, sources and all published figures: python -m pipelines models --json", ""]
    for flag in ("image_towers", "text_towers"):
        option = "--" + flag.removesuffix("s").replace("_", "-")
        lines += [f"{flag.replace('_', ' ')} ({option}):", f"  {', '.join(found[flag])}", ""]
    return "\n".join(lines).rstrip()


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    figures = [f"{key} {row['zero_shot'][key]:.1%}" for key in SHOWN if key in row["zero_shot"]]
    here = row["bytes_here"]
    return (
        row["name"],
        str(row["image_size"] or ""),
        f"{row['parameters']:,}",
        "no" if here is None else f"{here / 1e6:,.1f} MB",
        ", ".join(figures),
    )


def _tag_cells(row: dict[str, Any]) -> tuple[str, ...]:
    figures = [
        f"{name} {row[key]:.1%}"
        for key, name in (("imagenet", "imagenet"), ("average", "38 sets"))
        if row[key] is not None
    ]
    parameters = row["parameters"]
    return (
        row["name"],
        str(row["image_size"]),
        "" if parameters is None else f"{parameters:,}",
        row["licence"],
        ", ".join(figures) if not row["refusal"] else "does not load: no such towers",
    )


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Cells in columns: names and figures to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *numbers, figures in rows:
        middle = [cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)]
        lines.append("  ".join(["", name.ljust(widths[0]), *middle, figures]).rstrip())
    return lines
