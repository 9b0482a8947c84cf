"""Pixels of evaluation against transformers' image processors, on photographs of one's own.

    python tests/parity/pixels.py FOLDER

prints one line per reference: images, largest and mean difference in units of 1/255. Needs
transformers. The last lines show what the offset of the centre crop is worth: torchvision rounds
it half to even, which OpenAI's and OpenCLIP's own preprocessing follows; both backends of
transformers round it down, and so does `tfrecords`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import tfrecords

CLIP = {"image_size": 224, "resize": "crop", "interpolation": "bicubic"}
SIGLIP = {"image_size": 224, "resize": "squash", "interpolation": "bicubic"}
VIT = {"image_size": 224, "resize": "squash", "interpolation": "bilinear"}
SHORTEST_BILINEAR = {"image_size": 224, "resize": "crop", "interpolation": "bilinear"}
LARGEST, MEAN = 2, 0.02  # what is promised, in units of 1/255, against Pillow's pixels
TORCHVISION, MOVED = "torchvision's rule", "torchvision's rule, offset moved"

Reference = Callable[[Image.Image], np.ndarray]  # RGB to uint8 [size, size, 3]


def check(folder: str | Path, *, count: int = 60) -> dict[str, dict[str, float]]:
    """Compare pixels on photographs.

    Args:
        folder: searched for JPEG files, subfolders included.
        count: how many of them to take, spread evenly over their sorted names.

    Returns:
        By the name of the reference: `images`, `max` and `mean` of the absolute difference in
        units of 1/255, and `worst`, the largest mean over one image.

    Raises:
        ValueError: no JPEG files there.
    """
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    if not files:
        raise ValueError(f"{folder}: expected JPEG files; found none")
    files = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, count).astype(int))]
    compared = references()
    differences: dict[str, list[np.ndarray]] = {name: [] for name in (*compared, MOVED)}
    for file in files:
        image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        for name, (preprocessing, reference) in compared.items():
            if name == TORCHVISION and len(set(offsets(image.size, 224))) > 1:
                name = MOVED
            pixels = tfrecords.read_image(file, **preprocessing).astype(int)
            differences[name].append(np.abs(pixels - reference(image)))
    return {name: _figures(found) for name, found in differences.items() if found}


def references() -> dict[str, tuple[dict, Reference]]:
    """By name: the keywords of `read_image`, and what should come out."""
    from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil, ViTImageProcessorPil

    raw = {"do_rescale": False, "do_normalize": False}
    bilinear = {"resample": Image.Resampling.BILINEAR}
    return {
        "transformers CLIP": (CLIP, _processed(CLIPImageProcessorPil(**raw))),
        "transformers CLIP, bilinear": (
            SHORTEST_BILINEAR,
            _processed(CLIPImageProcessorPil(**raw, **bilinear)),
        ),
        "transformers SigLIP": (SIGLIP, _processed(SiglipImageProcessorPil(**raw))),
        "transformers ViT": (VIT, _processed(ViTImageProcessorPil(**raw))),
        TORCHVISION: (CLIP, torchvision_rule),
    }


def torchvision_rule(image: Image.Image, size: int = 224) -> np.ndarray:
    """CLIP's published preprocessing, written with Pillow alone."""
    short = min(image.size)
    width, height = (int(size * side / short) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - size) / 2.0), round((height - size) / 2.0)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def offsets(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Where the crop of the longer side begins: rounded down, and by torchvision's rule."""
    over = int(size * max(shape) / min(shape)) - size
    return over // 2, round(over / 2)


def _processed(processor: Callable) -> Reference:
    def reference(image: Image.Image) -> np.ndarray:
        return processor(image, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)

    return reference


def _figures(differences: list[np.ndarray]) -> dict[str, float]:
    means = [float(difference.mean()) for difference in differences]
    largest = max(float(difference.max()) for difference in differences)
    return {
        "images": len(means),
        "max": largest,
        "mean": float(np.mean(means)),
        "worst": max(means),
    }


def main() -> int:
    table = check(sys.argv[1])
    print(f"{'reference':34}{'images':>9}{'max':>7}{'mean':>10}{'worst':>10}")
    for name, row in table.items():
        print(f"{name:34}{row['images']:9}{row['max']:7.0f}{row['mean']:10.5f}{row['worst']:10.5f}")
    promised = [row for name, row in table.items() if name != MOVED]
    return int(any(row["max"] > LARGEST or row["mean"] > MEAN for row in promised))


if __name__ == "__main__":
    sys.exit(main())
