"""Find files by a pattern, in folders whose names look like patterns themselves."""

import glob
from pathlib import Path


def matching(pattern: str) -> list[str]:
    """Returns the paths that match a pattern with `*`, `?`, `[...]` or `**`, sorted.

    Folders at its beginning that are there by these very names are no pattern: `data [v2]/*.jpg`.
    A name without a pattern, or of something that is there, is returned as it is.
    """
    if not glob.has_magic(pattern):
        return [pattern]
    there, rest = Path(), list(Path(pattern).parts)
    while rest and (there / rest[0]).exists():
        there /= rest.pop(0)
    if not rest:
        return [pattern]
    return sorted(glob.glob(str(Path(glob.escape(str(there)), *rest)), recursive=True))
