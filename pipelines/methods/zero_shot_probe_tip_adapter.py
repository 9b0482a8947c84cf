"""Methods on cached features: zero-shot, linear probe, Tip-Adapter. A `Task` in, a `Fitted` out."""

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from duet import unit_rows
from pipelines.methods import several_labels, training_loop
from pipelines.methods.few_shot_task import Task
from pipelines.methods.method import Fitted

if TYPE_CHECKING:
    from classifiers import probe

TIP_EPOCHS = 20  # as published
TIP_STEPS = 100  # and no fewer than these, of which images that fit a step or two need more passes


def zero_shot(task: Task) -> Fitted:
    """Class names alone: cosines with their embeddings, times the logit scale."""
    if task.several_labels:
        return several_labels.zero_shot(task)
    matrix = task.require_texts().T
    return Fitted(
        lambda features: unit_rows.unit(features) @ matrix,
        0,
        head=(matrix[:, list(task.seen)], np.zeros(len(task.seen), np.float32)),
        unit_length=True,
        more={"templates": [*task.templates]},
    )


def transductive(task: Task) -> Fitted:
    """StatA: the images that are answered inform each other; see `classifiers.transductive`."""
    from classifiers import transductive as statistics

    texts = task.require_texts()
    scale = float(np.linalg.norm(texts[0]))

    def logits(features: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(statistics.stata(features, texts, scale=scale), 1e-30))

    return Fitted(logits, 0, more={"templates": [*task.templates]})


#: Prompts that may fit images better than those of the set.
WORDS = ("{}", "a {}", "a photo of a {}.", "a close-up photo of a {}.", "a picture of the {}")


def chosen_words(task: Task) -> Fitted:
    """Zero-shot in the prompts that fit the images to choose by; those of the task unless others
    have the surely lower cross-entropy at the best temperature of each."""
    import dual_encoder
    from classifiers import on_features, temperature_scaling

    own = tuple(task.templates)
    texts, tried = {own: task.require_texts()}, {}
    assert task.model is not None
    for words in (WORDS, *((each,) for each in WORDS)):
        with contextlib.suppress(ValueError):  # names that this model tells apart in others alone
            texts[words] = dual_encoder.class_texts(task.model, task.names, words)
    features, labels = unit_rows.unit(task.validation[0]), task.validation[1]
    for words, found in texts.items():
        said = features @ found[list(task.seen)].T
        tried[words] = temperature_scaling.losses(temperature(said, labels) * said, labels)
    words = on_features.choose(tried, own)
    matrix = texts[words].T
    return Fitted(
        lambda features: unit_rows.unit(features) @ matrix,
        0,
        head=(matrix[:, list(task.seen)], np.zeros(len(task.seen), np.float32)),
        unit_length=True,
        more={"templates": [*words]},
    )


def linear_probe(task: Task) -> Fitted:
    """Logistic regression; of each class by itself where images may have several.

    A class that it has not learnt is named by its text.

    Both kinds of logits are multiplied by the factor of the lowest cross-entropy on validation, so
    that they are on one scale.
    """
    if task.several_labels:
        return several_labels.linear_probe(task)
    found = probe_of(task)
    features, labels = task.validation
    factor = temperature(found.logits(features), labels)
    weights, bias = factor * found.weights, factor * found.bias
    text_factor, offset = 1.0, 0.0
    if task.held_out and task.texts is not None:
        text_factor = temperature(unit_rows.unit(features) @ task.texts[list(task.seen)].T, labels)
        offset = _probe_offset(task, found.strength, factor=factor, text_factor=text_factor)

    def logits(features: np.ndarray) -> np.ndarray:
        known = features @ weights + bias
        return task.among_all(known, features, text_factor=text_factor, offset=offset)

    more = {"strength": found.strength}
    return Fitted(logits, weights.size + bias.size, head=(weights, bias), more=more)


def _probe_offset(task: Task, strength: float, *, factor: float, text_factor: float) -> float:
    """Of the texts' logits, by probes without some of the classes; see `on_features.offset`."""
    from classifiers import on_features, probe

    values, labels, (held, wanted) = task.views, task.train[1], task.validation
    classes = len(task.seen)
    texts = task.require_texts()[list(task.seen)]

    def part(away: np.ndarray) -> on_features.SetAside:
        columns = np.array([*np.setdiff1d(np.arange(classes), away), *away])
        kept, place = classes - len(away), np.argsort(columns)
        inside = place[labels] < kept
        learnt = dataclasses.replace(task, train=(values[:, inside], place[labels[inside]]))
        found = probe.fit(
            *learnt.stacked,
            strengths=(strength,),
            class_weight=task.class_weight,
        )
        images = np.concatenate([held, values[0, ~inside]])
        named = (unit_rows.unit(images) @ texts.T)[:, columns]
        right = place[np.concatenate([wanted, labels[~inside]])]
        logits = [factor * found.logits(images), text_factor * named[:, kept:]]
        return on_features.SetAside(
            np.concatenate(logits, axis=1), right, kept, named.argmax(axis=1) == right
        )

    if classes < 4:
        return 0.0
    return on_features.offset([part(away) for away in on_features.groups(classes, task.seed)])


def probe_of(task: Task) -> "probe.Probe":
    """The logistic regression, its strength chosen on validation."""
    from classifiers import probe

    found = probe.fit(*task.stacked, validation=task.validation, class_weight=task.class_weight)
    print(
        f"linear probe: C = {found.strength:g}, "
        f"{100 * found.accuracies[found.strength]:.1f} % on validation"
    )
    return found


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The factor of logits [n, c] that gives labels [n] the lowest mean cross-entropy."""
    from classifiers import temperature_scaling

    return 1 / temperature_scaling.temperature(logits, labels)


def tip_adapter(task: Task) -> Fitted:
    """A cache of few images beside the class names, which alone name what it has not learnt.

    The mean of an image's views is its key (Zhang et al. 2022, arXiv:2207.09519, section 4.1).
    """
    return _tip_adapter(task, trained=False)


def tip_adapter_f(task: Task) -> Fitted:
    """The same, its keys trained."""
    return _tip_adapter(task, trained=True)


def _tip_adapter(task: Task, *, trained: bool) -> Fitted:
    import keras

    import classifiers
    from classifiers import on_features

    views, labels = unit_rows.unit(task.views), task.train[1]
    features = unit_rows.unit(views.mean(axis=0))
    matrix = task.require_texts()[list(task.seen)].T
    given = features, labels, matrix
    adapter = classifiers.TipAdapter(*given, name="tip_adapter", dtype="float32")
    if trained:
        data = training_loop.batches_of(views, labels, most=256, seed=task.seed)
        epochs = max(TIP_EPOCHS, -(-TIP_STEPS // data.steps))
        rate = keras.optimizers.schedules.CosineDecay(1e-3, epochs * data.steps)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, epsilon=1e-4, name="optimizer")
        adapter.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        training_loop.train(adapter, data, epochs=epochs, folder=task.folder)
    held, wanted = unit_rows.unit(task.validation[0]), task.validation[1]
    accuracy = adapter.search(held, wanted)
    offset = on_features.offset_in_turn(adapter.logits(held), held @ matrix, wanted)
    return Fitted(
        lambda features: task.among_all(
            adapter.logits(unit_rows.unit(features)), features, offset=offset
        ),
        features.size if trained else 0,
        more={"alpha": adapter.alpha, "beta": adapter.beta, "validation_top1": accuracy},
    )
