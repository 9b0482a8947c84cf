"""Draw Matplotlib figures as PNG, without pyplot's global state or a display."""

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Colours of a page in daylight; a dark page inverts them (`templates/style.css`).
PAPER, INK, MUTED, ACCENT = "#ffffff", "#1b2430", "#69758a", "#1f6feb"

#: Where a legend stands: right of the lines, however many there are.
BESIDE: dict[str, Any] = {
    "frameon": False,
    "fontsize": 8,
    "loc": "upper left",
    "bbox_to_anchor": (1, 1),
}

LONGEST = 28  # characters of a name

DPI = 144  # pixels per inch; a page shows 1.5 of them in the space of one


def shorten(name: str) -> str:
    """Truncates a name with an ellipsis to `LONGEST` characters."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1].rstrip() + "…"


def png(draw: Callable[["Figure"], None], *, size: tuple[float, float]) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "axes.edgecolor": MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.labelcolor": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "text.color": INK,
        "text.parse_math": False,  # class names may contain "$", as "$5 or $10"
        "font.size": 10,
    }
    buffer = io.BytesIO()
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # Scripts missing from the font are drawn as boxes; the page also lists names as text.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=size, dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        # "tight" would draw the whole figure once more to find the same bounds.
        bounds = figure.get_tightbbox(canvas.get_renderer()).padded(0.15)
        figure.savefig(buffer, format="png", bbox_inches=bounds)
    return buffer.getvalue()


def colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("share", [PAPER, ACCENT])


def root() -> Any:
    from matplotlib.colors import PowerNorm

    return PowerNorm(gamma=0.4, vmin=0, vmax=1)
