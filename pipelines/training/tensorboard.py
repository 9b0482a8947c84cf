"""Write TensorBoard logs of a run: curves over steps, and images with their texts.

Keras' own callback counts batches from 0 again in every `fit`, and so after every interruption.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.training.callbacks import gauges


class Curves(keras.callbacks.Callback):
    """Writes scalars over the steps of the run: every `every` steps, and after every epoch.

    Training and validation are two runs of TensorBoard with the same names, so that both losses
    are in one chart. Put it behind the callbacks whose logs it should write.

    Args:
        directory: TensorBoard's folder of the run.
        every: steps between two points of the training curves.
    """

    def __init__(self, directory: str | Path, *, every: int = 50) -> None:
        super().__init__()
        self.directory, self.every = Path(directory), every
        self.writers: dict[str, Any] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        if logs:  # what was measured before the first step
            self.on_epoch_end(-1, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        step = int(self.model.optimizer.iterations.numpy())
        if step % self.every == 0:
            self._write("train", {**(logs or {}), **gauges(self.model)}, step)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        step = int(self.model.optimizer.iterations.numpy())
        validation = {k: v for k, v in (logs or {}).items() if k.startswith("val_")}
        training = {k: v for k, v in (logs or {}).items() if k not in validation}
        self._write("train", training, step)
        if validation:
            shown = {name.removeprefix("val_"): value for name, value in validation.items()}
            self._write("validation", shown, step)

    def _write(self, run: str, values: dict[str, float], step: int) -> None:
        import tensorflow as tf

        if run not in self.writers:
            self.writers[run] = tf.summary.create_file_writer(str(self.directory / run))
        with self.writers[run].as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self.writers[run].flush()


class ImageGrid(keras.callbacks.Callback):
    """Writes the first training images and their texts as a run begins.

    Args:
        directory: TensorBoard's folder of the run.
        load: gives training batches `(x, y, sample_weight)`, images in `x["image"]`.
        describe: x and y of a batch -> a text per image.
        count: images shown.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        load: Callable[[], Any],
        describe: Callable[[Any, Any], list[str]],
        count: int = 32,
    ) -> None:
        super().__init__()
        self.directory, self.load = Path(directory), load
        self.describe, self.count = describe, count

    def on_train_begin(self, logs: dict | None = None) -> None:
        import tensorflow as tf

        import tfrecords

        if self.model.optimizer.iterations.numpy():
            return  # shown already
        with tfrecords.looking():
            x, y, _ = next(iter(self.load()))
        images = np.asarray(x["image"])[: self.count]
        captions = self.describe(x, y)[: self.count]
        with tf.summary.create_file_writer(str(self.directory / "images")).as_default(step=0):
            tf.summary.image("training images", grid(images)[None])
            tf.summary.text("their texts, in reading order", captions)


def grid(images: np.ndarray, columns: int = 8) -> np.ndarray:
    """Images [n, s, s, 3] side by side, rows first, white where there is none: [h, w, 3]."""
    n, height, width, channels = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.full((rows * columns, height, width, channels), 255, images.dtype)
    sheet[:n] = images
    sheet = sheet.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * height, columns * width, channels)
