"""Choose the images per step when there may be fewer than requested."""

from typing import Any


def fitting(
    size: int, micro: int | None, *, images: int, devices: int = 1
) -> tuple[int, int | None]:
    """Images of a step, and of a piece of it on each device: as asked for, or all there are.

    In the latter case of whole pieces, and without pieces where not even one can be filled.

    Args:
        size: images of a step; micro: of a piece, None or 0 for all at once.
        images: all there are.
        devices: that divide a step.

    Raises:
        ValueError: fewer images than devices.
    """
    if size <= images:
        return size, micro
    unit = (micro or 1) * devices
    if images < unit:
        unit, micro = devices, None
    if images < unit:
        raise ValueError(f"--strategy: expected at most {images} devices; got {devices}")
    return images // unit * unit, micro


def unasked(options: Any, *, images: int, steps: bool = True) -> int:
    """Images of a step: as asked for; where nobody asked, no more than there are, which is said.

    Args:
        options: of `train` or `finetune`, on one device; those of several are left as they are.
        images: all there are.
        steps: whether it learns in steps at all; else nothing is said.
    """
    default = type(options).batch_size
    fits = images >= default or images < (options.micro_batch or 1)
    if options.batch_size != default or fits or options.strategy != "one":
        return options.batch_size
    size, _ = fitting(default, options.micro_batch, images=images)
    if steps:
        print(said(size, default))
    return size


def said(size: int, asked: int) -> str:
    """That steps are smaller than was asked for."""
    return f"Batches are of {size} images, not of {asked}: there are no more to train on."


def batch_of(rows: int, *, most: int, devices: int) -> int:
    """Rows of a step: `most`, or all there are, in equal parts for every device.

    Raises:
        ValueError: fewer rows than devices.
    """
    size = min(rows, most) // devices * devices
    if not size:
        raise ValueError(f"--strategy: expected at most {rows} devices for {rows} images")
    return size
