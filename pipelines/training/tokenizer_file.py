"""The tokenizer that a run learns from its captions, and its file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from duet import atomic_files, json_validation

if TYPE_CHECKING:
    from dual_encoder import Tokenizer


TABLE = {
    "json": str,
    "context_length": json_validation.up_to(1 << 20),
    "pad_id": json_validation.COUNT,
    "end_id": json_validation.COUNT,
    "cleaning": str,
    "pad_to_context": bool,
    "*": json_validation.NO_OTHERS,
}


def read_tokenizer(path: Path) -> "Tokenizer | None":
    """The one that `write_tokenizer` kept, so that a resumed run has the same; None without."""
    import dual_encoder

    if not path.is_file():
        return None
    return dual_encoder.Tokenizer.from_config(json_validation.read(path, TABLE))


def write_tokenizer(tokenizer: "Tokenizer", path: Path) -> None:
    """Keep it; never half a file."""

    atomic_files.write(path, json.dumps(tokenizer.get_config()))
