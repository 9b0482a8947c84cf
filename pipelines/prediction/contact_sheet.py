"""Contact sheet of predicted images, sorted by confidence, in one HTML file."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from duet import name_list
from pipelines.prediction.answers import Answer
from pipelines.reporting import page as reporting_page
from pipelines.runs import results

SIDE = 160  # pixels of an image
MOST = 1000  # images on a page: a megabyte for a hundred


def page(
    found: Sequence[Answer],
    loads: Mapping[str, Callable[[], bytes]],
    *,
    model: str,
    unreadable: Mapping[str, str],
    max_pixels: int | None = None,
    advance: Callable[[int], object] = lambda count: None,
) -> str:
    """The page, as text.

    Of more than `MOST` images those in even steps from the most to the least confident, both ends
    among them.

    Args:
        found: the predictions.
        loads: what reads an image, by its file.
        model: its name.
        unreadable: files and why.
        max_pixels: see `tfrecords.thumbnail`.
        advance: told of each image that is on the page.
    """
    ordered = sorted(found, key=lambda each: -each.confidence)
    chosen = [ordered[i] for i in shown(len(ordered))]
    images = []
    for each in chosen:
        images.append(_image(each, loads, max_pixels))
        advance(1)
    return reporting_page.render(
        "predict.html.j2",
        title=f"What {model} says",
        headline=_headline(found, unreadable),
        images=images,
        total=len(ordered),
        counts=_counts(found),
        unreadable=[(_readable(file), reason) for file, reason in unreadable.items()],
        results={
            "command": "predict",
            "created": results.now(),
            "versions": results.versions(),
        },
    )


def shown(count: int, most: int = MOST) -> list[int]:
    """Which of so many images a page has: all, or `most` in even steps."""
    if count <= most:
        return list(range(count))
    return np.linspace(0, count - 1, most).round().astype(int).tolist()


def _headline(found: Sequence[Answer], unreadable: Mapping[str, str]) -> str:
    named = sum(bool(each.labels) for each in found)
    unsure = f", {len(found) - named:,} not sure enough" if named < len(found) else ""
    bad = f", {len(unreadable):,} cannot be read" if unreadable else ""
    return f"{name_list.counted(len(found), 'image')}{unsure}{bad}"


def _counts(found: Sequence[Answer]) -> list[tuple[str, int]]:
    """Classes by number of predicted images, the most frequent first."""
    counts: dict[str, int] = {}
    for each in found:
        for name in each.labels:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items(), key=lambda pair: -pair[1])


def _image(
    each: Answer, loads: Mapping[str, Callable[[], bytes]], max_pixels: int | None
) -> dict[str, Any]:
    second = each.classes[1] if len(each.classes) > 1 else None
    return {
        "uri": _thumbnail(loads.get(each.file), max_pixels),
        "file": _readable(each.file),
        "label": ", ".join(each.labels) or "not sure",
        "said": each.classes[0],
        "second": second,
        "sure": bool(each.labels),
    }


def _thumbnail(load: Callable[[], bytes] | None, max_pixels: int | None) -> str | None:
    import tfrecords

    if load is None:
        return None
    try:
        small = tfrecords.thumbnail(load(), side=SIDE, max_pixels=max_pixels)
        return reporting_page.data_uri(small, "jpeg")
    except (OSError, tfrecords.UnreadableError):
        return None


def _readable(file: str) -> str:
    """A path as text that can be printed: names of files may hold bytes that are no UTF-8."""
    return os.fsencode(file).decode("utf-8", "replace")
