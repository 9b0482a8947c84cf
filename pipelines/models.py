"""List the models that can be named: pretrained checkpoints, and towers to train from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.runs import rerun_command
from pipelines.runs.text_table import aligned

if TYPE_CHECKING:
    from dual_encoder import Availability

# Of the published accuracies, those that a line has room for; --json has all.
SHOWN = ("shapes", "shapes-wild", "imagenet", "food101", "cifar10", "oxford_iiit_pet")

TITLES = {
    "dual-encoder": "dual encoders (--model): zero-shot, and to adapt",
    "image-encoder": "image encoders: --model of finetune, towers for --image-weights",
    "text-encoder": "text encoders: towers for --text-weights",
}

HEADER = ("name", "pixels", "parameters", "MB", "here", "licence", "published zero-shot top-1")

TAG_HEADER = (*HEADER[:4], "licence", "zero-shot top-1, as OpenCLIP measured")

NOT_STATED = "not stated"

CHECKED = ("name", "commit", "MB", "weights", "")


@dataclass
class Options:
    """List checkpoints and towers, or ask the hub for them.

    Args:
        json: print JSON instead of tables.
        check: ask the hub whether the files of these checkpoints are there and can be loaded, of
            all of the table without a name; hf://org/repo and NAME@REVISION are names too. No
            weights are fetched. Status 1 if something is in the way of one.
    """

    json: bool = False
    check: list[str] | None = field(default=None, metadata={"nargs": "*"})


def run(options: Options) -> int:
    """Print what `--model`, `--image-tower` and `--text-tower` take; the exit status."""
    if options.check is not None:
        return check(options.check, as_json=options.json)
    found = entries()
    print(json.dumps(found, indent=2) if options.json else tables(found))
    return 0


def check(names: list[str], *, as_json: bool) -> int:
    """Print what the hub has of checkpoints, a line each; 1 if one cannot be loaded."""
    from pipelines.runs import runtime

    runtime.import_tensorflow()
    from dual_encoder import CHECKPOINTS, availability

    found = [availability(name) for name in names or CHECKPOINTS]
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        rows = [CHECKED, *map(_checked, found)]
        able = sum(each.problem is None for each in found)
        print("\n".join([*_columns(rows), "", f"{able} of {len(found)} can be loaded"]))
    return int(any(each.problem for each in found))


def _checked(found: Availability) -> tuple[str, ...]:
    size = "" if found.size is None else f"{found.size / 1e6:,.1f}"
    verdict = "ok" if found.problem is None else found.problem
    return found.name, (found.commit or "")[:8], size, found.weights or "", verdict


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
        if row.tag and not row.zero_shot and open_clip_tags()[row.tag].imagenet is not None:
            facts["zero_shot"] = {"imagenet": open_clip_tags()[row.tag].imagenet}
        checkpoints.append({"name": name, **facts, "bytes_here": bytes_here(row)})
    return {
        "checkpoints": checkpoints,
        "open_clip": [
            {"name": tag.name, **asdict(tag), "licence": tag.licence or NOT_STATED}
            for tag in open_clip_tags().values()
        ],
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
    lines += [
        "MB: the weights in float32; files in half precision are half as large",
        "sources and all published figures: python -m pipelines models --json",
        "",
    ]
    for flag in ("image_towers", "text_towers"):
        option = rerun_command.flag(flag.removesuffix("s"))
        lines += [f"{flag.replace('_', ' ')} ({option}):", f"  {', '.join(found[flag])}", ""]
    return "\n".join(lines).rstrip()


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    figures = [f"{key} {row['zero_shot'][key]:.1%}" for key in SHOWN if key in row["zero_shot"]]
    here = row["bytes_here"]
    return (
        row["name"],
        str(row["image_size"] or ""),
        f"{row['parameters']:,}",
        _megabytes(row["parameters"]),
        "no" if here is None else f"{here / 1e6:,.1f} MB",
        row["licence"],
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
        "" if parameters is None else _megabytes(parameters),
        row["licence"],
        ", ".join(figures) if not row["refusal"] else "does not load: no such towers",
    )


def _megabytes(parameters: int) -> str:
    """What the weights take in float32."""
    return f"{4e-6 * parameters:,.0f}"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Cells in columns: names and figures to the left, numbers to the right."""
    return [f"  {line}" for line in aligned(rows, right=range(1, len(rows[0]) - 1))]
