"""TensorBoard's callback: what it logs of each epoch, and what the projector reads."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_models import PIXELS, TEXTS, clip

import dual_encoder
from dual_encoder import ZeroShotClassifier

NAMES = ["cat", "café", "x"]
LABELS = np.arange(3, dtype=np.int32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    model = clip()
    tokens = model.tokenizer(TEXTS, length=12)
    model.compile("sgd", run_eagerly=True)
    board = dual_encoder.TensorBoard(
        folder,
        zero_shot=tf.data.Dataset.from_tensors((PIXELS, LABELS)),
        class_names=NAMES,
        projector=(PIXELS, NAMES),
    )
    history = model.fit(
        {"image": PIXELS, "token_ids": tokens},
        LABELS,
        validation_data=({"image": PIXELS[:2], "token_ids": tokens[:2]}, LABELS[:2]),
        epochs=2,
        verbose=0,
        callbacks=[board],
    )
    return folder, model, history.history


def logged(folder):
    """All scalars of a run: name to the values of its epochs."""
    found = {}
    for path in sorted(folder.rglob("events.out.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    return found


def test_every_epoch_is_logged(trained):
    folder, _, history = trained
    scalars = logged(folder)
    assert scalars["epoch_images_per_second"] == pytest.approx(history["images_per_second"])
    assert all(speed > 0 for speed in history["images_per_second"])
    assert scalars["epoch_learning_rate"] == pytest.approx([0.01, 0.01])
    assert scalars["epoch_loss"][:2] == pytest.approx(history["loss"])


def test_zero_shot_accuracy_is_that_of_the_weights_after_the_epoch(trained):
    folder, model, history = trained
    classifier = ZeroShotClassifier.from_names(model, NAMES, ["a photo of a {}."])
    expected = np.mean(np.argmax(classifier(PIXELS), axis=-1) == LABELS)
    assert history["val_zero_shot_accuracy"][-1] == pytest.approx(expected)
    assert logged(folder)["epoch_zero_shot_accuracy"][-1] == pytest.approx(expected)


def test_the_projector_shows_embeddings_beside_their_images(trained):
    folder, model, _ = trained
    embeddings = np.loadtxt(folder / "embeddings.tsv", delimiter="\t")
    np.testing.assert_allclose(embeddings, model.encode_image(PIXELS), atol=1e-5)
    assert (folder / "labels.tsv").read_text("utf-8").splitlines() == NAMES
    with Image.open(folder / "sprite.png") as sheet:
        assert sheet.size == (96, 96)
    config = (folder / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "embeddings.tsv"' in config and "single_image_dim: 48" in config


def test_names_without_batches_are_refused():
    with pytest.raises(ValueError, match="expected batches and class_names together"):
        dual_encoder.TensorBoard("logs", class_names=NAMES)
    assert issubclass(dual_encoder.TensorBoard, keras.callbacks.TensorBoard)


def test_what_it_cannot_show_is_refused_before_an_epoch(tmp_path):
    with pytest.raises(ValueError, match="projector: expected a label per image; got 3, 2"):
        dual_encoder.TensorBoard(tmp_path, projector=(PIXELS, NAMES[:2]))
    model = clip()
    model.compile("sgd", run_eagerly=True)
    batches = tf.data.Dataset.from_tensors((PIXELS, LABELS))
    board = dual_encoder.TensorBoard(tmp_path, zero_shot=batches, class_names=["Cat", "cat", "x"])
    before = model.get_weights()
    with pytest.raises(ValueError, match="class_names: 'Cat' and 'cat' are the same tokens"):
        tokens = model.tokenizer(TEXTS, length=12)
        model.fit({"image": PIXELS, "token_ids": tokens}, verbose=0, callbacks=[board])
    for first, second in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
