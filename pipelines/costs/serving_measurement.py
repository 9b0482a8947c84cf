"""Serving costs: size on disk, latency and throughput, measured in a fresh process."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROBE = Path(__file__).with_name("serving_benchmark_script.py")


def bytes_on_disk(path: str | Path) -> int:
    """Returns the size of a file, or of all files in a folder, recursively.

    Raises:
        FileNotFoundError: it does not exist.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file and no folder {path}")
    found = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in found if each.is_file())


def serving(
    folder: str | Path,
    images: Sequence[bytes],
    *,
    batch_sizes: Sequence[int] = (1, 32),
    seconds: float = 5.0,
) -> dict[str, Any]:
    """Measures the speed of an exported SavedModel on image files, in a separate process.

    Args:
        folder: the SavedModel.
        images: JPEG or PNG files, cycled through.
        batch_sizes: images per request.
        seconds: measuring time per batch size, after three warm-up requests; at least five
            requests are measured, fewer if that takes ten times as long.

    Returns:
        `load_seconds`; `peak_rss_bytes` of the process, TensorFlow included; `batches`, for each
        size (as text) `images_per_second`, `latency_p50_ms`, `latency_p95_ms`, `requests`, and
        without a GPU `processors`, how many it had on average.

    Raises:
        ValueError: no images.
        FileNotFoundError: no such SavedModel.
        RuntimeError: the process failed; includes its last lines of output.
    """
    if not images:
        raise ValueError("images: expected one or more files; got none")
    if not (Path(folder) / "saved_model.pb").is_file():
        raise FileNotFoundError(f"no SavedModel in {folder}")
    lengths = [len(image) for image in images]
    about = {"folder": str(Path(folder).resolve()), "lengths": lengths, "seconds": seconds}
    given = json.dumps({**about, "batch_sizes": list(batch_sizes)}).encode() + b"\n"
    result = subprocess.run(
        [sys.executable, "-I", str(PROBE)], input=given + b"".join(images), capture_output=True
    )
    if result.returncode:
        said = result.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise RuntimeError(f"{folder} could not be served: {' '.join(said) or 'no reason given'}")
    return json.loads(result.stdout.splitlines()[-1])
