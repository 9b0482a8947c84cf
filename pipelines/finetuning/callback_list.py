"""The callbacks of a fine-tuning run, in the order in which they see its logs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

from pipelines.finetuning.model import Adapted
from pipelines.finetuning.seen_unseen_monitor import Forgetting
from pipelines.runs import strategy
from pipelines.training import tensorboard
from pipelines.training.callback_list import captions, running


def tuning(
    adapted: Adapted, *, directory: Path, images: Callable[[], Any], watched: bool = True
) -> list[keras.callbacks.Callback]:
    """Speed and learning rate of a fine-tuning; of one that is watched also TensorBoard, and what
    is gained and forgotten. `images` gives the training batches whose first is shown."""
    model, data = adapted.model, adapted.data
    chosen = running(model, batch_size=data.batch_size)
    if not watched:
        return chosen
    chosen.append(Forgetting(adapted))
    if strategy.is_chief(model.distribute_strategy):
        describe = partial(captions, model) if adapted.has_texts else data.describe
        chosen += [
            tensorboard.ImageGrid(directory, load=images, describe=describe),
            tensorboard.Curves(directory),
        ]
    return chosen
