"""List the models that can be named: pretrained checkpoints, and towers to train from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


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
    from pipelines.runs import quiet

    quiet.import_tensorflow()  # Keras does, and would let it greet
    from dual_encoder import CHECKPOINTS, IMAGE_TOWERS, TEXT_TOWERS

    checkpoints = [
        {
            "name": name,
            "parameters": row.parameters,
            "image_size": row.image_size,
            "embed_dim": row.embed_dim,
            "zero_shot": dict(row.zero_shot),
            "source": row.source,
            "trained_on": row.trained_on,
            "licence": row.licence,
            "here": row.file.is_file(),
            "bytes": row.file.stat().st_size if row.file.is_file() else None,
        }
        for name, row in CHECKPOINTS.items()
    ]
    return {
        "checkpoints": checkpoints,
        "image_towers": list(IMAGE_TOWERS),
        "text_towers": list(TEXT_TOWERS),
    }


def tables(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = ["checkpoints (--model):"]
    for row in found["checkpoints"]:
        figures = ", ".join(f"{name} {top1:.1%}" for name, top1 in row["zero_shot"].items())
        size = f"{row['image_size']} px, {row['parameters']:,} parameters"
        here = f"{row['bytes']:,} bytes" if row["here"] else "not here"
        lines.append(f"  {row['name']:<16} {size}, {here}; zero-shot top-1: {figures or 'unknown'}")
        lines.append(f"  {'':<16} trained on {row['trained_on']}")
    for flag in ("image_towers", "text_towers"):
        option = "--" + flag.removesuffix("s").replace("_", "-")
        lines.append(f"\n{flag.replace('_', ' ')} ({option}):")
        lines += [f"  {name}" for name in found[flag]]
    return "\n".join(lines)
