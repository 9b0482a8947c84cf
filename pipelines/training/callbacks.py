"""Keras callbacks that measure a training run and keep its best weights."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from pipelines.runs import rerun_command
from pipelines.training import checkpoint_file


class Throughput(keras.callbacks.Callback):
    """Adds images per second, in all and of each device, to the logs of steps and epochs."""

    def __init__(self, *, batch_size: int, devices: int = 1) -> None:
        super().__init__()
        self.batch_size, self.devices = batch_size, devices
        self.start = 0.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.compiled = False

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.steps, self.start = 0, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if not self.compiled:  # the first step of a `fit` includes compilation
            self.compiled, self.start = True, time.perf_counter()
            return
        self.steps += 1
        self.rate = self.steps * self.batch_size / (time.perf_counter() - self.start)
        if logs is not None:
            logs["images_per_second"] = self.rate

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None and self.steps:
            logs["images_per_second"] = self.rate
            if self.devices > 1:
                logs["images_per_second_per_device"] = self.rate / self.devices


class Gauges(keras.callbacks.Callback):
    """Adds the learning rate, and the temperature of a dual encoder, to the logs of epochs."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs.update(gauges(self.model))


def gauges(model: keras.Model) -> dict[str, float]:
    """Returns the learning rate, and the temperature if the model has one."""
    read = {"learning_rate": float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))}
    if hasattr(model, "logit_scale"):
        read["temperature"] = 1 / float(keras.ops.convert_to_numpy(model.logit_scale))
    return read


class ZeroShotAccuracy(keras.callbacks.Callback):
    """Adds the zero-shot top-1 accuracy on labelled batches to the logs of every epoch.

    Args:
        batches: `(x, label, sample_weight)`, as `tfrecords.load` gives without a tokenizer.
        class_names, templates: class names of the labels, and prompt templates.
    """

    LOG = "val_zero_shot_top1"

    def __init__(
        self, batches: Any, *, class_names: Sequence[str], templates: Sequence[str]
    ) -> None:
        super().__init__()
        self.batches, self.class_names, self.templates = batches, class_names, templates
        self.classifier: Any = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.classifier is None:
            self.classifier = self._build()  # with the current class embeddings
        else:
            self.classifier.update(self.model)
        bar = [ProgressBar("zero-shot accuracy")]
        measured = self.classifier.evaluate(
            self.batches, callbacks=bar, verbose=0, return_dict=True
        )
        if logs is not None:
            logs[self.LOG] = measured["accuracy"]

    def _build(self) -> Any:
        from dual_encoder import ZeroShotClassifier

        with self.model.distribute_strategy.scope():
            classifier = ZeroShotClassifier.from_names(self.model, self.class_names, self.templates)
            classifier.compile(metrics=["accuracy"], jit_compile=False)
        return classifier


class ProgressBar(keras.callbacks.Callback):
    """Shows a progress bar for validation inside `fit`, on a terminal only."""

    def __init__(self, what: str = "validation") -> None:
        super().__init__()
        self.what = what
        self.bar: Any = None

    def on_test_begin(self, logs: dict | None = None) -> None:
        from tqdm import tqdm

        self.bar = tqdm(
            desc=self.what,
            total=self.params.get("steps") if self.params else None,
            unit=" batches",
            delay=2,
            leave=False,
            disable=rerun_command.no_bar(),
        )

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.bar.update()

    def on_test_end(self, logs: dict | None = None) -> None:
        self.bar.close()


class BestWeights(keras.callbacks.Callback):
    """Keeps the state of the epoch with the lowest validation loss, on disk, to end with.

    Args:
        path: the file.
        writes: whether this process writes; False on all workers but the chief.
    """

    def __init__(self, path: str | Path, *, writes: bool = True) -> None:
        super().__init__()
        self.path, self.writes = Path(path), writes
        self.best = float("inf")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        loss = float((logs or {}).get("val_loss", float("inf")))
        if loss < self.best:
            self.best = loss
            state = {"epoch": epoch, "val_loss": loss}
            checkpoint_file.save(self.model, self.path, state, writes=self.writes)

    def restore(self, model: keras.Model) -> None:
        """Put the best epoch's state back into the model, if there was one."""
        if self.path.is_file():
            checkpoint_file.restore(model, self.path)
