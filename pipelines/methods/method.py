"""A method of adaptation as an object: its properties, and how it is fitted.

`finetune --method`, `prompt --methods` and `compare --methods` take the rows of one table of these,
`pipelines.methods.registry.METHODS`. A row is of one of three kinds:

- fitted on cached features (`fit`): nothing passes through the image tower in training;
- trained through the image tower (`trains`, `head`), by `finetune`;
- such a training with options of its own (`options` with "method"), of the compared model or of a
  `network` of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

    from pipelines.methods.few_shot_task import Task
    from pipelines.runs.predictions import Said


@dataclass(frozen=True)
class Fitted:
    """What a method made of features.

    Attributes:
        logits: features [n, d] like those it was fitted on -> logits [n, C] over all classes of the
            set, NaN in the columns of classes that it cannot name.
        trained_parameters: how many numbers were learnt.
        comparable: whether logits of seen and of held-out classes are on one scale.
        head: weights [d, c] and bias [c] over the seen classes, where the logits are
            `features @ weights + bias`: what can be saved as a classifier.
        unit_length: whether the features in that are brought to unit length first.
        projection: [d, e], what the features of `head` are multiplied by before; None for nothing.
        offset: what is in the logits of held-out classes so that these compete with seen ones.
        more: keys of `results.json`, such as what was chosen on validation.
    """

    logits: Callable[[np.ndarray], np.ndarray]
    trained_parameters: int
    comparable: bool = True
    head: tuple[np.ndarray, np.ndarray] | None = None
    unit_length: bool = False
    projection: np.ndarray | None = None
    offset: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What is left of one fit of a method.

    Attributes:
        folder: of all that it leaves.
        document: its `results.json`: figures, seconds, peak memory, trained parameters.
        predictions: what it said of every test image.
        model: what answers: images to logits over the seen classes; None where nothing that can
            be exported does.
    """

    folder: Path
    document: dict[str, Any]
    predictions: "Said"
    model: "keras.Model | None"


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: what is typed.
        what: it does, in a few words.
        paper: where it is from.
        by: the commands that take it beside `compare`; in a comparison the first of them runs it,
            `finetune` on all training images, `prompt` on `shots` of each class.
        learns: whether it learns from images.
        draws: whether runs of other seeds differ in a comparison; if not there is one for all.
        reads_names: whether it needs a model that reads class names.
        rows_for_new_names: whether it can name classes that it has not learnt.
        keeps_images: whether it answers from a memory of images, which no export knows.
        reads_captions: whether it learns from the sentences of each class of `--captions`.
        passes: over the training images, forward and backward, in those of one epoch; what its
            time is predicted by.
        fit: of a method on cached features.
        takes_views: whether it learns from several views of an image in the feature cache.
        takes_several_labels: whether images may have several classes each, or none.
        trains: of the compared model: "all" weights of the image side and the head, all but the
            head ("image"), the "last" blocks, "lora", "lora in both", the "head" alone, or "both"
            towers.
        head: it starts from: "linear" (fresh), "zero-shot" (of the class names), "probe"
            (logistic regression on the features), "projection" (of the class names, behind the
            matrix of that row on cached features), "class-texts" (the class names, encoded in each
            step), or "text": none but the class names themselves.
        options: of `finetune` in a comparison, besides the data, the split and the seed.
        network: of a method that trains a network of its own: its name.
        flops: of one image forwards through that network at `image_size`, as `flops.counted` has
            them.
        image_size: pixels that it takes without another size.
    """

    name: str
    what: str
    paper: str = ""
    by: tuple[str, ...] = ()
    learns: bool = True
    draws: bool = True
    reads_names: bool = False
    rows_for_new_names: bool = False
    keeps_images: bool = False
    reads_captions: bool = False
    passes: float = 1.0
    fit: "Callable[[Task], Fitted] | None" = None
    takes_views: bool = False
    takes_several_labels: bool = False
    trains: str = ""
    head: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    network: str | None = None
    flops: float = 0.0
    image_size: int = 0

    @property
    def without_views(self) -> str:
        """Why it takes no views."""
        if self.fit is None:
            return "which cuts images out anew in every pass"
        return "which learns nothing from the images themselves"

    @property
    def family(self) -> str:
        """Of "features", "tower" and "own network": what is trained."""
        if self.fit is not None:
            return "features"
        return "own network" if self.network else "tower"

    @property
    def command(self) -> str:
        """The command that runs it in a comparison."""
        return (*self.by, "finetune")[0]
