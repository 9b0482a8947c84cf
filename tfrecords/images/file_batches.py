"""Read image files in batches, with the same preprocessing as in evaluation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from duet import cpu_cores
from tfrecords.images.graph_ops import file_to_square
from tfrecords.images.reencoding import UnreadableError
from tfrecords.preprocessing import Preprocessing

_AHEAD = 3  # prefetched batches


class ImageBatch(NamedTuple):
    """`images` uint8 [b, s, s, 3] of the b readable `names`; `unreadable`: (name, reason) pairs."""

    names: list[str]
    images: np.ndarray
    unreadable: list[tuple[str, str]]


def read_images(
    images: Iterable[tuple[str, Callable[[], bytes]]],
    *,
    batch_size: int,
    first_frame: bool = False,
    max_pixels: int | None = None,
    **preprocessing: Any,
) -> Iterator[ImageBatch]:
    """Read images as `read_image` does, in background threads, batch by batch.

    Args:
        images: pairs of a name and a function that returns the bytes of its file.
        batch_size: images per batch, unreadable ones included.
        first_frame, max_pixels: see `reencoding.normalise`.
        preprocessing: see `Preprocessing`.

    An image that cannot be read is listed in `unreadable` with the reason.
    """
    options = Preprocessing(**preprocessing)
    square = file_to_square(options, first_frame=first_frame, max_pixels=max_pixels, traced=True)

    def read(name: str, load: Callable[[], bytes]) -> tuple[str, np.ndarray | str]:
        try:
            return name, square(load())
        except UnreadableError as error:
            return name, str(error)
        except (OSError, ValueError) as error:
            return name, f"cannot be read: {getattr(error, 'strerror', None) or error}"

    with ThreadPoolExecutor(cpu_cores.usable()) as pool:
        ahead = (pool.submit(read, *job) for job in images)
        waiting: deque[Future] = deque(islice(ahead, _AHEAD * batch_size))
        try:
            while waiting:
                first = [waiting.popleft() for _ in range(min(batch_size, len(waiting)))]
                waiting.extend(islice(ahead, batch_size))
                yield _batch([future.result() for future in first], size=options.image_size)
        finally:
            pool.shutdown(cancel_futures=True)


def _batch(read: list[tuple[str, np.ndarray | str]], *, size: int) -> ImageBatch:
    good = [(name, found) for name, found in read if not isinstance(found, str)]
    bad = [(name, found) for name, found in read if isinstance(found, str)]
    images = np.empty((len(good), size, size, 3), np.uint8)
    for image, (_, pixels) in zip(images, good, strict=True):
        image[:] = pixels
    return ImageBatch([name for name, _ in good], images, bad)
