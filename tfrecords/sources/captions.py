"""Captioned images: CSV with `file` and `caption`, or JSON, COCO's or Karpathy's."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from tfrecords.sources.base import (
    SPLIT_NAMES,
    SPLITS,
    File,
    FileSource,
    few,
    mixed,
    require_files,
    split_by_seed,
    split_name,
)

# A split's name standing alone or before a year, as in captions_val2017.json.
_SPLIT_WORD = re.compile(rf"(?<![a-z])({'|'.join(SPLIT_NAMES)})(?![a-z])")

Captions = dict[str, list[str]]  # image file -> its captions, in the order of the file


def captions(
    path: str | Path, *, images: str | Path | None = None, seed: int, name: str = ""
) -> FileSource:
    """Read a caption file, or a folder of `captions_*.json` / `captions_*.csv`, one per split.

    A CSV has columns `file` and `caption`, one row per caption; a column `split` says which
    split the image belongs to, other columns are not used. A JSON is laid out as COCO's:
    `images` with `id` and `file_name`, `annotations` with `image_id` and `caption`; images
    without a caption are left out; or as Karpathy's `dataset_coco.json`: `images` with `filepath`,
    `filename`, `split` and `sentences`, each with its text as `raw`. A file whose name says train,
    val or test is that split; other files without splits are split by seed.

    Args:
        path: the file or folder.
        images: where the images are; by default beside the caption file. COCO's habit of one
            image folder per split (`captions_val2017.json` -> `val2017/`) is understood.
        seed: mixes, and splits what comes unsplit.

    Raises:
        FileNotFoundError: no such file, or images it names are missing.
        ValueError: it is malformed, or holds no captions.
    """
    path = Path(path)
    root = Path(images) if images is not None else _default_root(path)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected the images in it")
    files: dict[str, list[File]] = {}
    for file in _caption_files(path):
        for split, listed in _read(file, root, seed=seed).items():
            if split in files:
                raise ValueError(
                    f"{path}: several files hold split {split}, {file.name} among them"
                )
            files[split] = listed
    order = [*SPLITS, *files]
    return FileSource(
        name=name or path.resolve().stem,
        kind="captions",
        root=root,
        seed=seed,
        files={split: files[split] for split in dict.fromkeys(order) if split in files},
        metric="recall",
    )


def _caption_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(p for p in path.glob("captions_*") if p.suffix in (".json", ".csv"))
    if not found:
        raise FileNotFoundError(
            f"{path} is neither a caption file nor a folder with captions_*.json or captions_*.csv"
        )
    return found


def _default_root(path: Path) -> Path:
    """Beside the caption file, or beside COCO's folder `annotations`."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name == "annotations" else folder


def _read(path: Path, root: Path, *, seed: int) -> dict[str, list[File]]:
    """The images of one caption file by split, mixed, each proved to exist."""
    by_split = _read_json(path) if path.suffix == ".json" else _read_csv(path)
    if not any(by_split.values()):
        raise ValueError(f"{path} holds no captions")
    named = _SPLIT_WORD.search(path.stem.lower())
    if "" in by_split and named:
        by_split[SPLIT_NAMES[named.group()]] = by_split.pop("")
    folder = _image_folder(path, root, next(name for group in by_split.values() for name in group))
    files = {
        split: [File(folder + name, None, tuple(texts)) for name, texts in group.items()]
        for split, group in by_split.items()
    }
    require_files(
        root, (file.name for group in files.values() for file in group), listed_in=str(path)
    )
    if "" in files:
        return split_by_seed(files[""], seed=seed)
    return {split: mixed(group, seed=seed) for split, group in files.items()}


def _image_folder(path: Path, root: Path, first: str) -> str:
    """`val2017/` if the images of `captions_val2017.json` are in a folder of that name."""
    folder = path.stem.removeprefix("captions_")
    return f"{folder}/" if (root / folder / first).is_file() else ""


def _read_csv(path: Path) -> dict[str, Captions]:
    """Captions by split; "" where the file does not say."""
    by_split: dict[str, Captions] = {}
    split_of: dict[str, str] = {}
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True)
        columns = rows.fieldnames or []
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}") from None
    if not {"file", "caption"} <= set(columns):
        raise ValueError(
            f"{path}: expected columns file and caption in the first line, got {few(columns)}"
        )
    try:
        for row in rows:
            name, text = row["file"], (row["caption"] or "").strip()
            split = split_name(row.get("split") or "")
            if not name or not text:
                raise ValueError("expected a file and a caption")
            if split_of.setdefault(name, split) != split:
                raise ValueError(f"{name} is in two splits: {split_of[name]} and {split}")
            by_split.setdefault(split, {}).setdefault(name, []).append(text)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path}, line {rows.line_num}: {error}") from None
    if "" in by_split and len(by_split) > 1:
        raise ValueError(f"{path}: some rows name a split and {len(by_split[''])} images do not")
    return by_split


def _read_json(path: Path) -> dict[str, Captions]:
    """Captions by split; "" where the file does not say."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if "annotations" not in data and any("sentences" in image for image in data["images"]):
            return _karpathy(data["images"])
        names = {image["id"]: str(image["file_name"]) for image in data["images"]}
        captions: Captions = {}
        for annotation in data["annotations"]:
            _add(captions, names[annotation["image_id"]], annotation["caption"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        detail = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{path} is not a COCO caption file (images with id and file_name, annotations with "
            f"image_id and caption; or Karpathy's images with split and sentences): {detail}"
        ) from None
    return {"": captions}


def _karpathy(images: list[dict]) -> dict[str, Captions]:
    """Captions by split as `dataset_coco.json` has them: train, restval, validation and test.

    Karpathy and Fei-Fei, "Deep Visual-Semantic Alignments", 2015, section 4; restval is the part of
    COCO's val2014 that most papers train on as well.
    """
    by_split: dict[str, Captions] = {}
    for image in images:
        captions = by_split.setdefault(split_name(image["split"]), {})
        folder = image.get("filepath")
        name = f"{folder}/{image['filename']}" if folder else str(image["filename"])
        for sentence in image["sentences"]:
            _add(captions, name, sentence["raw"])
    return by_split


def _add(captions: Captions, name: str, text: str) -> None:
    text = " ".join(text.split())
    if text:
        captions.setdefault(name, []).append(text)
