"""Checks that need a model: label errors, duplicates by embedding, classes alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duet import unit_rows
from pipelines.inspection import class_balance_and_lookalikes, duplicates, label_errors
from pipelines.inspection.options import Options
from pipelines.inspection.scan import Scan
from pipelines.inspection.suspects_table import Suspect
from pipelines.runs.feature_cache import FeatureCache

if TYPE_CHECKING:
    from tfrecords import Manifest


@dataclass
class Seen:
    """Findings of a model: suspects, pairs of classes, and what was not looked at, and why.

    Attributes:
        agreement: share of the images that the model, not fitted to them, calls what their labels
            do; None where labels were not checked.
    """

    suspects: list[Suspect] = field(default_factory=list)
    alike: list[dict[str, Any]] = field(default_factory=list)
    agreement: float | None = None
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


def check_names(model: Any, options: Options, manifest: "Manifest") -> None:
    """Raises ValueError where the model reads two names of checked labels as one."""
    import dual_encoder

    if not unchecked(options, manifest) and _knows_words(model):
        counts = manifest.split(options.split).class_counts
        names = [
            name
            for name, count in zip(manifest.spoken_names, counts, strict=True)
            if count >= label_errors.FEWEST
        ]
        dual_encoder.refuse_equal_names(model, names, manifest.prompt_templates)


def _knows_words(model: Any) -> bool:
    import dual_encoder

    return isinstance(model, dual_encoder.DualEncoder) and model.tokenizer is not None


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
    labelled = [name for name, split in manifest.splits.items() if split.labels]
    rows = {split: scan.rows(split) for split in labelled}
    values = {split: cache.read(model, split, scan.ids[rows[split]]).values for split in labelled}
    seen = Seen()
    if bare := [name for name in manifest.splits if name not in labelled]:
        seen.notes.append(f"not shown to the model, as they have no labels: {', '.join(bare)}")
    if labelled:
        every, places = (np.concatenate([of[s] for s in labelled]) for of in (values, rows))
        seen.suspects += _similar(unit_rows.unit(every), places, scan, known, manifest)
    if reason := unchecked(options, manifest):
        seen.notes.append(f"labels not checked: {reason}")
    else:
        _labels(seen, model, options, manifest, scan, values=values[options.split])
        if others := [name for name in labelled if name != options.split]:
            seen.notes.append(
                f"labels checked of split {options.split} alone; not of {', '.join(others)} "
                "(--split)"
            )
    return seen


def unchecked(options: Options, manifest: "Manifest") -> str:
    """Why labels cannot be checked; empty if they can."""
    info = manifest.split(options.split)
    if not info.labels:
        return f"split {options.split} has none"
    if manifest.multi_label:
        return "images have several; a label is checked where it is an image's only one"
    if sum(count >= label_errors.FEWEST for count in info.class_counts) < 2:
        return f"split {options.split} has fewer than two classes of two or more images"
    return ""


def _similar(
    embeddings: np.ndarray,
    rows: np.ndarray,
    scan: Scan,
    known: np.ndarray,
    manifest: "Manifest",
) -> list[Suspect]:
    """Of each known group one image is looked at; `rows` of the scan have these embeddings."""
    first = np.sort(np.unique(known[rows], return_index=True)[1])
    pairs = [(a, b) for a, b, _ in duplicates.similar(embeddings[first])]
    place_of = {int(row): place for place, row in enumerate(rows)}

    def say(row: int, stays: int) -> tuple[float, str]:
        cosine = float(embeddings[place_of[row]] @ embeddings[place_of[stays]])
        return cosine, f"cosine {cosine:.4f}"

    groups = [rows[first[places]].tolist() for places in duplicates.groups(len(first), pairs)]
    names = manifest.spoken_names
    return duplicates.suspects(scan, groups, kind="similar", say=say, names=names)


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
    kept = np.flatnonzero(counts >= label_errors.FEWEST)
    if alone := int((counts == 1).sum()):
        seen.notes.append(f"labels not checked of {alone} classes with one image")
    usable = np.isin(own, kept)
    rows, values, places = rows[usable], values[usable], np.searchsorted(kept, own[usable])
    names = [manifest.spoken_names[label] for label in kept]
    unit = unit_rows.unit(values)
    probabilities = label_errors.out_of_sample(
        values,
        places,
        text_logits=_text_logits(model, unit, names, manifest.prompt_templates),
        folds=options.folds,
        seed=options.seed,
    )
    for doubt in label_errors.doubtful(probabilities, places):
        why = (
            f"labelled {names[places[doubt.place]]} ({100 * doubt.own:.1f} %), looks like "
            f"{names[doubt.better]} ({100 * doubt.other:.1f} %)"
        )
        seen.suspects.append(Suspect(int(rows[doubt.place]), "wrong-label", doubt.margin, why))
    seen.agreement = float((probabilities.argmax(axis=1) == places).mean())
    seen.alike = class_balance_and_lookalikes.alike(unit, places, probabilities, names)


def _text_logits(
    model: Any, unit: np.ndarray, names: Sequence[str], templates: Sequence[str]
) -> np.ndarray | None:
    """What class names say without any label, of a model that knows words; else None."""
    import keras

    import dual_encoder

    if not _knows_words(model):
        return None
    texts = dual_encoder.class_embeddings(model, names, templates)
    return float(keras.ops.convert_to_numpy(model.logit_scale)) * unit @ np.asarray(texts).T
