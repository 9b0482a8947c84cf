"""Read the figures of a finished run from its `results.json`.

A grid of `prompt` has one in each of its cells as well, where its test images are counted.
"""

import shlex
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duet import json_validation
from pipelines.published.allowed_terms import ALL
from pipelines.published.run_metrics import Measured, checkpoint, on_all_classes
from pipelines.runs.results import FILE
from tfrecords import DATASETS

HELD_OUT = {"base-to-new": "half", "held-out classes": "some"}  # protocols of `prompt`
SAME = {"fine-tune": "zero-shot-head"}  # methods of `compare` that the table calls otherwise
PART_WAY = {"zero-shot-head": "wise-ft", "projection-ft": "auto"}  # of `finetune`, after going back
FROM_ROW = {  # where a row of `compare` has a measure
    "top1": "seen",
    "seen_top1": "seen",
    "unseen_top1": "unseen",
    "harmonic_mean": "harmonic_mean",
    "generalized_top1": "generalized",
    "macro_f1": "macro_f1",
    "ece": "ece",
}
CHOOSES = "chosen-words"  # a method that has prompts of its own
N_CTX = 16  # CoOp's, where none is given
NEEDED = {"command": str, "dataset": str, "split": str, "metrics": dict, "config": dict}

NAMELESS = ("imagenet",)  # whose class folders are called by WordNet ids: names have to be given


def read(run: str) -> list[Measured]:
    """What a finished run measured; [] for a run of `train`, for which nothing is published.

    Args:
        run: its folder, or its `results.json`.

    Raises:
        FileNotFoundError: there is no such run, or it has not finished.
        ValueError: the file is no `results.json` of Duet.
    """
    path = Path(run)
    if not path.exists():
        raise FileNotFoundError(f"--run: no run at {run}")
    folder, path = (path, path / FILE) if path.is_dir() else (path.parent, path)
    if not path.is_file():
        raise FileNotFoundError(f"--run: {run} has no {FILE}: it has not finished, or is no run")
    document = _document(path)
    command = document["command"]
    if command not in READERS:
        choices = ", ".join(READERS)
        raise ValueError(f"{path}: expected results of {choices}; got those of {command!r}")
    try:
        found = READERS[command](document, folder)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__} ({error})") from None
    return [each for one in found for each in on_all_classes(one)]


def _document(path: Path) -> dict[str, Any]:
    return json_validation.read(path, NEEDED, name=f"{path}: not the results of a run")


def _evaluated(document: dict[str, Any], folder: Path) -> list[Measured]:
    config, protocol = document["config"], document.get("protocol", "zero-shot")
    unusual = _own_names(document)
    if config.get("distractors"):
        unusual = f"images of the split alone, not of {', '.join(config['distractors'])} as well"
    elif config.get("captions_per_image"):
        unusual = f"all captions of each image, not {config['captions_per_image']}"
    return [
        Measured(
            **_common(document, document.get("templates")),
            model=checkpoint(document["model"]),
            method="zero-shot" if protocol == "retrieval" else protocol,
            shots=0,
            figures=_numbers(document["metrics"]),
            settings=config,
            unusual=unusual,
        )
    ]


def _prompted(document: dict[str, Any], folder: Path) -> list[Measured]:
    """Of one cell, or of a grid from its cells; from its table alone where these are gone."""
    if "method" in document:
        return [_cell([document], document.get("templates"))]
    wanted = {(row["model"], row["method"], row["shots"]): row for row in document["table"]}
    cells: dict[tuple, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob(f"cells/*/*/*/*/{FILE}")):
        cell = _document(path)
        key = (cell["model"], cell["method"], cell["shots"])
        if key in wanted and (not key[2] or cell["seed"] in wanted[key]["seeds"]):
            cells.setdefault(key, []).append(cell)
    texts = _templates(folder)
    return [
        _cell(cells.get(key) or [_as_cell(document, row)], texts) for key, row in wanted.items()
    ]


