"""Small pictures for reports."""

import io

import numpy as np
from PIL import Image


def pixels(encoded: bytes, *, side: int = 160) -> np.ndarray:
    """A picture's bytes to pixels uint8 [h, w, 3], at most `side` high and wide."""
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


def jpeg(picture: np.ndarray, *, side: int = 144) -> bytes:
    """Pixels uint8 [h, w, 3] to a small JPEG's bytes."""
    buffer, image = io.BytesIO(), Image.fromarray(picture)
    image.thumbnail((side, side))
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
