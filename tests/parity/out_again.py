"""Out again at real size: a random reference, loaded here, written again, loaded there.

    python tests/parity/out_again.py clip-vit-large-patch14 ...

Prints the largest difference between the reference and what `transformers` makes of the folder of
`save_pretrained`: of its outputs and of its weights. Needs the extra `parity`.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import reference
import torch
import transformers

import dual_encoder

TOLERANCE = 1e-5
SMALL = 2  # images, and texts


def compare(name: str) -> dict[str, float]:
    """The largest difference of each output, and of the weights."""
    row = dual_encoder.CHECKPOINTS[name]
    with tempfile.TemporaryDirectory() as parent:
        published, folder = Path(parent) / "published", Path(parent) / "again"
        published.mkdir()
        theirs = reference.build(name, published)
        dual_encoder.save_pretrained(dual_encoder.load(published), folder)
        config = transformers.AutoConfig.from_pretrained(folder)
        architecture = getattr(transformers, config.architectures[0])
        again = reference.Reference(architecture.from_pretrained(folder).eval(), row)
    found = {"weights": _of_weights(again.model, theirs.model)}
    if row.image_size is not None:
        shape = (SMALL, row.image_size, row.image_size, 3)
        pixels = np.random.default_rng(0).integers(256, size=shape, dtype="uint8")
        found["image"] = float(np.abs(again.images(pixels) - theirs.images(pixels)).max())
    if row.context_length is not None:
        ids = theirs.token_ids(SMALL)
        found["text"] = float(np.abs(again.texts(ids) - theirs.texts(ids)).max())
    return found


def _of_weights(ours: torch.nn.Module, theirs: torch.nn.Module) -> float:
    """Of two models whose weights have the same names."""
    left, right = ours.state_dict(), theirs.state_dict()
    assert left.keys() == right.keys(), sorted(left.keys() ^ right.keys())
    pairs = ((left[key].double(), right[key].double()) for key in left)
    return max(float((a - b).abs().max()) for a, b in pairs)


def main(names: list[str]) -> int:
    """Prints a line for each name; how many differ."""
    wrong = 0
    for name in names:
        found = compare(name)
        wrong += max(found.values()) > TOLERANCE
        print(name, *(f"{key} {value:.1e}" for key, value in found.items()), flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
