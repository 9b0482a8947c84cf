"""Every checkpoint of the table at its real size: the reference's outputs against ours.

    python tests/parity             # all rows
    python tests/parity NAME ...    # some
    python tests/parity NAME ... --precision mixed_float16
    KERAS_BACKEND=jax python tests/parity NAME ...

The reference library makes the model with random weights and writes it in its published layout;
`dual_encoder` loads the folder. Each row runs in a process of its own, which gives its memory back.
Needs the extra `parity`.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["DUET_CACHE"] = ""  # every model is read once
# Of embeddings; logits of half precision are compared by which is the largest.
TOLERANCES = {"float32": 1e-4, "mixed_bfloat16": 2e-2, "mixed_float16": 2e-2}
# Of learnt prompts before training: logits, and the gradient relative to its length (prompts.py).
PROMPTS = {"prompt": 1e-5, "gradient": 1e-4}
COLUMNS = ("image", "text", "logits", *PROMPTS)
COUNT = 2  # images, and texts


def compare(name: str, folder: Path, precision: str) -> dict:
    """Parameters and the largest differences of one row."""
    import keras
    import numpy as np
    import prompts
    import reference

    import dual_encoder
    from dual_encoder.checkpoints.catalog_row_check import contradictions

    keras.config.set_dtype_policy(precision)
    theirs = reference.build(name, folder)
    ours = dual_encoder.load(folder)
    row = dual_encoder.CHECKPOINTS[name]
    found = {"parameters": theirs.parameters, "contradictions": contradictions(ours, row)}
    images, texts = None, None
    if row.image_size is not None:
        shape = (COUNT, row.image_size, row.image_size, 3)
        pixels = np.random.default_rng(0).integers(256, size=shape, dtype="uint8")
        expected = theirs.images(pixels)
        encode = ours.encode_image if row.kind == "dual-encoder" else ours
        images = np.array(encode(pixels)), expected
    if row.context_length is not None:
        ids = theirs.token_ids(COUNT)
        expected = theirs.texts(ids)
        encode = ours.encode_text if row.kind == "dual-encoder" else ours
        texts = np.array(encode(ids)), expected
    for what, pair in (("image", images), ("text", texts)):
        if pair is not None:
            found[what] = float(np.abs(pair[0] - pair[1]).max())
            found[f"{what}_spread"] = float(pair[1].std())
    if images is not None and texts is not None:
        scale, bias = theirs.scale_and_bias
        expected = scale * images[1] @ texts[1].T + bias
        logits = np.array(ours.logit_scale) * images[0] @ texts[0].T
        logits += np.array(ours.logit_bias) if row.pooling == "last" else 0
        if precision == "float32":
            found["logits"] = float(np.abs(logits - expected).max())
        if precision == "float32" and keras.backend.backend() == "tensorflow":
            found |= prompts.compare(ours, theirs)
        found["finite"] = bool(np.isfinite(logits).all())
        found["same"] = bool((logits.argmax(1) == expected.argmax(1)).all())
    return found


def in_process(name: str, precision: str) -> dict:
    """`compare` in a process of its own, on a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--compare", name, "--folder", folder]
        command += ["--precision", precision]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def passed(found: dict, precision: str) -> bool:
    """Whether the row agrees with its reference."""
    differences = [found.get(key, 0.0) for key in ("image", "text", "logits")]
    return (
        "error" not in found
        and not found["contradictions"]
        and max(differences) <= TOLERANCES[precision]
        and all(found.get(key, 0.0) <= most for key, most in PROMPTS.items())
        and found.get("same", True)
        and found.get("finite", True)
    )


def line(name: str, found: dict, precision: str) -> str:
    """One row of the table."""
    if "error" in found:
        return f"{name:<36} {found['error']}"
    cells = [f"{found[key]:.1e}" if key in found else "-" for key in COLUMNS]
    verdict = "ok" if passed(found, precision) else "; ".join(["DIFFERS", *found["contradictions"]])
    return row_of(name, f"{found['parameters']:,}", *cells) + f" {verdict}"


def row_of(name: str, parameters: str, *cells: str) -> str:
    """Cells in columns."""
    return f"{name:<36} {parameters:>13} " + " ".join(f"{cell:>9}" for cell in cells)


def main(names: list[str], precision: str) -> int:
    """Prints the table; the number of rows that differ."""
    from dual_encoder.checkpoints import CHECKPOINTS

    published = [name for name, row in CHECKPOINTS.items() if row.repository]
    unknown = sorted(set(names) - set(published))
    if unknown:
        raise SystemExit(f"no checkpoint {unknown[0]!r}; expected {', '.join(published)}")
    print(row_of("largest difference in", "parameters", *COLUMNS))
    wrong = 0
    for name in names or published:
        found = in_process(name, precision)
        wrong += not passed(found, precision)
        print(line(name, found, precision), flush=True)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--precision", choices=TOLERANCES, default="float32")
    parser.add_argument("--compare", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compare:
        with contextlib.redirect_stdout(io.StringIO()):
            result = compare(arguments.compare, arguments.folder, arguments.precision)
        print(json.dumps(result))
    else:
        sys.exit(min(main(arguments.names, arguments.precision), 1))
