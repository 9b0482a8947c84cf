"""Read what sentence-transformers writes beside a text encoder: its pooling, and other steps."""

from pathlib import Path

from dual_encoder.checkpoints.json_files import POOLING, read_json
from duet import json_schema

STEPS = ("Transformer", "Pooling", "Normalize")  # the last is left to whoever compares

POOLINGS = {"cls": "first", "mean": "mean"}

MODULES = {"modules": [{"type": str, "path?": str}]}


def pooling(folder: Path) -> str | None:
    """How the features of a text's tokens become one; None where the folder does not say.

    Raises:
        ValueError: another pooling than `POOLINGS`, or several; a step that is not of `STEPS`,
            such as a dense layer.
    """
    where = _pooling_folder(folder)
    if not (where / "config.json").is_file():
        return None
    modes = read_json(where, "config.json", POOLING)
    prefix, suffix = "pooling_mode_", "_token"
    chosen = {
        key.removeprefix(prefix).removesuffix("s").removesuffix(suffix)
        for key, value in modes.items()
        if key.startswith(prefix) and value is True
    }
    chosen |= {str(modes["pooling_mode"])} if "pooling_mode" in modes else set()
    if len(chosen) != 1 or not chosen <= POOLINGS.keys():
        raise ValueError(
            f"{folder}: expected {' or '.join(POOLINGS)} pooling in {where.name}/config.json; got "
            f"{' and '.join(sorted(chosen)) or 'none'}"
        )
    return POOLINGS[chosen.pop()]


def _pooling_folder(folder: Path) -> Path:
    """Where the step that pools has its settings, if all steps are known."""
    path = folder / "modules.json"
    if not path.is_file():
        return folder / "1_Pooling"
    text = path.read_text(encoding="utf-8", errors="replace")
    found = json_schema.parse(f'{{"modules": {text}}}', MODULES, name=str(path))["modules"]
    kinds = [step["type"].rpartition(".")[2] for step in found]
    if unknown := [kind for kind in kinds if kind not in STEPS]:
        raise ValueError(
            f"{path}: expected steps of {', '.join(STEPS)}; got {json_schema.shown(unknown[0])}"
        )
    return folder / next((step.get("path", "") for step in found if _pools(step)), "1_Pooling")


def _pools(step: dict) -> bool:
    return step["type"].endswith("Pooling") and json_schema.is_file_name(step.get("path"))
