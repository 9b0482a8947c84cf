"""The input of a method on cached features: features, labels and class texts, checked."""

from dataclasses import dataclass, replace

import numpy as np

from duet import unit_rows

SPREAD = 1.0  # of the prior on the log of the zero-shot temperature


@dataclass(frozen=True)
class BeforeProjection:
    """What enters the last projection of an image side, from which embeddings are made.

    An embedding is `features @ matrix + bias`, brought to unit length.

    Attributes:
        features: float32 [n, w], or [v, n, w] in views, of the images of the task.
        matrix: float32 [w, d]; bias: float32 [d], or None.
        validation: float32 [m, w], of the validation images; None without.
    """

    features: np.ndarray
    matrix: np.ndarray
    bias: np.ndarray | None = None
    validation: np.ndarray | None = None


@dataclass(frozen=True)
class Task:
    """Images to learn from, as a frozen model's features, and the names of their classes.

    Notation: n images, v views, d numbers of an embedding, c classes.

    Attributes:
        features: [n, d], or [v, n, d] with several views of every image, the first as it is to be
            classified; of any length.
        labels: int [n], rows of `class_texts`.
        class_texts: embeddings [c, d] of the class names; of any length.
        scale: logits of the zero-shot classifier are `scale` times the cosine.
        validation: features [m, d] and labels [m] to choose settings by. Without it methods use
            the settings that were published for such tasks, or folds of the training images.
        weights: float [n] of the images, see `class_weights`; default 1.
        before: what entered the last projection, for the method that trains it.

    Features and texts are float32 of unit length afterwards, and `weights` are never None.

    Raises:
        ValueError: shapes that do not fit, a label that is no row of `class_texts`, no image,
            fewer than two classes, or a value that is not finite.
    """

    features: np.ndarray
    labels: np.ndarray
    class_texts: np.ndarray
    scale: float
    validation: tuple[np.ndarray, np.ndarray] | None = None
    weights: np.ndarray = None  # type: ignore[assignment]  # an array after __post_init__
    before: BeforeProjection | None = None

    def __post_init__(self):
        labels = _whole("labels", self.labels)
        weights = np.ones(len(labels)) if self.weights is None else self.weights
        for name, value in (
            ("features", unit(self.features)),
            ("labels", labels),
            ("class_texts", unit(self.class_texts)),
            ("scale", float(self.scale)),
            ("weights", np.asarray(weights, np.float32)),
        ):
            object.__setattr__(self, name, value)
        if self.validation is not None:
            features, wanted = self.validation
            wanted = _whole("validation labels", wanted)
            object.__setattr__(self, "validation", (unit(features), wanted))
        _check(self)

    @property
    def images(self) -> int:
        """How many images there are to learn from."""
        return len(self.labels)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_texts)

    @property
    def counts(self) -> np.ndarray:
        """Images of every class, int [c]."""
        return np.bincount(self.labels, minlength=self.classes)

    @property
    def shots(self) -> float:
        """Mean number of images of the classes that have any."""
        counts = self.counts
        return float(counts[counts > 0].mean())

    @property
    def views(self) -> np.ndarray:
        """Features [v, n, d], also where there is one view alone."""
        return self.features if self.features.ndim == 3 else self.features[None]

    @property
    def first_view(self) -> np.ndarray:
        """Features [n, d] of the images as they are to be classified."""
        return self.views[0]

    @property
    def mean_features(self) -> np.ndarray:
        """Unit means [n, d] over the views of every image."""
        return unit(self.views.mean(axis=0))

    def zero_shot(self, features: np.ndarray) -> np.ndarray:
        """Zero-shot logits [n, c] of unit features [n, d]."""
        return self.scale * (features @ self.class_texts.T)

    def calibrated_scale(self) -> float:
        """Return the scale at which zero-shot probabilities fit the labels of the images.

        The zero-shot classifier has not seen these images, so its temperature can be fitted on
        them; a prior keeps it near the model's own where there are few.
        """
        from classifiers.temperature_scaling import temperature

        logits = self.zero_shot(self.first_view)
        return self.scale / temperature(logits, self.labels, weights=self.weights, spread=SPREAD)

    def stacked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features [v n, d], labels [v n] and weights [v n] of all views, one after another.

        The weights of an image's rows sum to the weight of the image.
        """
        views, count = self.views, len(self.views)
        weights = np.tile(self.weights, count) / count
        return views.reshape(-1, views.shape[2]), np.tile(self.labels, count), weights

    def require_every_class(self, method: str) -> None:
        """Raises ValueError where a class has no image and the method cannot do without."""
        if not self.counts.all():
            raise ValueError(
                f"{method}: expected one or more images of every class; class number "
                f"{int(self.counts.argmin())} has none"
            )

    def only(self, classes: np.ndarray) -> "Task":
        """The same task of these classes alone, in this order, as if there were no others."""
        place = np.full(self.classes, -1)
        place[classes] = np.arange(len(classes))
        rows = place[self.labels] >= 0
        found = replace(
            self,
            features=self.features[..., rows, :],
            labels=place[self.labels[rows]],
            class_texts=self.class_texts[classes],
            weights=self.weights[rows],
            validation=None,
            before=None,
        )
        kept = None
        if self.validation is not None:
            kept = place[self.validation[1]] >= 0
            if kept.any():
                chosen = self.validation[0][kept], place[self.validation[1][kept]]
                found = replace(found, validation=chosen)
        if self.before is not None:
            before = replace(self.before, features=self.before.features[..., rows, :])
            if kept is not None and before.validation is not None:
                left = before.validation[kept] if kept.any() else None
                before = replace(before, validation=left)
            found = replace(found, before=before)
        return found


def unit(values: np.ndarray) -> np.ndarray:
    """Float32 rows of unit length along the last axis; rows of zeros stay."""
    return unit_rows.unit(np.asarray(values, np.float32))


def _check(task: Task) -> None:
    features, labels, texts = task.features, task.labels, task.class_texts
    fits = features.ndim in (2, 3) and texts.ndim == 2 and labels.ndim == 1
    if not fits or features.shape[-2:] != (len(labels), texts.shape[1]) or not len(labels):
        raise ValueError(
            "expected features [n, d] or [views, n, d], labels [n] and class_texts [c, d]; got "
            f"{list(features.shape)}, {list(labels.shape)} and {list(texts.shape)}"
        )
    if len(texts) < 2:
        raise ValueError(f"class_texts: expected two or more classes; got {len(texts)}")
    if task.weights.shape != labels.shape or not (task.weights > 0).all():
        raise ValueError(f"weights: expected {len(labels)} positive numbers, one for each image")
    _check_labels("labels", labels, len(texts))
    if task.validation is not None:
        held, wanted = task.validation
        if held.ndim != 2 or held.shape != (len(wanted), texts.shape[1]) or not len(wanted):
            raise ValueError(
                f"validation: expected features [m, {texts.shape[1]}] and labels [m]; got "
                f"{list(held.shape)} and {list(wanted.shape)}"
            )
        _check_labels("validation labels", wanted, len(texts))
    for name, values in (("features", features), ("class_texts", texts)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: expected finite numbers; got one that is not")
    if task.before is not None:
        _check_before(task.before, task)


def _whole(name: str, labels: np.ndarray) -> np.ndarray:
    """Labels as int64; ValueError for a fraction, which would be cut off."""
    given = np.asarray(labels)
    whole = given.astype(np.int64)
    if not np.array_equal(whole, given):
        wrong = given[whole != given].flat[0]
        raise ValueError(f"{name}: expected whole numbers, the rows of class_texts; got {wrong}")
    return whole


def _check_labels(name: str, labels: np.ndarray, classes: int) -> None:
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{name}: expected 0 to {classes - 1}, the rows of class_texts; got {labels.min()} "
            f"to {labels.max()}"
        )


def _check_before(before: BeforeProjection, task: Task) -> None:
    wanted = (*task.features.shape[:-1], before.matrix.shape[0])
    if before.features.shape != wanted or before.matrix.shape[1] != task.class_texts.shape[1]:
        raise ValueError(
            f"before: expected features {list(wanted)} and a matrix with "
            f"{task.class_texts.shape[1]} columns; got {list(before.features.shape)} and "
            f"{list(before.matrix.shape)}"
        )
    held = None if task.validation is None else len(task.validation[1])
    given = None if before.validation is None else len(before.validation)
    if held != given:
        raise ValueError(f"before.validation: expected {held} rows, as in validation; got {given}")
