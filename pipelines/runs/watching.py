"""Which callbacks watch a training run, in the order in which they see its logs."""

from functools import partial
from pathlib import Path

import keras

from dual_encoder import DualEncoder
from pipelines.runs import board, callbacks, strategy
from pipelines.runs.pairs import Pairs


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
            board.ImageGrid(directory, load=pictures, decode=model.tokenizer.decode),
            board.Curves(directory),
        ]
    return chosen
