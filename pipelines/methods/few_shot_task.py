"""The input of a method on cached features: a sample of embeddings, and their classes."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from duet import unit_rows

if TYPE_CHECKING:
    from dual_encoder import DualEncoder

# Features [n, d], and places [n] of their classes, or a column of 0 and 1 for each, [n, c].
Rows = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class PromptOptions:
    """How `coop` and `cocoop` learn; see the options of `prompt`."""

    n_ctx: int | None = None
    position: str = "end"
    class_specific: bool = False
    words: str | None = None
    conditional_words: str = "a photo of a"
    epochs: int | None = None
    conditional_epochs: int = 10
    batch_size: int = 32
    conditional_batch_size: int = 4
    chunk: int = 512
    learning_rate: float = 0.002
    weight_decay: float = 0.0005
    pull: float = 0.0


@dataclass(frozen=True)
class Task:
    """What is learnt from, and what for.

    Attributes:
        train: features and classes that are learnt from; the class is its place in `seen`. In
            several views of each image, features [v, n, d], the first as evaluation sees it.
        validation: those that it chooses by.
        names: of all classes of the set.
        seen: labels of the classes that are learnt, ascending.
        held_out: labels of those that are measured all the same.
        templates: prompts with {} for the class name.
        model: that the features are of; None where it reads no class names.
        backbone: its name.
        dataset: its name.
        folder: of the run.
        shots: images of each class; 0 for all there are.
        seed: of everything random.
        class_weight: power by which images of rare classes count for more; 0 for all alike.
        prompts: how prompts are learnt.
    """

    train: Rows
    validation: Rows
    names: list[str]
    seen: tuple[int, ...]
    held_out: tuple[int, ...] = ()
    templates: tuple[str, ...] = ()
    model: "DualEncoder | None" = None
    backbone: str = ""
    dataset: str = ""
    folder: Path = Path()
    shots: int = 0
    seed: int = 0
    class_weight: float = 0.0
    prompts: PromptOptions = field(default_factory=PromptOptions)

    @property
    def several_labels(self) -> bool:
        """Whether an image may have several classes, or none."""
        return self.train[1].ndim == 2

    @property
    def views(self) -> np.ndarray:
        """Features [v, n, d] of what is learnt from, also where there is one view alone."""
        return self.train[0] if self.train[0].ndim == 3 else self.train[0][None]

    @property
    def stacked(self) -> Rows:
        """All views of what is learnt from as images of their own: view by view."""
        values = self.views
        return values.reshape(-1, values.shape[2]), np.concatenate([self.train[1]] * len(values))

    @property
    def seen_names(self) -> list[str]:
        """Of the classes that are learnt."""
        return [self.names[label] for label in self.seen]

    @cached_property
    def texts(self) -> np.ndarray | None:
        """Of all classes, by their templates: embeddings of unit length times the logit scale,
        float32 [C, e]; None where the model reads no class names."""
        if self.model is None or self.model.tokenizer is None:
            return None
        import dual_encoder

        return dual_encoder.class_texts(self.model, self.names, self.templates)

    def require_texts(self) -> np.ndarray:
        """`texts`; ValueError where the model reads no class names."""
        if self.texts is None:
            raise ValueError(
                "--model: expected a dual encoder, which reads class names; got "
                f"{self.backbone or 'a model without a text tower'}"
            )
        return self.texts

    def among_all(
        self,
        logits: np.ndarray,
        features: np.ndarray,
        *,
        text_factor: float = 1.0,
        offset: float = 0.0,
    ) -> np.ndarray:
        """Logits [n, seen] as columns among all classes, [n, C].

        A held-out class has the cosine of its name's embedding times the logit scale and
        `text_factor`, plus `offset`; it is NaN where the model reads no class names.
        """
        found = np.full((len(logits), len(self.names)), np.nan, np.float32)
        found[:, list(self.seen)] = logits
        if self.held_out and self.texts is not None:
            held_out = list(self.held_out)
            found[:, held_out] = (
                text_factor * (unit_rows.unit(features) @ self.texts[held_out].T) + offset
            )
        return found
