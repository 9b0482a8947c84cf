"""Made-up features of images and class names, as a dual encoder would give them."""

import numpy as np

from classifiers.on_features import BeforeProjection, Task


def unit(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


class World:
    """Classes whose images lie about a point that their name only roughly tells.

    Args:
        classes, width: c and d.
        off: how far a class's images lie from its name; noise: of an image about them.
    """

    def __init__(self, *, classes=5, width=16, off=1.0, noise=0.6, seed=0):
        rng = np.random.default_rng(seed)
        self.texts = unit(rng.normal(size=(classes, width))).astype(np.float32)
        shift = unit(rng.normal(size=(classes, width)))
        self.centres = unit(self.texts + off * shift)
        self.noise, self.classes, self.width = noise, classes, width

    def images(self, count, *, seed, views=1):
        """Features [views, n, d] and labels of `count` images per class, in a mixed order."""
        rng = np.random.default_rng((seed, count))
        labels = rng.permutation(np.repeat(np.arange(self.classes), count))
        scatter = self.noise * rng.normal(size=(len(labels), self.width)) / self.width**0.5
        small = 0.2 * rng.normal(size=(views, len(labels), self.width)) / self.width**0.5
        return unit(self.centres[labels] + scatter + small).astype(np.float32), labels

    def task(self, *, shots=4, held=8, views=1, seed=1, **more):
        """A task of `shots` images per class, with `held` per class as validation or None."""
        features, labels = self.images(shots, seed=seed, views=views)
        if held:
            values, wanted = self.images(held, seed=seed + 100)
            more.setdefault("validation", (values[0], wanted))
        features = features if views > 1 else features[0]
        return Task(features, labels, self.texts, more.pop("scale", 20.0), **more)

    def before(self, task, *, wide=24, seed=5):
        """The same task with what enters a projection from `wide` numbers to the embeddings."""
        rng = np.random.default_rng(seed)
        matrix = rng.normal(size=(wide, self.width)).astype(np.float32) / wide**0.5
        back = np.linalg.pinv(matrix)
        held = None if task.validation is None else task.validation[0] @ back
        given = BeforeProjection(task.features @ back, matrix, validation=held)
        fields = ("features", "labels", "class_texts", "scale", "validation", "weights")
        return Task(**{name: getattr(task, name) for name in fields}, before=given)


def accuracy(logits, labels):
    """Share of images whose largest logit is that of their class."""
    return float((logits.argmax(axis=1) == labels).mean())