def _as_cell(document: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """A row of a grid's table as if it were a cell."""
    means = {name: value["mean"] for name, value in row.items() if isinstance(value, dict)}
    return {**document, **row, "metrics": means}


def _cell(seeds: list[dict[str, Any]], templates: list[str] | None) -> Measured:
    first, config = seeds[0], seeds[0]["config"]
    n_ctx = config.get("n_ctx") or (None if config.get("words") else N_CTX)
    held_out = HELD_OUT.get(first.get("protocol", ""), "none")
    common = _common(first, templates or config.get("templates"), away=_away(config))
    if held_out == "half":
        common["classes"] = 0  # twice those learnt, or one less
    return Measured(
        **common,
        model=checkpoint(first["model"]),
        method=first["method"],
        shots=first["shots"],
        figures=_means([_numbers(each["metrics"]) for each in seeds]),
        held_out=held_out,
        settings={**config, "n_ctx": n_ctx},
        unusual=_own_names(first),
    )


def _tuned(document: dict[str, Any], folder: Path) -> list[Measured]:
    config, method = document["config"], document["method"]
    away = len((document.get("parts") or {}).get("held_out") or ())
    return [
        Measured(
            **_common(document, document.get("templates"), away=away),
            model=checkpoint(config["model"]),
            method=PART_WAY.get(method, method) if "alpha" in document else method,
            shots=document.get("shots") or ALL,
            figures=_numbers(document["metrics"]),
            held_out="some" if away else "none",
            settings=config,
        )
    ]


def _compared(document: dict[str, Any], folder: Path) -> list[Measured]:
    texts = _templates(folder) or document["config"].get("templates")  # which may be a file
    return [_row(row, document, texts) for row in document["rows"] if row["seen"] is not None]


def _row(row: dict[str, Any], document: dict[str, Any], texts: list[str] | None) -> Measured:
    """A row of a comparison that finished; the command in it says which model and images."""
    config, words, method = document["config"], shlex.split(row["command"]), row["method"]
    few = "prompt" in words
    model = words[words.index("--model") + 1] if "--model" in words else document["model"]
    settings = {**config, "epochs": config.get("prompt_epochs" if few else "epochs")}
    if few:
        own = {"position": "end", "class_specific": False, "words": None}
        settings |= {"n_ctx": config.get("n_ctx") or N_CTX, **own}
    per_class = row.get("per_class") or []
    counts = [each["count"] for each in per_class]
    figures = _numbers({measure: row.get(key) for measure, key in FROM_ROW.items()})
    if recalls := [each["recall"] for each in per_class if each["recall"] is not None]:
        figures["mean_per_class"] = statistics.fmean(recalls)
    if document.get("judged_by", "top1") != "top1":  # then `seen` is that, and no accuracy
        del figures["top1"], figures["seen_top1"]
        if document["judged_by"] == "mean_per_class" and recalls:
            figures["mean_per_class"] = row["seen"]
            right = sum((each["recall"] or 0.0) * each["count"] for each in per_class)
            figures["top1"] = figures["seen_top1"] = right / sum(counts)
    away = _away(config)
    whole = {**document, "per_class": per_class, "images": sum(counts), "classes": len(counts)}
    return Measured(
        **_common(whole, texts, away=away),
        model=checkpoint(model),
        method="full" if row["family"] == "supervised" else SAME.get(method, method),
        shots=(0 if method == "zero-shot" else _most(config["shots"])) if few else ALL,
        figures=figures,
        held_out="some" if away else "none",
        settings=settings,
    )


READERS = {
    "evaluate": _evaluated,
    "prompt": _prompted,
    "finetune": _tuned,
    "compare": _compared,
    "train": lambda document, folder: [],
}


def _common(
    document: dict[str, Any], templates: list[str] | None, *, away: int = 0
) -> dict[str, Any]:
    """What every command's results say in the same words; `away` classes were held out."""
    learnt = document.get("classes") or 0
    return {
        "dataset": document["dataset"],
        "split": document["split"],
        "templates": tuple(templates or ()) or None,
        "counts": tuple(row["count"] for row in document.get("per_class") or ()),
        "images": document.get("images") or document.get("pictures") or 0,
        "classes": learnt + away if learnt else 0,
        "learnt": learnt,
    }


def _away(config: Mapping[str, Any]) -> int:
    """How many classes these options hold out."""
    return len(config.get("held_out_classes") or ()) or config.get("held_out") or 0


def _most(shots: int | list[int]) -> int:
    """Images per class of a comparison's table."""
    return max(shots) if isinstance(shots, list) else shots


def _templates(folder: Path) -> list[str] | None:
    """The prompts that some run below a folder says it had; None where none does."""
    found = (_document(path) for path in sorted(folder.rglob(FILE)))
    kept = (each.get("templates") for each in found if each.get("method") != CHOOSES)
    return next(filter(None, kept), None)


def _own_names(document: dict[str, Any]) -> str:
    """That a set of the catalogue was told by other names than the catalogue's."""
    names = document["config"].get("class_names")
    known = document["dataset"] in DATASETS and document["dataset"] not in NAMELESS
    told = names if isinstance(names, str) else ", ".join(names or ())
    return f"the set's own class names, not those of {told}" if names and known else ""


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    """Those that are known."""
    return {name: float(value) for name, value in figures.items() if value is not None}


def _means(seeds: list[dict[str, float]]) -> dict[str, float]:
    """Of the measures that all seeds have."""
    common = [name for name in seeds[0] if all(name in each for each in seeds)]
    return {name: statistics.fmean(each[name] for each in seeds) for name in common}
