"""What a way of adapting a model costs: to train, to keep, to run.

Figures are measured: seconds and memory by running, FLOPs by TensorFlow's profiler on the graph
that serves one picture, cross-checked by a count from the shapes of layers (`flops.counted`).
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LEVELS = ("Low", "Medium", "High")
LOW, HIGH = 0.1, 2.0  # shares of the reference, see `level`
PROBE = Path(__file__).with_name("serving_probe.py")


@dataclass(frozen=True)
class Training:
    """What it took to get a model from a pretrained one.

    Attributes:
        device_seconds: seconds of one run times its devices; 0 where nothing is trained.
        peak_bytes: the most memory that training held on one device.
        settings: how many settings of hyperparameters had to be tried, 1 for the usual ones.
    """

    device_seconds: float
    peak_bytes: float
    settings: int = 1


def level(training: Training, reference: Training) -> str:
    """Low, Medium or High, as Table 5 of the Food-101 study has it.

    The study gives no figures; its reasons (section 3.3) are that zero-shot CLIP needs no
    training, and that fine-tuning CLIP takes more computing than fine-tuning ViT and
    hyperparameters that have to be tried. The rule here says the same of measured figures, as
    shares of what plain fine-tuning of a supervised ViT takes on the same pictures and device:

    - Low: device-seconds, times the settings tried, are at most a tenth;
    - High: they are more than twice as many, or training holds more than twice the memory;
    - Medium: what is between.

    With the sizes of the study's Tables 1 and 2 it gives Table 5: CLIP ViT-B/32 takes 0.4 of the
    computing of ViT-B/16, but four times the memory at its batch of 2,048 pictures and texts.

    Raises:
        ValueError: the reference took no time or no memory.
    """
    if min(reference.device_seconds, reference.peak_bytes) <= 0:
        raise ValueError("reference: expected a training that took time and memory; got nothing")
    time = training.device_seconds * training.settings / reference.device_seconds
    if time <= LOW:
        return LEVELS[0]
    memory = training.peak_bytes / reference.peak_bytes
    return LEVELS[2] if max(time, memory) > HIGH else LEVELS[1]


def training_of(document: dict[str, Any], *, settings: int = 1) -> Training:
    """The training that a run's results.json tells of; nothing where none was needed."""
    spent = document["cost"]
    trained = document.get("steps", 0) > 0
    seconds = spent["seconds"] * max(len(document.get("devices", ())), 1) if trained else 0.0
    return Training(seconds, spent["peak_rss_bytes"], settings)


def money(seconds: float, price_per_hour: float) -> float:
    """What so many device-seconds cost, in the currency of the price of a device for an hour.

    Raises:
        ValueError: a negative price.
    """
    if price_per_hour < 0:
        raise ValueError(f"price per hour: expected 0 or more; got {price_per_hour}")
    return seconds * price_per_hour / 3600


def money_per_million(pictures_per_second: float, price_per_hour: float) -> float:
    """What a million answers cost at that rate."""
    return money(1e6 / pictures_per_second, price_per_hour)


def parameters(model: Any) -> dict[str, int]:
    """Weights of a Keras model: `trained` by gradient, and in `all`."""

    def count(weights: Sequence[Any]) -> int:
        return sum(int(weight.value.shape.num_elements()) for weight in weights)

    return {"trained": count(model.trainable_weights), "all": count(model.weights)}


def bytes_on_disk(path: str | Path) -> int:
    """Size of a file, or of all files in a folder and below.

    Raises:
        FileNotFoundError: there is neither.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file and no folder {path}")
    found = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in found if each.is_file())


def serving(
    folder: str | Path,
    pictures: Sequence[bytes],
    *,
    batch_sizes: Sequence[int] = (1, 32),
    seconds: float = 5.0,
) -> dict[str, Any]:
    """How fast an exported SavedModel answers, from picture files, in a process of its own.

    Args:
        folder: the SavedModel.
        pictures: JPEG or PNG files, taken in turn.
        batch_sizes: pictures of a request.
        seconds: to measure each batch size for, after three requests to warm up; at least five
            requests are measured, fewer where that took ten times as long.

    Returns:
        `load_seconds`; `peak_rss_bytes` of the process, TensorFlow included; `batches`, for each
        size (as text) `pictures_per_second`, `latency_p50_ms`, `latency_p95_ms`, `requests`.

    Raises:
        ValueError: no pictures.
        FileNotFoundError: no such SavedModel.
        RuntimeError: the process failed; says its last lines.
    """
    if not pictures:
        raise ValueError("pictures: expected one or more files; got none")
    if not (Path(folder) / "saved_model.pb").is_file():
        raise FileNotFoundError(f"no SavedModel in {folder}")
    lengths = [len(picture) for picture in pictures]
    about = {"folder": str(Path(folder).resolve()), "lengths": lengths, "seconds": seconds}
    given = json.dumps({**about, "batch_sizes": list(batch_sizes)}).encode() + b"\n"
    result = subprocess.run(
        [sys.executable, "-I", str(PROBE)], input=given + b"".join(pictures), capture_output=True
    )
    if result.returncode:
        said = result.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise RuntimeError(f"{folder} could not be served: {' '.join(said) or 'no reason given'}")
    return json.loads(result.stdout.splitlines()[-1])
