"""Predict the classes of unlabelled images: the command `predict`, and the same in Python.

`load` makes a predictor of whatever Duet saved or exported, `predict_images` asks it:

    >>> from pipelines import prediction
    >>> predictor = prediction.load("runs/photos")
    >>> for said in prediction.predict_images(predictor, ["a.jpg", "b.jpg"]):
    ...     print(said.file, said.label, said.classes[:3])
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.prediction.answers import Answer as Answer
    from pipelines.prediction.load_predictor import load as load
    from pipelines.prediction.predict_batches import predict_images as predict_images
    from pipelines.prediction.predictor import Predictor as Predictor

_LAZY = {
    "Answer": "answers",
    "Predictor": "predictor",
    "load": "load_predictor",
    "predict_images": "predict_batches",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'pipelines.prediction' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"pipelines.prediction.{_LAZY[name]}"), name)
