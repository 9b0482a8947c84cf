"""Records of drawn images with things that are wrong with them, and their scan."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from tfrecords.schema import RawExample

CLASSES = ("cat", "dog")


def smooth(seed, size=(96, 80)):
    """A random image with edges, unlike that of any other seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def jpeg(image, quality=60):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


@dataclass(frozen=True)
class Drawn:
    """A source of given images: split -> (name, bytes, label)."""

    images: dict

    name = "drawn"
    class_names = CLASSES
    templates = ()
    metric = "top1"
    lossless = True
    multi_label = False

    @property
    def splits(self):
        return {split: len(images) for split, images in self.images.items()}

    def describe(self):
        return {"kind": "drawn"}

    def read(self, split, start, stop):
        for name, data, label in self.images[split][start:stop]:
            yield RawExample(name, Bytes(data), label)


@dataclass(frozen=True)
class Bytes:
    data: bytes

    def __call__(self):
        return self.data


def planted():
    """24 + 3 images: a copy, an encoded copy and a doubly labelled one across splits, and so on."""
    train = [(f"train/{i}.png", png(smooth(i)), i % 2) for i in range(20)]
    train += [
        ("train/copy.png", png(smooth(100)), 0),  # of test/0
        ("train/again.jpg", jpeg(smooth(101).resize((72, 60))), 0),  # of test/1, labelled 1
        ("train/twice.png", png(smooth(3)), 1),
        ("train/blank.png", png(Image.new("RGB", (80, 80), (200, 10, 10))), 0),
        ("train/tiny.png", png(smooth(50, (24, 20))), 0),
        ("train/long.png", png(smooth(51, (400, 100))), 1),
        ("train/soft.png", png(smooth(52).filter(ImageFilter.GaussianBlur(12))), 1),
    ]
    test = [(f"test/{i}.png", png(smooth(100 + i)), i % 2) for i in range(3)]
    return {"train": train, "test": test}
