"""Sources of a few made-up images, and records of them."""

import io
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from tfrecords import reader, writer
from tfrecords.schema import RawExample

COUNTS = {"train": 23, "test": 7}


def encoded(index: int, kind: str = "jpeg") -> bytes:
    """A small image whose colours tell which it is."""
    rng = np.random.default_rng(index)
    tiles = rng.integers(0, 255, (3, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(tiles).resize((40 + index, 36), Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


@dataclass(frozen=True)
class TinySource:
    """A source of a few small images, with labels, with captions or with both."""

    labels: bool = True
    captions: int = 0
    kind: str = "jpeg"

    name = "tiny"
    class_names = ("ant", "bee", "cat")
    templates = ("a {}.",)
    metric = "top1"
    lossless = False
    splits = COUNTS

    def describe(self):
        return {"kind": "tiny"}

    def read(self, split, start, stop):
        for i in range(start, stop):
            label = i % 3 if self.labels else None
            captions = tuple(f"{i} {j}" for j in range(self.captions))
            load = partial(encoded, i, self.kind)
            yield RawExample(f"{split}/{i}.{self.kind}", load, label, captions)


def write(directory, source=TinySource()):
    writer.write(source, directory, shard_size=5, workers=1, progress=False)
    return directory


class Numbers:
    """A tokenizer for captions that are numbers."""

    context_length = 4

    def __call__(self, texts, length):
        rows = [[int(word) + 1 for word in text.split()][:length] for text in texts]
        return np.array([row + [0] * (length - len(row)) for row in rows], np.int32)


def load(directory, split="train", **options):
    options = {"batch_size": 8, "image_size": 16, **options}
    return reader.load(directory, split, **options)
