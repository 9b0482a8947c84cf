"""The tokenizer that a run learns from its captions, and its file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from duet import documents, files

if TYPE_CHECKING:
    from dual_encoder import Tokenizer


TABLE = {
    "json": str,
    "context_length": documents.up_to(1 << 20),
    "pad_id": documents.COUNT,
    "end_id": documents.COUNT,
    "cleaning": str,
    "pad_to_context": bool,
    "*": documents.NO_OTHERS,
}


def read_tokenizer(path: Path) -> "Tokenizer | None":
    """The one that `write_tokenizer` kept, so that a resumed run has the same; None without."""
    import dual_encoder

    if not path.is_file():
        return None
    return dual_encoder.Tokenizer.from_config(documents.read(path, TABLE))


def write_tokenizer(tokenizer: "Tokenizer", path: Path) -> None:
    """Keep it; never half a file."""

    files.write(path, json.dumps(tokenizer.get_config()))
