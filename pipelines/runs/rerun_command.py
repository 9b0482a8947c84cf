"""The command line that repeats a run."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

MODULE, SCRIPT = "python -m pipelines", "duet"

NEXT_LINE = " \\\n    "  # a long command, an option on each line


def program() -> str:
    """Returns how the program was started: `duet`, or `python -m pipelines`."""
    return SCRIPT if Path(sys.argv[0]).stem == SCRIPT else MODULE


def flag(name: str) -> str:
    """An option as it is typed: `--short-side` of `short_side`."""
    return f"--{name.replace('_', '-')}"


def no_bar() -> bool | None:
    """What tqdm takes as `disable`: a bar on a terminal alone, and none with `--quiet`."""
    return True if os.environ.get("TQDM_DISABLE") else None


def command_line(command: str, options: dict[str, Any], *, between: str = " ") -> str:
    """Returns the command that repeats the run: all options that are not null, shell-quoted.

    Args:
        between: stands before each option, such as `NEXT_LINE`.
    """
    parts = [["python", "-m", "pipelines", command]]
    for name, value in options.items():
        if isinstance(value, bool):
            parts.append([flag(name if value else f"no_{name}")])
        elif value is not None:
            values = value if isinstance(value, (list, tuple)) else [value]
            parts.append([flag(name), *map(str, values)])
    return between.join(map(shlex.join, parts))
