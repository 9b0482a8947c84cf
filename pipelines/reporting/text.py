"""Numbers as text: percentages, intervals, words that stay together."""

DASH = "\u2013"  # an en dash


def percent(fraction: float | None) -> str:
    """0.824 as "82.4 %"; nothing known as a dash."""
    return DASH if fraction is None else f"{100 * fraction:.1f} %"


def interval(ends: list[float] | None) -> str:
    """[0.807, 0.84] as "80.7" and "84.0" with a dash between; no interval as nothing."""
    return "" if not ends else DASH.join(f"{100 * end:.1f}" for end in ends)


def tie(text: str) -> str:
    """The text with numbers and their per cent signs, and intervals, kept on one line."""
    return text.replace(" %", "\u00a0%").replace(DASH, f"\u2060{DASH}\u2060")
