"""Find blank, tiny and blurred images, and odd aspect ratios."""

import numpy as np

from pipelines.inspection.scan import Scan
from pipelines.inspection.suspects_table import Suspect

BLANK = 3.0  # standard deviation of the grey values, of 255

TINY = 32  # pixels of the shorter side

LONG = 3.0  # longer side over the shorter one

BLURRED = 4.0  # robust deviations below the median of the logarithm of the sharpness

SHARP = 100.0  # variance of the Laplacian from which on no image is called blurred

ENOUGH = 20  # images that are needed to say what is usual


def spoilt(scan: Scan) -> list[Suspect]:
    """The findings in the pixels of single images."""
    found = []
    blank = is_blank(scan)
    for row in np.flatnonzero(blank).tolist():
        why = f"grey values vary by {scan.contrast[row]:.1f} of 255"
        found.append(Suspect(row, "blank", 1 - scan.contrast[row] / 255, why))
    for row, (height, width) in enumerate(scan.sizes.tolist()):
        short, long = sorted((height, width))
        if short < TINY:
            why = f"{width} x {height} pixels"
            found.append(Suspect(row, "tiny", 1 - short / TINY, why))
        if long > LONG * short:
            why = f"{width} x {height} pixels, {long / short:.1f} to 1"
            found.append(Suspect(row, "odd-shape", long / short, why))
    for row, deviations in blurred(scan.sharpness, among=~blank):
        usual = np.median(scan.sharpness[~blank])
        why = f"sharpness {scan.sharpness[row]:.1f}, usual here {usual:.0f}"
        found.append(Suspect(row, "blurred", deviations, why))
    return found


def is_blank(scan: Scan) -> np.ndarray:
    """Which images show next to nothing: bool [n]."""
    return scan.contrast < BLANK


def blurred(sharpness: np.ndarray, *, among: np.ndarray) -> list[tuple[int, float]]:
    """Rows far less sharp than usual, and by how many robust deviations.

    What is sharp depends on the images (a drawing, a night sky), so the median of the set decides,
    with the median absolute deviation as the measure of spread; `SHARP` is a bound for both.

    Args:
        sharpness: float [n]; among: bool [n], the images that count.
    """
    if among.sum() < ENOUGH:
        return []
    logarithms = np.log(sharpness + 1e-3)
    middle = np.median(logarithms[among])
    spread = 1.4826 * np.median(np.abs(logarithms[among] - middle))
    below = (middle - logarithms) / max(spread, 0.1)
    rows = np.flatnonzero(among & (below > BLURRED) & (sharpness < SHARP))
    return [(int(row), float(below[row])) for row in rows]
