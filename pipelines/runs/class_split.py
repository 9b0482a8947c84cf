"""Choose the classes a run trains on and their images; the rest is never used in training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duet import name_list

if TYPE_CHECKING:
    from tfrecords import Manifest


ENOUGH = 4  # classes of which some can be set aside


@dataclass(frozen=True)
class Parts:
    """Classes by their labels in the records, images of split train by their ids.

    Attributes:
        seen: classes that are trained on, in order; y in training is the index in it.
        held_out: classes that are not.
        train: images of seen classes, trained on.
        validation: images of seen classes for model selection.
        watched: images of held-out classes, measured every epoch but not used for selection.
    """

    seen: tuple[int, ...]
    held_out: tuple[int, ...]
    train: tuple[int, ...]
    validation: tuple[int, ...]
    watched: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON has it, to be kept with the results."""
        return {name: list(numbers) for name, numbers in asdict(self).items()}


def held_out_classes(
    manifest: "Manifest", *, count: int = 0, names: list[str] | None = None, seed: int | None = None
) -> tuple[int, ...]:
    """Labels of the classes that are not trained on, ascending.

    Args:
        manifest: of the records.
        count: the first so many in the order of the labels, the C1...C10 of the Food-101 study.
        names: these instead.
        seed: draws `count` classes instead of taking the first.

    Raises:
        ValueError: both a count and names, a name that is no class, fewer than two classes left,
            or classes of a multi-label set.
    """
    from tfrecords import splits

    classes = len(manifest.class_names)
    if count and names:
        raise ValueError("--held-out and --held-out-classes: expected one of them; got both")
    if (count or names) and manifest.multi_label:
        raise ValueError(
            f"--held-out: images of {manifest.dataset} have several classes; expected a set "
            "whose images have one"
        )
    if names:
        chosen = tuple(sorted({_label(manifest, name) for name in names}))
    elif not count:
        return ()
    elif seed is not None:
        return splits.held_out_classes(classes, count, seed=seed)
    else:
        chosen = tuple(range(count))
    if classes < 3:
        raise ValueError(
            f"--held-out: {manifest.dataset} has {classes} classes, and two have to be left to "
            "train on; expected a set of three or more"
        )
    if not 0 < len(chosen) <= classes - 2:
        raise ValueError(
            f"--held-out: expected 1 to {classes - 2} of the {classes} classes of "
            f"{manifest.dataset}; got {len(chosen)}"
        )
    return chosen


def divide(
    ids: np.ndarray,
    labels: np.ndarray,
    manifest: "Manifest",
    *,
    held_out: tuple[int, ...],
    fraction: float,
    seed: int,
) -> Parts:
    """Cut the images of split train, of which `tfrecords.labels` gave ids and labels, in parts.

    Every class, held out or not, gives the share `fraction` of its images to be measured.

    Raises:
        ValueError: a class without an image to train on, no image to choose by, or a label
            that is no class.
    """
    from tfrecords import splits

    names = manifest.class_names
    _check_labels(labels, manifest)
    train, measured = splits.train_validation(labels, fraction=fraction, seed=seed)
    if manifest.multi_label:
        seen = tuple(range(len(names)))
        missing = np.flatnonzero(~labels[train].any(axis=0)).tolist()
        is_held_out = np.zeros(len(labels), bool)
    else:
        seen = tuple(i for i in range(len(names)) if i not in held_out)
        missing = sorted(set(seen) - set(labels[train].tolist()))
        is_held_out = np.isin(labels, held_out)
    if missing:
        hint = "" if manifest.multi_label else "; leave it out with --held-out-classes"
        raise ValueError(
            f"class {names[missing[0]]!r} has no images to train on in {manifest.dataset}{hint}"
        )
    _check_measured(labels[measured], is_held_out[measured], manifest)

    def numbers(which: np.ndarray) -> tuple[int, ...]:
        return tuple(ids[which].tolist())

    return Parts(
        seen=seen,
        held_out=tuple(held_out),
        train=numbers(train[~is_held_out[train]]),
        validation=numbers(measured[~is_held_out[measured]]),
        watched=numbers(measured[is_held_out[measured]]),
    )


def _check_measured(labels: np.ndarray, is_held_out: np.ndarray, manifest: "Manifest") -> None:
    """Raises ValueError where no image can be chosen by."""
    if is_held_out.all():
        raise ValueError(
            f"no image to choose by in {manifest.dataset}: "
            + (
                "every image in split train has a class that no other has; expected one without"
                if manifest.multi_label
                else "every class that is trained on has one image in split train; expected a "
                "class with two or more"
            )
        )
    if manifest.multi_label and not labels.any():
        raise ValueError(
            f"no image to choose by in {manifest.dataset} has a label; expected more images, or "
            "labels on more of them"
        )


def _check_labels(labels: np.ndarray, manifest: "Manifest") -> None:
    classes = len(manifest.class_names)
    if labels.ndim == 2:
        if labels.shape[1] != classes:
            raise ValueError(f"labels: expected {classes} columns; got {labels.shape[1]}")
        return
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise ValueError(
            f"labels: expected 0 to {classes - 1}, the classes of {manifest.dataset}; got "
            f"{wrong[0]} ({len(wrong):,} images)"
        )


def pseudo(parts: Parts, *, seed: int) -> tuple[int, ...]:
    """Returns a tenth of the seen classes, at least two, to be treated as held out.

    They measure a method's effect on unseen classes without using the held-out classes.

    Raises ValueError with fewer than `ENOUGH` seen classes.
    """
    from tfrecords import splits

    count = max(2, round(0.1 * len(parts.seen)))
    if len(parts.seen) < ENOUGH:
        raise ValueError(
            f"to choose by classes set aside: expected {ENOUGH} or more classes; got "
            f"{len(parts.seen)}"
        )
    places = splits.held_out_classes(len(parts.seen), count, seed=seed)
    return tuple(parts.seen[place] for place in places)


def set_aside(parts: Parts, away: tuple[int, ...], *, labels: Mapping[int, int]) -> Parts:
    """The same with some of the seen classes held out, and the others out of sight.

    All images of classes set aside are watched: those to train on, and those to choose by.

    Args:
        away: classes of `parts.seen`.
        labels: of the images of `parts`, by id.
    """

    def those(ids: tuple[int, ...], *, inside: bool) -> tuple[int, ...]:
        return tuple(number for number in ids if (labels[number] in away) == inside)

    return Parts(
        seen=tuple(label for label in parts.seen if label not in away),
        held_out=away,
        train=those(parts.train, inside=False),
        validation=those(parts.validation, inside=False),
        watched=those((*parts.train, *parts.validation), inside=True),
    )


def _label(manifest: "Manifest", name: str) -> int:
    known = {given: i for i, given in enumerate(manifest.class_names)}
    known |= {spoken: i for i, spoken in enumerate(manifest.spoken_names)}
    if name not in known:
        hint = name_list.did_you_mean(name, known)
        has = name_list.first_of(manifest.spoken_names, 20)
        raise ValueError(
            f"--held-out-classes: expected classes of {manifest.dataset}, which are {has}; "
            f"got {name!r}{hint}"
        )
    return known[name]
