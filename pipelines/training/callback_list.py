"""The callbacks of a captions run, in the order in which they see its logs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dual_encoder import DualEncoder
from pipelines.runs import strategy
from pipelines.training import callbacks, tensorboard
from pipelines.training.data import Pairs


def captions(model: DualEncoder, x: dict[str, Any], y: Any) -> list[str]:
    """The texts of a batch with token ids."""
    return [model.tokenizer.decode(row) for row in np.asarray(x["token_ids"])]


def running(model: keras.Model, *, batch_size: int) -> list[keras.callbacks.Callback]:
    """Speed, learning rate, temperature and a bar of the validation."""
    devices = model.distribute_strategy.num_replicas_in_sync
    speed = callbacks.Throughput(batch_size=batch_size, devices=devices)
    return [speed, callbacks.Gauges(), callbacks.ProgressBar()]


def watched(
    model: DualEncoder, data: Pairs, *, directory: Path, images: Callable[[], Any]
) -> list[keras.callbacks.Callback]:
    """Speed, learning rate, temperature, zero-shot accuracy where there are labels, TensorBoard.

    Args:
        model: built, with a tokenizer.
        data: what it trains on; zero-shot accuracy is measured on its split validation.
        directory: TensorBoard's folder of the run.
        images: gives the training batches whose first is shown there.
    """
    spread = model.distribute_strategy
    chosen = running(model, batch_size=data.batch_size)
    names = list(data.manifest.spoken_names)
    if data.validates_labels and len(names) > 1:
        chosen.append(
            callbacks.ZeroShotAccuracy(
                strategy.distribute(spread, partial(data.labelled, model)),
                class_names=names,
                templates=data.manifest.prompt_templates,
            )
        )
    if strategy.is_chief(spread):
        chosen += [
            tensorboard.ImageGrid(directory, load=images, describe=partial(captions, model)),
            tensorboard.Curves(directory),
        ]
    return chosen
