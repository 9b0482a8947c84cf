"""Run `inspect`: one pass over the images, the checks, then write all files together."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.inspection import (
    class_balance_and_lookalikes,
    duplicates,
    image_quality,
    perceptual_hashes,
    report,
    suspects_table,
)
from pipelines.inspection.options import FILES, Options
from pipelines.inspection.scan import Scan, scan
from pipelines.inspection.suspects_table import Suspect
from pipelines.runs import folder, option_parsing, results, runtime

if TYPE_CHECKING:
    from tfrecords import Manifest

SCHEMA = 1


def run(options: Options) -> list[str]:
    """Look, and write the files named in `FILES`; returns lines for the terminal.

    Raises:
        ValueError: no such split, a model without an image tower or one that reads two class names
            as one, or damaged records.
        FileExistsError: the folder has such files already.
    """
    from tfrecords import Manifest, verify_splits

    if folder.is_unchanged(options.out, options, finished=FILES[0]):
        return [f"{options.out} is finished already; nothing is left to do"]
    out = folder.check_free(options.out, FILES)
    manifest = Manifest.read(options.data)
    runtime.import_tensorflow()  # reading records does, and would let it greet
    verify_splits(options.data, manifest, *manifest.splits)
    model = _model(options, manifest)
    seen = scan(options.data, manifest.splits)
    found, document = _checked(options, manifest, seen, model)
    images = report.thumbnails(options.data, seen, found)
    page = report.page(document, found, seen, images=images)
    with folder.filled_at_once(out) as staging:
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (staging / "inspection.json").write_text(text, encoding="utf-8")
        rows = suspects_table.table(found, seen.files, seen.splits)
        (staging / "suspects.csv").write_text(rows, encoding="utf-8")
        (staging / "report.html").write_text(page, encoding="utf-8")
        option_parsing.write_config(options, staging / "config.yaml")
    return [*report.terminal(document), f"Written to {out}; open {Path(out) / 'report.html'}"]


def _model(options: Options, manifest: "Manifest") -> Any:
    """The model, if one was asked for; its split and its class names are checked."""
    if options.model is None:
        return None
    from pipelines.inspection import with_model

    manifest.split(options.split)
    model = with_model.load(options.model)
    with_model.check_names(model, options, manifest)
    return model


def _checked(
    options: Options, manifest: "Manifest", seen: Scan, model: Any
) -> tuple[list[Suspect], dict[str, Any]]:
    """The suspects in order, and the document."""
    found, groups = _copies(seen, manifest)
    found += image_quality.spoilt(seen)
    alike, agreement, notes = [], None, _notes(manifest)
    if model is None:
        notes.append("labels and classes that look alike not checked: give --model")
    else:
        from pipelines.inspection import with_model

        by_model = with_model.look(model, options, manifest, seen, known=groups)
        found, alike = found + by_model.suspects, by_model.alike
        agreement = by_model.agreement
        notes += by_model.notes
    found = suspects_table.ordered(found)
    counts = {kind: sum(each.kind == kind for each in found) for kind in suspects_table.KINDS}
    return found, {
        "schema": SCHEMA,
        "command": "inspect",
        "created": results.now(),
        "dataset": manifest.dataset,
        "images": {name: split.count for name, split in manifest.splits.items()},
        "suspects": counts,
        "across_splits": duplicates.across(seen, groups),
        "unbalanced": _unbalanced(manifest),
        "alike": alike,
        "label_agreement": agreement,
        "notes": notes,
        "config": asdict(options),
        "versions": results.versions(),
    }


def _copies(seen: Scan, manifest: "Manifest") -> tuple[list[Suspect], np.ndarray]:
    """Exact and near duplicates, and the group of each image."""
    names, size = manifest.spoken_names, len(seen.files)
    same, pairs = duplicates.exact(seen), duplicates.near(seen)

    def say(row: int, stays: int) -> tuple[float, str]:
        bits = int(np.bitwise_count(seen.hashes[row] ^ seen.hashes[stays]))
        return (
            1 - bits / perceptual_hashes.BITS,
            f"perceptual hashes differ in {bits} of {perceptual_hashes.BITS} bits",
        )

    found = duplicates.suspects(
        seen, same, kind="exact-duplicate", say=lambda row, stays: (1.0, "the same bytes"),
        names=names,
    )  # fmt: skip
    groups = duplicates.groups(size, pairs)
    found += duplicates.suspects(seen, groups, kind="near-duplicate", say=say, names=names)
    return found, duplicates.joined(size, same, pairs)


def _unbalanced(manifest: "Manifest") -> dict[str, Any]:
    """By split, those that are."""
    found = {
        name: class_balance_and_lookalikes.unbalanced(split.class_counts, manifest.spoken_names)
        for name, split in manifest.splits.items()
        if split.labels
    }
    return {name: each for name, each in found.items() if each}


def _notes(manifest: "Manifest") -> list[str]:
    """What there is nothing to say about."""
    notes = []
    if len(manifest.splits) == 1:
        (only,) = manifest.splits
        notes.append(f"duplicates across splits not checked: {only} is the only split")
    if not any(split.labels for split in manifest.splits.values()):
        notes.append("class balance not checked: the images have no labels")
    return notes
