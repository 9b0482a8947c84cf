"""A TIFF with each channel by itself, which Pillow reads but does not write."""

import struct

import numpy as np


def in_planes(pixels, *, bits, kind=2):
    """The file of pixels uint8 [h, w, n], not compressed, of 8 or 16 bits per channel.

    kind: PhotometricInterpretation, which is RGB, 0 where white is 0, or 1 where black is.
    """
    high, wide, channels = pixels.shape
    values = pixels.astype("<u2") * 257 if bits == 16 else pixels
    planes = [plane.tobytes() for plane in np.moveaxis(values, 2, 0)]
    head = 8 + 2 + 11 * 12 + 4  # of the file, the count of tags, the tags, and no further image
    first = head + {1: 0, 2: 8 * 2, 3: 6 + 12 * 2}[channels]  # after what does not fit into tags
    tags = {
        256: [wide], 257: [high], 258: [bits] * channels, 259: [1], 262: [kind],
        273: [first + i * len(planes[0]) for i in range(channels)], 277: [channels],
        278: [high], 279: [len(plane) for plane in planes], 284: [2], 338: [2],
    }  # fmt: skip
    if channels != 2:
        tags[305] = tags.pop(338)  # no transparency; a tag without effect in its place
    entries, arrays = b"", b""
    for tag, numbers in tags.items():
        size, code = (4, "I") if tag in (273, 279) else (3, "H")
        packed = struct.pack(f"<{len(numbers)}{code}", *numbers)
        if len(packed) > 4:
            arrays, packed = arrays + packed, struct.pack("<I", head + len(arrays))
        entries += struct.pack("<HHI4s", tag, size, len(numbers), packed)
    return (
        b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + arrays + b"".join(planes)
    )
