"""What a training run watches, on the progress bar and on TensorBoard."""

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.runs import checkpoint


class Throughput(keras.callbacks.Callback):
    """Adds pictures per second, in all and of each device, to the logs of every epoch."""

    def __init__(self, *, batch_size: int, devices: int) -> None:
        super().__init__()
        self.batch_size, self.devices = batch_size, devices

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.steps, self.seconds, self.start = 0, 0.0, 0.0

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self.start = self.start or time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        # The first step of a run compiles: it says nothing about speed.
        if self.model.optimizer.iterations.numpy() == 1:
            self.start = time.perf_counter()
            return
        self.steps += 1
        self.seconds = time.perf_counter() - self.start

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None and self.seconds:
            rate = self.steps * self.batch_size / self.seconds
            logs["images_per_second"] = rate
            if self.devices > 1:
                logs["images_per_second_per_device"] = rate / self.devices


class Temperature(keras.callbacks.Callback):
    """Adds the temperature and the learning rate to the logs of every epoch."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs["temperature"] = 1 / float(keras.ops.convert_to_numpy(self.model.logit_scale))
            rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            logs["learning_rate"] = float(rate)


class ZeroShotAccuracy(keras.callbacks.Callback):
    """Adds the zero-shot top-1 accuracy on labelled batches to the logs of every epoch.

    Args:
        batches: `(x, label, sample_weight)`, as `tfrecords.load` gives without a tokenizer.
        class_names, templates: what the labels are called, and the prompts.
    """

    def __init__(self, batches: Any, *, class_names: list[str], templates: list[str]) -> None:
        super().__init__()
        self.batches, self.class_names, self.templates = batches, class_names, templates
        self.classifier: Any = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.classifier is None:
            from dual_encoder import ZeroShotClassifier

            names = self.class_names, self.templates
            self.classifier = ZeroShotClassifier.from_names(self.model, *names)
            self.classifier.compile(metrics=["accuracy"], jit_compile=False)
        else:
            self.classifier.update(self.model)
        measured = self.classifier.evaluate(self.batches, verbose=0, return_dict=True)
        if logs is not None:
            logs["val_zero_shot_top1"] = measured["accuracy"]


class BestWeights(keras.callbacks.Callback):
    """Keeps the state of the epoch with the lowest validation loss, to end with."""

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self.best = float("inf")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        loss = (logs or {}).get("val_loss", float("inf"))
        if loss < self.best:
            self.best = float(loss)
            checkpoint.save(self.model, self.path, {"epoch": epoch, "val_loss": self.best})

    def restore(self, model: keras.Model) -> None:
        """Put the best epoch's weights back into the model, if there was one."""
        if self.path.is_file():
            checkpoint.restore(model, self.path)


class ImageGrid(keras.callbacks.Callback):
    """Writes pictures with their captions to TensorBoard as training starts.

    Args:
        directory: TensorBoard's folder of the run.
        batch: a training batch `(x, y, sample_weight)` with `"image"` and `"token_ids"`.
        decode: one row of token ids -> text.
    """

    def __init__(self, directory: str | Path, *, batch: Any, decode: Any, count: int = 32) -> None:
        super().__init__()
        self.directory, self.batch, self.decode, self.count = Path(directory), batch, decode, count

    def on_train_begin(self, logs: dict | None = None) -> None:
        import tensorflow as tf

        x = self.batch[0]
        images = np.asarray(x["image"])[: self.count]
        captions = [self.decode(row) for row in np.asarray(x["token_ids"])[: self.count]]
        with tf.summary.create_file_writer(str(self.directory / "pictures")).as_default():
            tf.summary.image("training pictures, first in reading order", grid(images)[None], 0)
            tf.summary.text("their captions", captions, step=0)


def grid(images: np.ndarray, columns: int = 8) -> np.ndarray:
    """Pictures [n, s, s, 3] side by side, rows first, white where there is none: [h, w, 3]."""
    n, height, width, channels = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.full((rows * columns, height, width, channels), 255, images.dtype)
    sheet[:n] = images
    sheet = sheet.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * height, columns * width, channels)
