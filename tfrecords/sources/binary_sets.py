"""Read CIFAR-10, CIFAR-100 and STL-10 in their binary versions, a few large files of pixels.

The Python versions are pickles, which can run any code, and are refused.
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
    """The record format of a data set's binary files.

    Attributes:
        folders: of the files, relative to the unpacked archive, in the order tried.
        splits: split -> image files, each with its label file ("" if each image is preceded by
            its label).
        side: image side in pixels; a red, a green and a blue plane per image.
        head: bytes before each image, the last of which is the label.
        by_column: whether planes are stored column by column.
        first_label: label of the first class.
        pickles: folder of the refused Python version.
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
        """Bytes per record."""
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
    """A source whose images are records in binary files; each is returned as a PNG.

    Args:
        layout: of the files.
        Others: see `FileSource`.
    """

    layout: BinaryLayout = field(default=BINARY["cifar10"])

    def load(self, name: str) -> bytes:
        path, _, index = name.removesuffix(".png").rpartition("/")
        layout = self.layout
        with open(self.root / path, "rb") as file:
            file.seek(int(index) * layout.size + layout.head)
            planes = np.frombuffer(file.read(layout.size - layout.head), np.uint8)
        planes = planes.reshape(3, layout.side, layout.side)
        pixels = planes.transpose((2, 1, 0) if layout.by_column else (1, 2, 0))
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
        return buffer.getvalue()


def binary_root(entry: Dataset, data: Path) -> Path | None:
    """Returns the folder of a data set's binary files; None if there are none.

    Raises ValueError if there is only the pickled version.
    """
    layout = BINARY.get(entry.name)
    if layout is None:
        return None
    mark = layout.splits["train"][0][0]
    for folder in layout.folders:
        if (data / folder / mark).is_file():
            return data / folder
    if layout.pickles and (data.name == layout.pickles or (data / layout.pickles).is_dir()):
        raise ValueError(
            f"{data} holds {entry.name} as Python pickles ({layout.pickles}), which can run any "
            f"code and are never read; unpack the binary version there ({layout.folders[-1]})"
        )
    return None


def binary(entry: Dataset, root: Path, *, seed: int) -> BinarySource:
    """Read a data set of `BINARY`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is incomplete, or has invalid labels.
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
