"""Captions as COCO publishes them, and as Karpathy split them: one JSON document."""

from pathlib import Path
from typing import Any

from tfrecords.sources import coco_instances
from tfrecords.sources.base import split_name

Captions = dict[str, list[str]]  # image file -> its captions, in file order


def is_coco(document: Any) -> bool:
    """Returns whether the JSON follows COCO or Karpathy; True for [] to get their error."""
    if isinstance(document, dict):
        return "images" in document or "annotations" in document or not document
    return document == []


def read(path: Path, data: Any, notes: list[str]) -> dict[str, Captions]:
    """Returns captions by split; "" where the document has none. Raises ValueError.

    A note counts the captions that VizWiz marks `is_rejected`, which are left out.
    """
    rejected = 0
    try:
        if "annotations" not in data and any("sentences" in image for image in data["images"]):
            return _karpathy(data["images"])
        names: dict[Any, str] = {}
        split_of: dict[str, str] = {}
        for image in data["images"]:
            name = str(image["file_name"])
            split_of[name] = split_name(str(image.get("split") or ""))
            if names.setdefault(image["id"], name) != name:
                raise ValueError(
                    f"image id {image['id']!r} stands for both {names[image['id']]} and {name}"
                )
        by_split: dict[str, Captions] = {}
        for annotation in data["annotations"]:
            if annotation["image_id"] not in names:
                raise ValueError(f"no image has the id {annotation['image_id']!r} of a caption")
            if annotation.get("is_rejected") is True:
                rejected += 1
                continue
            name = names[annotation["image_id"]]
            _add(by_split.setdefault(split_of[name], {}), name, annotation["caption"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        detail = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
        hint = "; --labels reads the categories of objects" * coco_instances.is_instances(data)
        raise ValueError(
            f"{path} is not a COCO caption file (images with id and file_name, annotations with "
            f"image_id and caption; or Karpathy's images with split and sentences): {detail}{hint}"
        ) from None
    notes += [f"passed over: captions that are marked is_rejected: {rejected:,}"] * bool(rejected)
    return by_split


def _karpathy(images: list[dict]) -> dict[str, Captions]:
    """Returns captions by split of `dataset_coco.json`: train, restval, validation and test.

    Karpathy and Fei-Fei, "Deep Visual-Semantic Alignments", 2015, section 4; restval is the part of
    COCO's val2014 that most papers also train on.
    """
    by_split: dict[str, Captions] = {}
    split_of: dict[str, str] = {}
    for image in images:
        split = split_name(image["split"])
        captions = by_split.setdefault(split, {})
        folder = image.get("filepath")
        name = f"{folder}/{image['filename']}" if folder else str(image["filename"])
        if name in split_of:
            raise ValueError(f"{name} is there twice")
        split_of[name] = split
        for sentence in image["sentences"]:
            _add(captions, name, sentence["raw"])
    return by_split


def _add(captions: Captions, name: str, text: object) -> None:
    if not isinstance(text, str | None):
        raise ValueError(f"the caption of {name}: expected a text; got {text!r:.60}")
    captions.setdefault(name, []).append(" ".join((text or "").split()))
