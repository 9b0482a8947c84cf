"""Training costs: time, memory, parameters, money, and cost levels."""

from dataclasses import dataclass
from typing import Any

LEVELS = ("Low", "Medium", "High")

LOW, HIGH = 0.1, 2.0  # shares of the reference, see `level`


@dataclass(frozen=True)
class Training:
    """The cost of adapting a pretrained model.

    Attributes:
        device_seconds: seconds of one run times its devices; 0 without training.
        peak_bytes: peak memory of training on one device.
    """

    device_seconds: float
    peak_bytes: float


def level(training: Training, reference: Training) -> str:
    """Returns the cost level Low, Medium or High, as in Table 5 of the Food-101 study.

    The study gives no figures; its reasons (section 3.3) are that zero-shot CLIP needs no
    training, and that fine-tuning CLIP takes more computing than fine-tuning ViT and
    hyperparameters that have to be tried. The rule here says the same of measured figures, as
    shares of what plain fine-tuning of a supervised ViT takes on the same images and device:

    - Low: device-seconds are at most a tenth;
    - High: they are more than twice as many, or training holds more than twice the memory;
    - Medium: what is between.

    With the sizes of the study's Tables 1 and 2 it gives Table 5: CLIP ViT-B/32 takes 0.4 of the
    computing of ViT-B/16, but four times the memory at its batch of 2,048 images and texts.

    Raises:
        ValueError: the reference took no time or no memory.
    """
    if min(reference.device_seconds, reference.peak_bytes) <= 0:
        raise ValueError("reference: expected a training that took time and memory; got nothing")
    time = training.device_seconds / reference.device_seconds
    if time <= LOW:
        return LEVELS[0]
    memory = training.peak_bytes / reference.peak_bytes
    return LEVELS[2] if max(time, memory) > HIGH else LEVELS[1]


def training_of(document: dict[str, Any]) -> Training:
    """Returns the training costs recorded in a run's results.json; zero without training."""
    spent = document["cost"]
    trained = document.get("steps", 0) > 0
    seconds = spent["seconds"] * max(len(document.get("devices", ())), 1) if trained else 0.0
    return Training(seconds, spent["peak_rss_bytes"])


def money(seconds: float, price_per_hour: float) -> float:
    """Returns the cost of device-seconds, in the currency of the hourly price of a device.

    Raises:
        ValueError: a negative price.
    """
    if price_per_hour < 0:
        raise ValueError(f"price per hour: expected 0 or more; got {price_per_hour}")
    return seconds * price_per_hour / 3600


def money_per_million(images_per_second: float, price_per_hour: float) -> float:
    """Returns the cost of a million predictions at that rate."""
    return money(1e6 / images_per_second, price_per_hour)
