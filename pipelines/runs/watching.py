"""Which callbacks watch a training run, in the order in which they see its logs."""

from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dual_encoder import DualEncoder
from pipelines.runs import board, callbacks, strategy
from pipelines.runs.adapted import Adapted
from pipelines.runs.forgetting import Forgetting
from pipelines.runs.pairs import Pairs


def captions(model: DualEncoder, x: dict[str, Any], y: Any) -> list[str]:
    """The texts of a batch with token ids."""
    return [model.tokenizer.decode(row) for row in np.asarray(x["token_ids"])]


def tuning(adapted: Adapted, *, directory: Path) -> list[keras.callbacks.Callback]:
    """Speed, learning rate, what is gained and forgotten, TensorBoard: of a fine-tuning."""
    model, data = adapted.model, adapted.data
    spread = model.distribute_strategy
    chosen = [
        callbacks.Throughput(batch_size=data.batch_size, devices=spread.num_replicas_in_sync),
        callbacks.Gauges(),
        callbacks.ProgressBar(),
        Forgetting(adapted),
    ]
    if strategy.is_chief(spread):
        describe = partial(captions, model) if adapted.has_texts else data.describe
        pictures = partial(data.training, model)
        chosen += [
            board.ImageGrid(directory, load=pictures, describe=describe),
            board.Curves(directory),
        ]
    return chosen


def watched(model: DualEncoder, data: Pairs, *, directory: Path) -> list[keras.callbacks.Callback]:
    """Speed, learning rate, temperature, zero-shot accuracy where there are labels, TensorBoard.

    Args:
        model: built, with a tokenizer.
        data: what it trains on; zero-shot accuracy is measured on its split validation.
        directory: TensorBoard's folder of the run.
    """
    spread = model.distribute_strategy
    chosen = [
        callbacks.Throughput(batch_size=data.batch_size, devices=spread.num_replicas_in_sync),
        callbacks.Gauges(),
        callbacks.ProgressBar(),
    ]
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
        pictures = partial(data.training, model)
        chosen += [
            board.ImageGrid(directory, load=pictures, describe=partial(captions, model)),
            board.Curves(directory),
        ]
    return chosen
