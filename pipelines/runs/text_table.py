"""Text tables for a terminal."""

from collections.abc import Collection, Sequence


def aligned(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Returns a line per row, its cells in columns two spaces apart.

    Width is what a terminal shows: a Chinese character takes two places, an accent none.

    Args:
        rows: cells; a row with fewer than the others has no columns behind its first cell.
        right: places of the columns that are aligned to the right, from 0.
    """
    from rich.cells import cell_len

    count = max(map(len, rows))
    whole = [row for row in rows if len(row) == count]
    widths = [max(cell_len(row[place]) for row in whole) for place in range(count)]
    widths[0] = max(cell_len(row[0]) for row in rows)
    lines = []
    for row in rows:
        cells = []
        for place, (cell, width) in enumerate(zip(row, widths, strict=False)):
            space = " " * (width - cell_len(cell) if place == 0 or len(row) == count else 0)
            cells.append(space + cell if place in right else cell + space)
        lines.append("  ".join(cells).rstrip())
    return lines
