"""A model that answers with NaN ends every command in a line, and is never measured."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.deployment import export
from pipelines.prediction import predict_batches, predictor
from pipelines.retrieval import encode
from pipelines.runs import finite_answers, image_features

SAID = r"the model is broken: it answers 1 of 2 images with NaN or infinity"
ROWS = np.array([[1, 2], [3, np.nan]], "float32")
PIXELS = np.zeros((2, 8, 8, 3), np.uint8)


def embedded():
    batch = {"image": PIXELS}, np.zeros(2), np.ones(2)
    image_features.compute(lambda images: ROWS, [batch], count=2)


def predicted():
    asked = predictor.Predictor(("a", "b"), False, {}, lambda pixels: ROWS, "model")
    list(predict_batches.batches(asked, [], batch_size=2, threshold=None))


def retrieved():
    model = SimpleNamespace(embed_dim=2, encode_image=lambda images: ROWS)
    encode.encode_images(model, PIXELS, rows=2)


READ = {
    "features": embedded,
    "predict": predicted,
    "retrieve": retrieved,
    "export": lambda: export.agreement(np.ones((2, 2)), ROWS),
}


def test_none_are_none():
    assert finite_answers.checked(np.empty((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("command", READ)
def test_nan_is_named(command, monkeypatch):
    batch = SimpleNamespace(names=["a.jpg", "b.jpg"], images=PIXELS, unreadable=[])
    monkeypatch.setattr("tfrecords.read_images", lambda *_, **__: [batch])
    with pytest.raises(RuntimeError, match=SAID):
        READ[command]()
