"""The tokenizer that a run learns from its captions, and its file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from duet import files

if TYPE_CHECKING:
    from dual_encoder import Tokenizer


def read_tokenizer(path: Path) -> "Tokenizer | None":
    """The one that `write_tokenizer` kept, so that a resumed run has the same; None without."""
    import dual_encoder

    if not path.is_file():
        return None
    return dual_encoder.Tokenizer.from_config(json.loads(path.read_text(encoding="utf-8")))


def write_tokenizer(tokenizer: "Tokenizer", path: Path) -> None:
    """Keep it; never half a file."""

    files.write(path, json.dumps(tokenizer.get_config()))
