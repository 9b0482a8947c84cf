"""Write the model card (README.md) of a hub repository: usage and measured results."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

import keras
import yaml

from dual_encoder.checkpoints.catalog_row_check import describe
from duet import json_validation, percent_metric_names

SCHEMA = 2  # of results.json

FILE = "results.json"

PACKAGES = ("duet-vision-language", "keras")

#: A table has no room for what is meant by them.
NAMES = percent_metric_names.FRACTIONS | {
    "harmonic_mean": "Harmonic mean of seen and held-out classes"
}

KINDS = {
    "dual-encoder": ("An image tower and a text tower", "zero-shot-image-classification"),
    "image-encoder": ("An image tower", "image-feature-extraction"),
    "text-encoder": ("A text tower", "feature-extraction"),
}

USES = {
    "dual-encoder": (
        'texts = model.encode_text(model.tokenizer(["a photo of a cat."]))',
        "images = model.encode_image(pixels)  # 0-255, {image_size} x {image_size}",
    ),
    "image-encoder": ("outputs = model(pixels)  # 0-255, {image_size} x {image_size}",),
    "text-encoder": ('features = model(model.tokenizer(["a photo of a cat."]))',),
}

Rows = Iterable[tuple[str, ...]]


def read_results(results: str | Path | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The results of a run from its results.json, from its folder, or as they are.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not JSON, or not results of the schema that is known here.
    """
    if results is None:
        return None
    where = "results"
    if not isinstance(results, Mapping):
        path = Path(results) / FILE if Path(results).is_dir() else Path(results)
        where = str(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such results; expected a {FILE} or its folder")
        results = json_validation.read(path)
    if not isinstance(results, Mapping) or results.get("schema") != SCHEMA:
        found = results.get("schema") if isinstance(results, Mapping) else None
        raise ValueError(f"{where}: expected results of schema {SCHEMA}; got {found!r}")
    return dict(results)


def model_card(
    model: keras.Model,
    repository: str,
    *,
    results: Mapping[str, Any] | None = None,
    licence: str | None = None,
    architecture: str | None = None,
) -> str:
    """The card as Markdown under a header of YAML.

    Args:
        model: a `DualEncoder`, an `ImageEncoder` or a `TextEncoder`.
        repository: `org/repo`, where the model will be.
        results: what a run found, see `read_results`; nothing was measured without them.
        licence: as the hub spells it.
        architecture: the class of `transformers` that reads the repository, if one does.
    """
    facts = describe(model)
    sections = [
        _header(model, facts, licence=licence, architecture=architecture),
        f"# {repository.rpartition('/')[2]}",
        f"{KINDS[facts['kind']][0]}, made with Duet.",
        _use(repository, facts, architecture=architecture),
        _description(facts),
        results_section(results) if results else "## Results\n\nNothing was measured.",
        versions_section(results),
    ]
    return "\n\n".join(sections) + "\n"


def _header(
    model: Any, facts: dict[str, Any], *, licence: str | None, architecture: str | None
) -> str:
    classifies = getattr(model, "class_names", None) is not None
    task = "image-classification" if classifies else KINDS[facts["kind"]][1]
    header = {
        "license": licence or "unknown",
        "library_name": "transformers" if architecture else "keras",
        "pipeline_tag": task,
        "tags": ["duet", facts["kind"]],
    }
    return f"---\n{yaml.safe_dump(header, sort_keys=False)}---"


def _use(repository: str, facts: dict[str, Any], *, architecture: str | None) -> str:
    lines = [
        f'model = dual_encoder.load("hf://{repository}")',
        *(line.format_map(facts) for line in USES[facts["kind"]]),
    ]
    code = "\n".join(["```python", "import dual_encoder", "", *lines, "```"])
    also = f'`transformers.{architecture}.from_pretrained("{repository}")` loads it as well.'
    return f"## Use\n\n{code}" + (f"\n\n{also}" if architecture else "")


def _description(facts: dict[str, Any]) -> str:
    names = {
        "parameters": "Parameters",
        "embed_dim": "Size of an embedding",
        "image_size": "Pixels of a side",
        "patch_size": "Pixels of a patch",
        "resize": "Resizing",
        "interpolation": "Interpolation",
        "context_length": "Tokens of a text, at most",
        "pooling": "Pooling of a text",
        "activation": "Activation",
    }
    rows = ((name, _number(facts[key])) for key, name in names.items() if key in facts)
    return f"## Model\n\n{table(('', ''), rows)}"


def results_section(results: Mapping[str, Any]) -> str:
    """Figures, what they are of, and the texts that stood for the classes."""
    names = {
        "dataset": "Dataset",
        "split": "Split",
        "protocol": "Protocol",
        "images": "Images",
        "classes": "Classes",
        "model": "Measured as",
        "created": "Measured on",
    }
    known = {key: results[key] for key in names if results.get(key) is not None}
    if PurePath(str(known.get("model"))).is_absolute():  # of nobody else's machine
        known["model"] = PurePath(known["model"]).name
    if isinstance(known.get("created"), str):
        known["created"] = known["created"].partition("T")[0]
    conditions = table(("", ""), ((names[key], _number(known[key])) for key in known))
    intervals = results.get("intervals") or {}
    figures = (
        (NAMES.get(key, key), _figure(key, value), _interval(key, intervals.get(key)))
        for key, value in results["metrics"].items()
    )
    parts = ["## Results", conditions, table(("Figure", "Value", "95 % interval"), figures)]
    if intervals:
        parts.append("The intervals are of a bootstrap over the images.")
    if templates := results.get("templates"):
        texts = "\n".join("    " + " ".join(str(each).split()) for each in templates)
        parts.append(f"Texts of the classes ({len(templates)}), `{{}}` being the name:\n\n{texts}")
    return "\n\n".join(parts)


def versions_section(results: Mapping[str, Any] | None) -> str:
    rows = [("saved with", name, version(name)) for name in PACKAGES]
    measured = (results or {}).get("versions", {})
    rows += [("measured with", name, str(found)) for name, found in measured.items()]
    return f"## Versions\n\n{table(('', 'Package', 'Version'), rows)}"


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{100 * value:.1f} %" if key in percent_metric_names.FRACTIONS else _number(value)


def _interval(key: str, ends: list[float] | None) -> str:
    return "" if not ends else " to ".join(_figure(key, end) for end in ends)


def _number(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def table(heading: tuple[str, ...], rows: Rows) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    """In one line, and without a bar, which would begin another cell."""
    return " ".join(text.split()).replace("|", "\\|")
