"""Read all images once, and collect what the pixel checks need."""

import hashlib
import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from duet import cpu_cores
from pipelines.inspection import perceptual_hashes

if TYPE_CHECKING:
    from tfrecords import Example

SIDE = 512  # pixels of the longer side at which sharpness is measured, so that it compares

THUMBNAIL = 16

DRAFT = 64  # pixels that hashes and thumbnails need

_AHEAD = 256  # images in memory

UNMEASURED = (np.uint64(0), np.zeros((THUMBNAIL, THUMBNAIL, 3), np.uint8), 0.0, float("nan"))


@dataclass(frozen=True)
class Scan:
    """Images in stored order, split by split; rows belong together.

    Attributes:
        splits, files: of each image.
        places: int [n], in its split.
        ids: int64 [n], as `tfrecords.labels` has them.
        labels: class number, None without one, a tuple where there are several.
        digests: of the encoded bytes.
        hashes: uint64 [n], perceptual.
        thumbnails: uint8 [n, 16, 16, 3].
        sizes: int [n, 2], height and width.
        contrast: float [n], standard deviation of the grey values, 0 to 127.
        sharpness: float [n], variance of the Laplacian; NaN where it was not measured.
    """

    splits: list[str]
    files: list[str]
    places: np.ndarray
    ids: np.ndarray
    labels: list[int | tuple[int, ...] | None]
    digests: list[bytes]
    hashes: np.ndarray
    thumbnails: np.ndarray
    sizes: np.ndarray
    contrast: np.ndarray
    sharpness: np.ndarray

    def rows(self, split: str) -> np.ndarray:
        """Those of a split."""
        return np.flatnonzero(np.array(self.splits) == split)


def scan(data: str, splits: Iterable[str], *, sharp: bool = True, pixels: bool = True) -> Scan:
    """Read every image of some splits of a folder of records once.

    Args:
        data: the folder.
        splits: names.
        sharp: measure sharpness as well, for which large images are decoded larger.
        pixels: decode at all; without, `digests` are all that is known of an image.

    Raises ValueError for a damaged shard.
    """
    from tqdm import tqdm

    import tfrecords

    manifest = tfrecords.Manifest.read(data)
    names = list(splits)
    total = sum(manifest.split(name).count for name in names)
    found: list[tuple] = []
    look = partial(_row, sharp=sharp, pixels=pixels)
    with (
        tqdm(total=total, desc="looking", unit=" images", delay=2, leave=False) as bar,
        ThreadPoolExecutor(cpu_cores.usable()) as pool,
    ):
        for name in names:
            numbered = enumerate(tfrecords.examples(data, name))
            while some := [(name, *each) for each in islice(numbered, _AHEAD)]:
                found += pool.map(look, some)
                bar.update(len(some))
    return _columns(found)


def _row(image: tuple[str, int, "Example"], *, sharp: bool, pixels: bool) -> tuple:
    """What `Scan` has of one image, in its order, from its split, place and record."""
    split, place, example = image
    digest = hashlib.blake2b(example.image, digest_size=16).digest()
    own = (split, example.filename, place, example.id, example.label, digest)
    measured = _measured(example.image, sharp) if pixels else UNMEASURED
    return (*own, *measured[:2], (example.height, example.width), *measured[2:])


def _measured(encoded: bytes, sharp: bool) -> tuple[np.uint64, np.ndarray, float, float]:
    """Hash, thumbnail, contrast and sharpness of an image."""
    image: Image.Image = Image.open(io.BytesIO(encoded))
    side = SIDE if sharp else DRAFT
    image.draft("RGB", (side, side))  # a JPEG is decoded at a fraction of its size
    image = image.convert("RGB")
    small = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    grey = image.convert("L")
    contrast = float(np.asarray(grey, np.float32).std())
    sharpness = _sharpness(grey) if sharp else float("nan")
    return perceptual_hashes.perceptual_hash(grey), np.asarray(small), contrast, sharpness


def _sharpness(grey: Image.Image) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000), at `SIDE` pixels at most."""
    from scipy.ndimage import laplace

    grey = grey.copy()
    grey.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return float(laplace(np.asarray(grey, np.float32), mode="nearest").var())


def _columns(found: list[tuple]) -> Scan:
    splits, files, places, ids, labels, digests, hashed, small, sizes, contrast, sharp = zip(
        *found, strict=True
    )
    return Scan(
        splits=list(splits),
        files=list(files),
        places=np.array(places),
        ids=np.array(ids, np.int64),
        labels=list(labels),
        digests=list(digests),
        hashes=np.array(hashed, np.uint64),
        thumbnails=np.stack(small),
        sizes=np.array(sizes),
        contrast=np.array(contrast),
        sharpness=np.array(sharp),
    )
