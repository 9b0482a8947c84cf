"""CIFAR-10, CIFAR-100 and STL-10 in their binary versions: images as bytes in a few large files.

The Python versions are pickles, which can run any code: they are refused by name.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tfrecords.sources.base import File, FileSource, mixed
from tfrecords.sources.catalog import Dataset


@dataclass(frozen=True)
class BinaryLayout:
    """How the records of a set's files are made up.

    Attributes:
        folders: where the files are, under what was unpacked, in the order tried.
        splits: split -> files of images, each with the file of its labels ("" for labels that stand
            before each image).
        side: of an image in pixels; planes of red, green and blue follow each other.
        head: bytes before each image, the last of which is the label.
        by_column: whether a plane's pixels go down before they go across.
        first_label: number of the first class.
        pickles: folder of the version that is refused.
    """

    folders: tuple[str, ...]
    splits: dict[str, tuple[tuple[str, str], ...]]
    side: int
    head: int
    by_column: bool
    first_label: int
    pickles: str

    @property
    def size(self) -> int:
        """Bytes of a record."""
        return self.head + 3 * self.side**2


BINARY = {
    "cifar10": BinaryLayout(
        ("", "cifar-10-batches-bin"),
        {
            "train": tuple((f"data_batch_{i}.bin", "") for i in range(1, 6)),
            "test": (("test_batch.bin", ""),),
        },
        32,
        1,
        False,
        0,
        "cifar-10-batches-py",
    ),
    "cifar100": BinaryLayout(
        ("", "cifar-100-binary"),
        {"train": (("train.bin", ""),), "test": (("test.bin", ""),)},
        32,
        2,
        False,
        0,
        "cifar-100-python",
    ),
    "stl10": BinaryLayout(
        ("", "stl10_binary"),
        {"train": (("train_X.bin", "train_y.bin"),), "test": (("test_X.bin", "test_y.bin"),)},
        96,
        0,
        True,
        1,
        "",
    ),
}


@dataclass(frozen=True)
class BinarySource(FileSource):
    """A source whose images are records of a few files; each is given as a PNG.

    Args:
        layout: of these files.
        Others: see `FileSource`.
    """

    layout: BinaryLayout = field(default=BINARY["cifar10"])

    def load(self, name: str) -> bytes:
        path, _, index = name.removesuffix(".png").rpartition("/")
        how = self.layout
        with open(self.root / path, "rb") as file:
            file.seek(int(index) * how.size + how.head)
            planes = np.frombuffer(file.read(how.size - how.head), np.uint8)
        planes = planes.reshape(3, how.side, how.side)
        pixels = planes.transpose((2, 1, 0) if how.by_column else (1, 2, 0))
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
        return buffer.getvalue()


def binary_root(entry: Dataset, data: Path) -> Path | None:
    """The folder with a set's binary files; None if they are not there.

    ValueError where there is the version of pickles alone.
    """
    how = BINARY.get(entry.name)
    if how is None:
        return None
    mark = how.splits["train"][0][0]
    for folder in how.folders:
        if (data / folder / mark).is_file():
            return data / folder
    if how.pickles and (data.name == how.pickles or (data / how.pickles).is_dir()):
        raise ValueError(
            f"{data} holds {entry.name} as Python pickles ({how.pickles}), which can run any code "
            f"and are never read; unpack the binary version there ({how.folders[-1]})"
        )
    return None


def binary(entry: Dataset, root: Path, *, seed: int) -> BinarySource:
    """Read a set of `BINARY`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is not whole, or has labels that the set does not have.
    """
    how = BINARY[entry.name]
    files = {
        split: mixed(
            (file for pair in pairs for file in _files(root, *pair, entry=entry, how=how)),
            seed=seed,
        )
        for split, pairs in how.splits.items()
    }
    return BinarySource(
        name=entry.name,
        kind="binary",
        root=root,
        seed=seed,
        files=files,
        class_names=entry.class_names,
        templates=entry.templates,
        metric=entry.metric,
        lossless=True,
        layout=how,
    )


def _files(
    root: Path, images: str, labels: str, *, entry: Dataset, how: BinaryLayout
) -> list[File]:
    for name in filter(None, (images, labels)):
        if not (root / name).is_file():
            raise FileNotFoundError(f"{root} is not {entry.name} as published: {name} is missing")
    count, rest = divmod((root / images).stat().st_size, how.size)
    if rest or not count:
        raise ValueError(f"{root / images} is damaged: expected records of {how.size} bytes")
    if labels:
        numbers = np.fromfile(root / labels, np.uint8)
    else:
        numbers = np.memmap(root / images, np.uint8, "r").reshape(count, how.size)[:, how.head - 1]
    numbers = np.asarray(numbers, int) - how.first_label
    if len(numbers) != count or numbers.min() < 0 or numbers.max() >= entry.classes:
        raise ValueError(
            f"{root / (labels or images)} is damaged: expected {count:,} labels of "
            f"{entry.classes} classes"
        )
    return [File(f"{images}/{i:05d}.png", int(label)) for i, label in enumerate(numbers)]
