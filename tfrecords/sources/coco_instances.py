"""Labels from COCO's JSON of objects: an image's are the categories of what was marked in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tfrecords.sources.table_columns import Row, Table


def is_instances(document: Any) -> bool:
    """Returns whether the JSON is of categories and annotations, as COCO's detection has it."""
    return isinstance(document, dict) and {"categories", "annotations", "images"} <= {*document}


def table(path: Path, document: dict[str, Any]) -> Table:
    """Returns a row for each image: file, its labels, and its split where images say it.

    Boxes, masks and the number of objects are left out; an image without objects has no label.

    Args:
        path: named in errors.
        document: `images` with id and file_name, `categories` with id and name, `annotations` with
            image_id and category_id (https://cocodataset.org/#format-data).

    Raises:
        ValueError: something is missing, or an id is of nothing or stands for two.
    """
    try:
        names = _by_id(document["categories"], "name")
        files = _by_id(document["images"], "file_name")
        found: dict[Any, dict[str, None]] = {id: {} for id in files}
        for annotation in document["annotations"]:
            image, category = annotation["image_id"], annotation["category_id"]
            if image not in files or category not in names:
                what = "image" if image not in files else "category"
                raise ValueError(f"an annotation has {what}_id {annotation[f'{what}_id']!r}")
            found[image][names[category]] = None
        splits = [str(image.get("split") or "") for image in document["images"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        detail = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{path} is not COCO's JSON of objects (images with id and file_name, categories with "
            f"id and name, annotations with image_id and category_id): {detail}"
        ) from None
    columns = ("file", "label", *["split"] * any(splits))
    cells = zip(files.values(), map(list, found.values()), splits, strict=True)
    rows = [Row(n, tuple(row[: len(columns)])) for n, row in enumerate(cells, 1)]
    return Table(path, columns, rows, "image")


def _by_id(rows: list[dict], key: str) -> dict[Any, str]:
    """Returns id -> name; ValueError for an id that is there twice, or a name that is no text."""
    twice = [id for id, count in Counter(row["id"] for row in rows).items() if count > 1]
    if twice:
        raise ValueError(f"id {twice[0]!r} stands for two, by their {key}")
    for row in rows:
        if not isinstance(row[key], str):
            raise ValueError(f"{key}: expected a text; got {row[key]!r:.60}")
    return {row["id"]: row[key] for row in rows}
