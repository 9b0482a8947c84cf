"""CoCoOp: prompts that each image shifts, in chunks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from keras import ops
from prompted_models import model_of
from tiny_models import PIXELS

from dual_encoder import CoCoOp, CoOp

NAMES = ["cat", "red apple pie", "a dog's house"]


@pytest.fixture(scope="module")
def clip():
    return model_of("clip")


@pytest.fixture(scope="module")
def x(clip):
    return np.random.default_rng(0).normal(size=(8, clip.embed_dim)).astype("float32")


def weights_of(prompts):
    return {weight.path.split("/", 1)[1]: weight for weight in prompts.weights}


def test_each_image_has_the_prompts_of_its_own_shift(clip, x):
    """By hand, one image at a time: CoOp whose context is moved by the net's answer."""
    cocoop = CoCoOp(clip, NAMES, seed=1)
    coop = CoOp(clip, NAMES, words="a photo of a")
    found, unit = ops.convert_to_numpy(cocoop(x)), x / np.linalg.norm(x, axis=1, keepdims=True)
    w = {name: ops.convert_to_numpy(weight) for name, weight in weights_of(cocoop).items()}
    assert w["meta_hidden/kernel"].shape == (6, 1) and w["meta_shift/kernel"].shape == (1, 12)
    for image, logits in zip(unit[:3], found, strict=False):
        hidden = np.maximum(image @ w["meta_hidden/kernel"] + w["meta_hidden/bias"], 0)
        coop.context.assign(w["context"] + hidden @ w["meta_shift/kernel"] + w["meta_shift/bias"])
        np.testing.assert_allclose(logits, coop(image[None])[0], atol=1e-4)


def test_a_model_need_not_be_built_before():
    assert CoCoOp(tiny_models.clip(), ["cat", "dog"], words="a").logits(np.ones((2, 6))).shape == (
        2,
        2,
    )


def test_chunks_change_nothing(clip, x):
    whole = CoCoOp(clip, NAMES, seed=1, decay=0.1)
    whole.compile("sgd")
    y = ops.convert_to_tensor(np.arange(8) % 3)
    expected = whole.gradients_of(ops.convert_to_tensor(x), y)
    for chunk in (7, 12):  # two and four images at a time
        whole.chunk = chunk
        np.testing.assert_allclose(whole.logits(x[:7]), expected[0][:7], atol=1e-4)
        found = whole.gradients_of(ops.convert_to_tensor(x), y)
        for ours, theirs in zip(
            keras.tree.flatten(found), keras.tree.flatten(expected), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_it_learns_in_chunks_and_nothing_else_changes(clip, x):
    cocoop = CoCoOp(clip, NAMES, seed=1, chunk=6)
    assert sorted(weights_of(cocoop)) == [
        "context",
        "meta_hidden/bias",
        "meta_hidden/kernel",
        "meta_shift/bias",
        "meta_shift/kernel",
    ]
    before = [ops.convert_to_numpy(weight) for weight in clip.weights]
    start = [ops.convert_to_numpy(weight) for weight in cocoop.weights]
    cocoop.compile(keras.optimizers.SGD(0.05), metrics=["accuracy"])
    losses = cocoop.fit(x, np.arange(8) % 3, epochs=8, batch_size=4, verbose=0).history["loss"]
    assert losses[-1] < 0.95 * losses[0]
    for weight, kept in zip(clip.weights, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), kept)
    for weight, was in zip(cocoop.weights, start, strict=True):
        assert np.abs(ops.convert_to_numpy(weight) - was).max() > 0


def test_a_classifier_of_images(clip):
    cocoop = CoCoOp(clip, NAMES, n_ctx=2, words=None, seed=1)
    embeddings = ops.convert_to_numpy(clip.encode_image(PIXELS))
    for names in (None, ["dog", "house"]):  # all at once, and one at a time
        cocoop.chunk = 1 if names else 512
        classifier = cocoop.classifier(names)
        assert classifier.class_names == (names or NAMES)
        found = classifier.predict(PIXELS, verbose=0)
        np.testing.assert_allclose(found, cocoop.logits(embeddings, names), atol=1e-4)
    assert classifier.preprocessing == clip.preprocessing


def test_its_classifier_is_exported_without_a_call(clip, tmp_path):
    classifier = CoCoOp(clip, NAMES, n_ctx=2, words=None, seed=1).classifier()
    classifier.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    found = served.serve(PIXELS.astype("float32"))
    np.testing.assert_allclose(found, classifier(PIXELS), atol=1e-4)


def test_what_is_refused(clip):
    with pytest.raises(ValueError, match="chunk: expected 1 or more prompts at a time; got 0"):
        CoCoOp(clip, NAMES, chunk=0)
    with pytest.raises(ValueError, match="class_specific: CoCoOp's vectors are the same"):
        CoCoOp(clip, NAMES, class_specific=True)
    with pytest.raises(ValueError, match="each image's own: use logits or classifier"):
        CoCoOp(clip, NAMES).class_matrix()


def test_saving_its_classifier_says_what_is_saved_instead(clip, tmp_path):
    with pytest.raises(ValueError, match=r"use dual_encoder\.save_prompts"):
        CoCoOp(clip, NAMES).classifier().save(tmp_path / "model.keras")


def test_its_classifier_leaves_padding_out_and_names_images(clip, eagerly):
    classifier = CoCoOp(clip, NAMES, seed=1).classifier()
    classifier.compile(metrics=["accuracy"])
    labels = np.argmax(classifier.predict(PIXELS, verbose=0), axis=-1)
    said = labels + (np.arange(len(labels)) > 0)  # right for the first image alone
    weight = np.float32(np.arange(len(labels)) == 0)
    data = tf.data.Dataset.from_tensors(({"image": PIXELS}, said % len(NAMES), weight))
    assert classifier.evaluate(data, verbose=0, return_dict=True)["accuracy"] == 1
    [[(name, share)]] = classifier.predict_images([PIXELS[0]], top_k=1)
    assert name == NAMES[labels[0]] and 0 < share < 1
