"""A TIFF with each channel by itself, which Pillow reads but does not write."""

import struct

import numpy as np


def in_planes(pixels, *, bits):
    """The file of pixels uint8 [h, w, 3], not compressed, of 8 or 16 bits per channel."""
    high, wide = pixels.shape[:2]
    values = pixels.astype("<u2") * 257 if bits == 16 else pixels
    planes = [plane.tobytes() for plane in np.moveaxis(values, 2, 0)]
    head = 8 + 2 + 10 * 12 + 4  # of the file, the count of tags, the tags, and no further image
    starts = [head + 6 + 2 * 12 + i * len(planes[0]) for i in range(3)]
    tags = {
        256: [wide], 257: [high], 258: [bits] * 3, 259: [1], 262: [2], 273: starts, 277: [3],
        278: [high], 279: [len(plane) for plane in planes], 284: [2],
    }  # fmt: skip
    entries, arrays = b"", b""
    for tag, numbers in tags.items():
        kind, code = (4, "I") if tag in (273, 279) else (3, "H")
        packed = struct.pack(f"<{len(numbers)}{code}", *numbers)
        if len(packed) > 4:
            arrays, packed = arrays + packed, struct.pack("<I", head + len(arrays))
        entries += struct.pack("<HHI4s", tag, kind, len(numbers), packed)
    return (
        b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + arrays + b"".join(planes)
    )
