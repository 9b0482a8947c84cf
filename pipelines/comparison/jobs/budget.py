"""Predict the minutes of each method, and select those that fit the time budget."""

import re
import time
from dataclasses import dataclass

import numpy as np

from pipelines.comparison.options import Options
from pipelines.comparison.recipe_options import Recipes
from pipelines.comparison.report import recommendation
from pipelines.methods.method import Method
from pipelines.methods.registry import METHODS
from tfrecords import Manifest

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}

OVERHEAD = 20.0  # seconds to start a run and to measure it

EXPORTING = 15.0  # seconds to export a network, and to start what serves it

BACKWARD = 2  # FLOPs backwards, in those forwards


@dataclass(frozen=True)
class Speed:
    """Of the compared model's image tower on this machine, forwards.

    Attributes:
        flops: of one image.
        images_per_second: in batches.
    """

    flops: float
    images_per_second: float


def seconds(text: str | None) -> float | None:
    """Those of "30m", "2h", "90s"; None without one."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)", text.strip())
    if not found or not float(found[1]):
        raise ValueError(f"--budget: expected a time such as 30m, 2h or 90s; got {text!r}")
    return float(found[1]) * UNITS[found[2]]


def within(
    options: Options, manifest: Manifest, recipes: Recipes, *, speed: Speed | None
) -> tuple[list[str], dict[str, str]]:
    """Methods by predicted time, the shortest first, as long as there is some; and the others.

    speed: of the compared model; not needed without a budget.

    Raises:
        ValueError: a budget that is no time, or too short for any method.
    """
    given = seconds(options.budget)
    if given is None or speed is None:
        return list(options.methods), {}
    shared = _serving(options) + _augmenting(options, manifest, speed)
    left = given - shared  # of the compared model's network, for all that share it
    needed = {name: predicted(name, options, manifest, speed, recipes) for name in options.methods}
    taken, left_out = set(), {}
    for method in sorted(needed, key=needed.__getitem__):
        if needed[method] > left:
            wanted, rest = map(recommendation.duration, (needed[method], max(left, 0)))
            left_out[method] = f"about {wanted}, {rest} left"
            continue
        left -= needed[method]
        taken.add(method)
    if not taken:
        raise ValueError(
            f"--budget {options.budget}: too little for any method; the cheapest needs about "
            f"{recommendation.duration(min(needed.values()) + shared)}"
        )
    return [name for name in options.methods if name in taken], left_out


def forecast(options: Options, manifest: Manifest, recipes: Recipes, *, speed: Speed) -> list[str]:
    """What would be run and how long it is predicted to take, as lines for a terminal."""
    chosen, left_out = within(options, manifest, recipes, speed=speed)
    needed = {name: predicted(name, options, manifest, speed, recipes) for name in chosen}
    views = _augmenting(options, manifest, speed)
    total = recommendation.duration(sum(needed.values()) + _serving(options) + views)
    width, folds = max(map(len, options.methods)), options.folds or 1
    divided = f" in {folds} folds" if folds > 1 else ""
    return [
        f"methods: {len(chosen)}{divided}, predicted to take {total} on this machine",
        *(f"  {name:{width}}  {recommendation.duration(each)}" for name, each in needed.items()),
        *(
            [f"  {'views':{width}}  {recommendation.duration(views)}, embedded once"]
            if views
            else []
        ),
        *(f"  {name:{width}}  left out ({reason})" for name, reason in left_out.items()),
    ]


def predicted(
    method: str, options: Options, manifest: Manifest, speed: Speed, recipes: Recipes
) -> float:
    """Seconds that all runs of a method take, and of a network of its own serving it."""
    row = METHODS[method]
    runs = (options.folds or 1) * (len(options.seeds or ()) if row.draws else 1)
    epochs = recipes.get(method, {}).get("epochs", options.epochs)
    trained = row.passes * epochs * manifest.split("train").count
    forwards = (1 + BACKWARD) * trained + manifest.split(options.test).count
    share, serving = 1.0, 0.0
    if row.network:
        share, serving = _flops(row, options) / speed.flops, _serving(options)
    return runs * (OVERHEAD + forwards * share / speed.images_per_second) + serving


def measured_speed(name: str) -> Speed:
    """Of a dual encoder by name. Raises ValueError for a model without texts."""
    from pipelines.runs import models, runtime, strategy

    runtime.import_tensorflow()  # Keras does, and would let it greet
    from pipelines.costs import flops

    strategy.share_gpus()
    model = models.load_dual_encoder(name)
    images = np.zeros((16, model.image_size, model.image_size, 3), np.uint8)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        np.asarray(model.encode_image(images))
        times.append(time.perf_counter() - start)
    return Speed(flops.counted(model.image_tower), len(images) / min(times))


def _serving(options: Options) -> float:
    """Seconds to export a network and to measure how fast it answers."""
    return EXPORTING + 2 * options.serving_seconds if options.serving_seconds else 0.0


def _augmenting(options: Options, manifest: Manifest, speed: Speed) -> float:
    """Seconds to embed all views but the first of the images to learn from, once for all rows."""
    rows = [METHODS[name] for name in options.methods if METHODS[name].takes_views]
    if options.views < 2 or not rows:
        return 0.0
    images = manifest.split("train").count
    if all(row.command == "prompt" for row in rows):
        drawn = options.most_shots * len(manifest.class_names) * len(options.seeds or ())
        images = min(images, drawn)
    return (options.folds or 1) * (options.views - 1) * images / speed.images_per_second


def _flops(row: Method, options: Options) -> float:
    """Of one image forwards through a network of a size of its own."""
    side = options.image_size or row.image_size
    return row.flops * (side / row.image_size) ** 2
