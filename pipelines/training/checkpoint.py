"""Save the state of a run periodically, and resume from the newest one."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.training import checkpoint_file

KEPT = 2  # checkpoints kept on disk

# State to save of callbacks such as EarlyStopping and ReduceLROnPlateau.
MEMORY = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")


class Checkpoint(keras.callbacks.Callback):
    """Saves the run every `every` steps and at the end of an epoch; stops on NaN and on Ctrl-C.

    Put it last, so that it sees what the other callbacks did. `resume` puts the newest checkpoint
    back before `fit`; `listening` turns Ctrl-C into an orderly stop.

    Args:
        directory: folder of the checkpoints.
        steps_per_epoch: steps of one pass.
        every: steps between two checkpoints inside a pass.
        writes: whether this process writes; False on all workers but the chief.

    Attributes:
        step: steps done since the run was begun.
        history: the logs of every epoch; before them, as epoch -1, those of the untouched model,
            if a callback measured it.
        seconds: spent training since the run was begun.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        steps_per_epoch: int,
        every: int = 200,
        writes: bool = True,
    ) -> None:
        super().__init__()
        self.directory = Path(directory)
        self.steps_per_epoch, self.every, self.writes = steps_per_epoch, every, writes
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self.peers: list[keras.callbacks.Callback] = []
        self._memories: list[dict[str, Any]] = []
        self._resumed_from: Path | None = None
        self._interrupted = False

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping has ended the run."""
        return any(memory.get("stopped_epoch") for memory in self._memories)

    def bytes_needed(self, model: keras.Model) -> int:
        """Bytes of the checkpoints that are kept, while one is written, and of the model."""
        at_once = KEPT + 2
        there = sum(path.stat().st_size for path in self.directory.glob("step-*.safetensors"))
        return max(at_once * checkpoint_file.size(model) - there, 0)

    def resume(self, model: keras.Model, peers: list[keras.callbacks.Callback]) -> int:
        """Restore the newest checkpoint, if there is one. Returns the steps already done.

        Raises:
            ValueError: it is damaged, or of another model.
        """
        self.peers = peers
        self._remove_older()  # what a process that was killed after it saved had still to do
        if found := checkpoint_file.steps(self.directory):
            path = self._resumed_from = checkpoint_file.path_of(self.directory, found[-1])
            state = checkpoint_file.restore(model, path)
            self.step, self.seconds = state["step"], state["seconds"]
            self.history, self._memories = state["history"], state["callbacks"]
        return self.step

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """The first Ctrl-C (or SIGTERM) finishes the step and saves; the second stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread can listen
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._interrupt) for number in signals]
        try:
            yield
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)

    def _interrupt(self, *_: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def on_train_begin(self, logs: dict | None = None) -> None:
        # `fit` resets callbacks as it starts; those that remember go on from where they were.
        for peer, memory in zip(self.peers, self._memories, strict=False):
            vars(peer).update(memory)
        if logs and not self.step:  # what was measured before the first step
            self.history = [{"epoch": -1, **{k: float(v) for k, v in logs.items()}}]
        self._weights_are_finite = _finite(self.model)
        self._clock = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self._resumed_from and self.step % self.steps_per_epoch:
            checkpoint_file.add_means(self.model, self._resumed_from)
        self._resumed_from = None
        self.step += 1
        self._stop_on_nan(logs)
        if not self._weights_are_finite():
            self._complain_of_nan("a weight")
        if self.step % self.steps_per_epoch == 0:
            return  # saved with its validation, in on_epoch_end
        if self._interrupted or self.step % self.every == 0:
            self._save()
        self._leave_if_interrupted()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._stop_on_nan(logs)
        self.history.append({"epoch": epoch, **{k: float(v) for k, v in (logs or {}).items()}})
        self._save()
        self._leave_if_interrupted()

    def _leave_if_interrupted(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt(
                f"interrupted after step {self.step}; the same command goes on from there"
            )

    def _save(self) -> None:
        now = time.perf_counter()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        self._memories = [_memory(peer) for peer in self.peers]
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "callbacks": self._memories,
        }
        path = checkpoint_file.path_of(self.directory, self.step)
        if not checkpoint_file.save(self.model, path, state, writes=self.writes):
            self._complain_of_nan("a weight")
        self._remove_older()

    def _remove_older(self) -> None:
        """All checkpoints but the newest `KEPT`."""
        if self.writes:
            for step in checkpoint_file.steps(self.directory)[:-KEPT]:
                checkpoint_file.path_of(self.directory, step).unlink()

    def _stop_on_nan(self, logs: dict | None) -> None:
        for name, value in (logs or {}).items():
            if not np.isfinite(value):
                self._complain_of_nan(name)

    def _complain_of_nan(self, what: str) -> None:
        kept = checkpoint_file.steps(self.directory)
        kept_in = (
            f"the last good checkpoint is {checkpoint_file.path_of(self.directory, kept[-1])}"
            if kept
            else ""
        )
        raise RuntimeError(
            f"{what} became NaN or infinite at step {self.step}; "
            f"{kept_in or 'there is no earlier checkpoint'}. "
            "A smaller --learning-rate usually helps"
        )


def _memory(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Returns the state of a callback to save, as JSON; {} for most callbacks."""
    values = {name: getattr(callback, name) for name in MEMORY if hasattr(callback, name)}
    return {name: v.item() if hasattr(v, "item") else v for name, v in values.items()}


def _finite(model: keras.Model) -> Callable[[], bool]:
    """Returns a function that checks whether all trained weights of `model` are finite.

    A loss does not show a NaN weight on every CPU: oneDNN's fused product, bias and ReLU gives 0
    for NaN where it runs on AMX or AVX-512, and the gradient is then 0 too. One compiled sum of
    all weights reads them once, about 1 % of a training step.
    """
    import tensorflow as tf

    weights = [weight.value for weight in model.trainable_variables]

    @tf.function
    def total() -> tf.Tensor:
        sums = (tf.reduce_sum(tf.cast(weight, tf.float32)) for weight in weights)
        return tf.math.is_finite(tf.add_n([tf.constant(0.0), *(0.0 * each for each in sums)]))

    return lambda: bool(total())
