"""Choose the images per step when there may be fewer than requested."""


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


def batch_of(rows: int, *, most: int, devices: int) -> int:
    """Rows of a step: `most`, or all there are, in equal parts for every device.

    Raises:
        ValueError: fewer rows than devices.
    """
    size = min(rows, most) // devices * devices
    if not size:
        raise ValueError(f"--strategy: expected at most {rows} devices for {rows} images")
    return size
