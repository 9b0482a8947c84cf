"""What a model shows: labels that look wrong, images it takes for the same, classes alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.inspection import classes, duplicates, labels
from pipelines.inspection.options import Options
from pipelines.inspection.scan import Scan
from pipelines.inspection.suspects import Suspect
from pipelines.runs import features
from pipelines.runs.feature_cache import FeatureCache

if TYPE_CHECKING:
    from tfrecords import Manifest


@dataclass
class Seen:
    """Findings of a model: suspects, pairs of classes, and what was not looked at, and why."""

    suspects: list[Suspect] = field(default_factory=list)
    alike: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def load(name: str) -> Any:
    """The model of that name; ValueError where it has no image tower."""
    from pipelines.runs import models

    model = models.untouched(name)
    if getattr(model, "image_tower", None) is None:
        raise ValueError(
            f"--model: expected a model with an image tower; {name} ({type(model).__name__}) "
            "has none"
        )
    return model


def look(
    model: Any, options: Options, manifest: "Manifest", scan: Scan, *, known: np.ndarray
) -> Seen:
    """Embed every image and look.

    Args:
        model: with an image tower.
        scan: of all splits of the records.
        known: int [n], groups of duplicates that are known already, which are not said again.
    """
    folder = Path(options.features or Path(options.out) / "features")
    cache = FeatureCache(folder, options.data, manifest, batch_size=options.batch_size)
    rows = {split: cache.read(model, split, scan.ids[scan.rows(split)]).values
            for split in manifest.splits}  # fmt: skip
    values = np.concatenate([rows[split] for split in manifest.splits])
    seen = Seen(_similar(features.unit(values), scan, known, manifest))
    reason = unchecked(options, manifest)
    if reason:
        seen.notes.append(f"labels not checked: {reason}")
        return seen
    _labels(seen, model, options, manifest, scan, values=values)
    return seen


def unchecked(options: Options, manifest: "Manifest") -> str:
    """Why labels cannot be checked; empty if they can."""
    info = manifest.split(options.split)
    if not info.labels:
        return f"split {options.split} has none"
    if manifest.multi_label:
        return "images have several; a label is checked where it is an image's only one"
    if sum(count >= labels.FEWEST for count in info.class_counts) < 2:
        return f"split {options.split} has fewer than two classes of two or more images"
    return ""


def _similar(
    embeddings: np.ndarray, scan: Scan, known: np.ndarray, manifest: "Manifest"
) -> list[Suspect]:
    _, first = np.unique(known, return_index=True)
    first = np.sort(first)
    found = {}
    for a, b, cosine in duplicates.similar(embeddings[first]):
        found[tuple(sorted((int(first[a]), int(first[b]))))] = cosine

    def say(row: int, stays: int) -> tuple[float, str]:
        cosine = float(embeddings[row] @ embeddings[stays])
        return cosine, f"cosine {cosine:.4f}"

    names = manifest.spoken_names
    return duplicates.suspects(scan, list(found), kind="similar", say=say, names=names)


def _labels(
    seen: Seen,
    model: Any,
    options: Options,
    manifest: "Manifest",
    scan: Scan,
    *,
    values: np.ndarray,
) -> None:
    """Add doubtful labels and classes that are alike to what was seen."""
    rows = scan.rows(options.split)
    own = np.array([scan.labels[row] for row in rows])
    counts = np.bincount(own, minlength=len(manifest.class_names))
    kept = np.flatnonzero(counts >= labels.FEWEST)
    if alone := int((counts == 1).sum()):
        seen.notes.append(f"labels not checked of {alone} classes with one image")
    rows = rows[np.isin(own, kept)]
    places = np.searchsorted(kept, own[np.isin(own, kept)])
    names = [manifest.spoken_names[label] for label in kept]
    unit = features.unit(values[rows])
    probabilities = labels.out_of_sample(
        values[rows],
        places,
        text_logits=_text_logits(model, unit, names, manifest.prompt_templates),
        folds=options.folds,
        seed=options.seed,
    )
    for doubt in labels.doubtful(probabilities, places):
        why = (
            f"labelled {names[places[doubt.place]]} ({100 * doubt.own:.1f} %), looks like "
            f"{names[doubt.better]} ({100 * doubt.other:.1f} %)"
        )
        seen.suspects.append(Suspect(int(rows[doubt.place]), "wrong-label", doubt.margin, why))
    seen.alike = classes.alike(unit, places, probabilities, names)


def _text_logits(
    model: Any, unit: np.ndarray, names: Sequence[str], templates: Sequence[str]
) -> np.ndarray | None:
    """What class names say without any label, of a model that knows words; else None."""
    import keras

    import dual_encoder

    if not isinstance(model, dual_encoder.DualEncoder) or model.tokenizer is None:
        return None
    texts = dual_encoder.class_embeddings(model, names, templates)
    return float(keras.ops.convert_to_numpy(model.logit_scale)) * unit @ np.asarray(texts).T
