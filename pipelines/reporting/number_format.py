"""Format numbers as text: percentages, intervals, non-breaking spaces."""

DASH = "\u2013"  # an en dash


def percent(fraction: float | None) -> str:
    """Formats 0.824 as "82.4 %", and None as a dash."""
    return DASH if fraction is None else f"{100 * fraction:.1f} %"


def interval(ends: list[float] | None) -> str:
    """Formats [0.807, 0.84] as "80.7" and "84.0" with a dash between; None as ""."""
    return "" if not ends else DASH.join(f"{100 * end:.1f}" for end in ends)


def gibibytes(size: float) -> str:
    """Formats 1288490189 as "1.2 GiB"."""
    return f"{size / 2**30:.1f} GiB"


def tie(text: str) -> str:
    """Prevents line breaks within percentages and intervals."""
    return text.replace(" %", "\u00a0%").replace(DASH, f"\u2060{DASH}\u2060")
