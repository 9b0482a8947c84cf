"""The page and the terminal summary of `inspect`."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from duet import name_list
from pipelines.inspection import class_balance_and_lookalikes
from pipelines.inspection.scan import Scan
from pipelines.inspection.suspects_table import KINDS, Suspect
from pipelines.reporting import number_format
from pipelines.reporting import page as reporting_page
from pipelines.runs.rerun_command import program
from pipelines.runs.text_table import aligned

SHOWN = 24  # findings of a kind on the page

SIDE = 160  # pixels of an image

WHAT = {
    "exact-duplicate": "The same bytes more than once. The image on the right stays, the left one "
    "is in suspects.csv.",
    "near-duplicate": "One image encoded, scaled or edited slightly otherwise.",
    "similar": "Images whose embeddings are far closer than neighbours usually are: crops, "
    "mirrored or repainted copies, or classes that the model cannot tell apart.",
    "wrong-label": "Another class is likelier than the label, by a model that was not fitted to "
    "this image; the most certain first. These are suspicions: check before you exclude one.",
    "blank": "Hardly any contrast.",
    "tiny": "A shorter side below 32 pixels.",
    "blurred": "Far less sharp than the other images of this set.",
    "odd-shape": "More than 3 to 1: most of it is lost where a model cuts a square.",
}


def headline(document: dict[str, Any]) -> str:
    """The finding that matters most, in one sentence."""
    images = sum(document["images"].values())
    if document["across_splits"]:
        return f"{'; '.join(crossing(document))}, of {name_list.counted(images, 'image')}"
    found = [f"{n:,} {KINDS[k].lower()}" for k, n in document["suspects"].items() if n]
    return f"{', '.join(found) or 'Nothing suspicious'} among {name_list.counted(images, 'image')}"


def crossing(document: dict[str, Any]) -> list[str]:
    """ "12 test images also stand in train"."""
    lines = []
    for pair, count in document["across_splits"].items():
        own, other = pair.split(" in ")
        verb = "images also stand" if count > 1 else "image also stands"
        lines.append(f"{count:,} {own} {verb} in {other}")
    return lines


def balance(document: dict[str, Any]) -> list[str]:
    """A sentence for each split whose classes are unbalanced or empty."""
    lines = []
    for split, found in document["unbalanced"].items():
        most, least = found["largest"], found["smallest"]
        said = []
        if found["ratio"] > class_balance_and_lookalikes.UNBALANCED:
            said.append(
                f"{most['name']} has {most['images']:,} images, {least['name']} "
                f"{least['images']:,} ({found['ratio']:.1f} to 1)"
            )
        if found["empty"]:
            said.append(f"no image of {name_list.first_of(found['empty'])}")
        lines.append(f"{split}: {'; '.join(said)}")
    return lines


def agreement(document: dict[str, Any]) -> str:
    """How far the judge of the labels is to be trusted."""
    share = number_format.percent(document["label_agreement"])
    return (
        f"agrees with {share} of all labels, on images that it was not fitted to: the fewer, the "
        "more of these suspicions are its own mistakes"
    )


def terminal(document: dict[str, Any]) -> list[str]:
    """The summary: what was found, what to do with it, what was not looked at."""
    counts = ", ".join(f"{count:,} {split}" for split, count in document["images"].items())
    lines = [f"{document['dataset']}: {counts} images", *crossing(document)]
    suspects = [(KINDS[kind], f"{n:,}") for kind, n in document["suspects"].items() if n]
    lines += aligned(suspects, right=(1,)) if suspects else []
    if document["suspects"]["wrong-label"]:
        lines.append(f"Labels judged by a model that {agreement(document)}")
    lines += [f"Unbalanced classes: {line}" for line in balance(document)]
    for pair in document["alike"][:3]:
        mixed = f"{pair['mixed_up']} of {pair['of']} images mixed up"
        lines.append(f"Classes alike: {pair['a']} and {pair['b']} ({mixed})")
    if not any(document["suspects"].values()):
        lines.append("no suspicious image")
    else:
        lines.append(
            f"suspects.csv: delete the rows that are fine, then {program()} prepare ... --exclude "
            f"{shlex.quote(str(Path(document['config']['out'], 'suspects.csv')))}"
        )
    return [*lines, *document["notes"]]


def page(
    document: dict[str, Any],
    found: Sequence[Suspect],
    scan: Scan,
    *,
    images: Mapping[int, str],
) -> str:
    """The page, as text; `images` are the thumbnails of rows, as addresses."""
    kinds = _by_kind(found)
    sections = [
        {
            "id": kind,
            "title": KINDS[kind],
            "what": WHAT[kind]
            + (f" The model {agreement(document)}." if kind == "wrong-label" else ""),
            "total": len(some),
            "items": [_item(each, scan, images) for each in some[:SHOWN]],
        }
        for kind, some in kinds.items()
        if some
    ]
    return reporting_page.render(
        "inspect.html.j2",
        title=f"Health of {document['dataset']}",
        headline=headline(document),
        results=document,
        crossing=crossing(document),
        balance=balance(document),
        sections=sections,
    )


def thumbnails(data: str, scan: Scan, found: Sequence[Suspect]) -> dict[int, str]:
    """The images that the page shows, by row, read from the records in `data`."""
    import tfrecords

    shown = [each for some in _by_kind(found).values() for each in some[:SHOWN]]
    rows = {each.row for each in shown} | {each.other for each in shown if each.other is not None}
    row_of = {(scan.splits[row], int(scan.places[row])): row for row in rows}
    made = {}
    for split in dict.fromkeys(scan.splits):
        places = [place for name, place in row_of if name == split]
        for place, example in tfrecords.examples_at(data, split, places):
            small = tfrecords.thumbnail(example.image, side=SIDE)
            made[row_of[split, place]] = reporting_page.data_uri(small, "jpeg")
    return made


def _by_kind(found: Sequence[Suspect]) -> dict[str, list[Suspect]]:
    return {kind: [each for each in found if each.kind == kind] for kind in KINDS}


def _item(each: Suspect, scan: Scan, images: Mapping[int, str]) -> dict[str, Any]:
    rows = [each.row] if each.other is None else [each.row, each.other]
    named = [{"uri": images[row], "name": f"{scan.splits[row]}: {scan.files[row]}"} for row in rows]
    return {"why": each.why, "images": named}
