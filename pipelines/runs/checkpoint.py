"""Stopping and going on: all of a training's state in one safetensors file per saved step.

A checkpoint holds every variable of the model and the optimizer (weights, moments, dropout seeds,
step count) and, in its metadata, the state of callbacks that remember (early stopping, plateau).
The data need none: which pictures come at step n follows from (seed, n).
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

KEPT = 2  # newest checkpoints that stay on disk
# What callbacks such as EarlyStopping and ReduceLROnPlateau must not forget.
MEMORY = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")


class Checkpoint(keras.callbacks.Callback):
    """Saves the run every `every` steps and at the end of an epoch; stops on NaN and on Ctrl-C.

    Put it last, so that it sees what the other callbacks did. `resume` puts the newest checkpoint
    back before `fit`.

    Args:
        directory: folder of the checkpoints.
        steps_per_epoch: steps of one pass.
        every: steps between two checkpoints inside a pass.
        writes: whether this process writes; False on all workers but the chief.
    """

    def __init__(
        self, directory: str | Path, *, steps_per_epoch: int, every: int = 200, writes: bool = True
    ) -> None:
        super().__init__()
        self.directory = Path(directory)
        self.steps_per_epoch, self.every, self.writes = steps_per_epoch, every, writes
        self.step = 0
        self.memories: list[dict[str, Any]] = []
        self.history: list[dict[str, float]] = []
        self.peers: list[keras.callbacks.Callback] = []
        self.interrupted = False

    def resume(self, model: keras.Model, peers: list[keras.callbacks.Callback]) -> int:
        """Restore the newest checkpoint, if there is one. Returns the steps already done."""
        self.peers = peers
        if found := steps(self.directory):
            restored = restore(model, _path(self.directory, found[-1]))
            self.step, self.memories = restored["step"], restored["callbacks"]
            self.history = restored["history"]
        return self.step

    def on_train_begin(self, logs: dict | None = None) -> None:
        # `fit` resets callbacks as it starts; those that remember go on from where they were.
        for peer, memory in zip(self.peers, self.memories, strict=False):
            vars(peer).update(memory)
        self._previous_handler = signal.signal(signal.SIGINT, self._interrupt)

    def on_train_end(self, logs: dict | None = None) -> None:
        signal.signal(signal.SIGINT, self._previous_handler)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.step += 1
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            self._stop_on_nan()
        ends_epoch = self.step % self.steps_per_epoch == 0  # then saved with its validation
        if not ends_epoch and (self.interrupted or self.step % self.every == 0):
            self._save()
        if self.interrupted and not ends_epoch:
            self._leave()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.history.append({"epoch": epoch, **{k: float(v) for k, v in (logs or {}).items()}})
        self._save()
        if self.interrupted:
            self._leave()

    def _leave(self) -> None:
        raise KeyboardInterrupt(
            f"interrupted after step {self.step}; the same command goes on from there"
        )

    def _interrupt(self, *_: Any) -> None:
        """The first Ctrl-C finishes the step and saves; the second stops at once."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def _save(self) -> None:
        self.memories = [_memory(peer) for peer in self.peers]
        if self.writes:
            meta = {"step": self.step, "callbacks": self.memories, "history": self.history}
            if not save(self.model, _path(self.directory, self.step), meta):
                self._stop_on_nan()
            for step in steps(self.directory)[:-KEPT]:
                _path(self.directory, step).unlink()

    def _stop_on_nan(self) -> None:
        good = steps(self.directory)
        kept = (
            f"the last good checkpoint is {_path(self.directory, good[-1])}"
            if good
            else ("there is no earlier checkpoint")
        )
        raise RuntimeError(
            f"the loss or a weight became NaN or infinite at step {self.step}; {kept}. "
            "A smaller learning rate or clipping (--clip-norm 1) usually helps"
        )


def save(model: keras.Model, path: Path, metadata: dict[str, Any]) -> bool:
    """Write all variables. False, and no file, if one is NaN or infinite."""
    arrays = {name: np.asarray(variable) for name, variable in _variables(model).items()}
    if not all(np.isfinite(a).all() for a in arrays.values() if a.dtype.kind == "f"):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    save_file(arrays, temporary, metadata={"duet": json.dumps(metadata)})
    os.replace(temporary, path)
    return True


def restore(model: keras.Model, path: Path) -> dict[str, Any]:
    """Put all variables back. Returns the metadata.

    Raises:
        ValueError: the file is of another model.
    """
    variables = _variables(model)
    with safe_open(path, framework="numpy") as file:
        if set(file.keys()) != set(variables):
            raise ValueError(f"{path}: a checkpoint of another model or optimizer")
        for name, variable in variables.items():
            variable.assign(file.get_tensor(name))
        return json.loads(file.metadata()["duet"])


def steps(directory: Path) -> list[int]:
    """The steps that have a checkpoint, in order."""
    return sorted(int(path.stem.split("-")[1]) for path in directory.glob("step-*.safetensors"))


def _path(directory: Path, step: int) -> Path:
    return directory / f"step-{step:08d}.safetensors"


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    metrics = {id(variable) for variable in model.metrics_variables}
    kept = [variable for variable in model.variables if id(variable) not in metrics]
    kept += model.optimizer.variables
    return {f"{i:04d}/{variable.path}": variable for i, variable in enumerate(kept)}


def _memory(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """What a callback must not forget, as JSON takes it; {} for most callbacks."""
    values = {name: getattr(callback, name) for name in MEMORY if hasattr(callback, name)}
    return {name: v.item() if hasattr(v, "item") else v for name, v in values.items()}
