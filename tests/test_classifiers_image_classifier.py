"""Classifiers of any tower: what they compute, train, and are after saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import PIXELS, bert, clip, siglip, vit

import classifiers
import dual_encoder

pytestmark = pytest.mark.usefixtures("all_eagerly")

NAMES = ["red cat", "blue dog", "café"]
TEMPLATES = ["a photo of a {}.", "the {}"]


def zero_shot(**options):
    return classifiers.from_model(
        clip(), classes=NAMES, head="zero-shot", templates=TEMPLATES, **options
    )


@pytest.mark.parametrize("make", [clip, siglip])
def test_a_zero_shot_head_starts_as_the_zero_shot_classifier(make):
    source = make()
    source.build()
    expected = dual_encoder.ZeroShotClassifier.from_names(source, NAMES, TEMPLATES)(PIXELS)
    model = classifiers.from_model(source, classes=NAMES, head="zero-shot", templates=TEMPLATES)
    np.testing.assert_allclose(model(PIXELS), expected, atol=1e-5)
    assert [v.path.split("/")[-1] for v in model.head.trainable_variables] == ["kernel", "bias"]


def test_with_several_labels_a_zero_shot_head_has_the_bias_of_siglip():
    source = siglip()
    source.build()
    model = classifiers.from_model(source, classes=NAMES, head="zero-shot", multi_label=True)
    names = dual_encoder.class_embeddings(source, NAMES, ["a photo of a {}."])
    cosines = np.array(source.encode_image(PIXELS)) @ names.T
    expected = float(source.logit_scale) * cosines + float(source.logit_bias)
    np.testing.assert_allclose(model(PIXELS), expected, atol=1e-4)


@pytest.mark.parametrize("make", [clip, vit])
def test_a_linear_head_is_fresh_and_sees_the_features(make):
    source = make()
    model = classifiers.from_model(source, classes=4)
    features = model.encode_image(PIXELS)
    np.testing.assert_allclose(model(PIXELS), model.head(features), atol=1e-5)
    assert model.class_names == ["class 0", "class 1", "class 2", "class 3"]
    expected = source.encode_image(PIXELS)  # CLIP's are of unit length
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    made = np.asarray(features) / (lengths if make is clip else 1)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_a_fresh_head_learns_in_few_steps_at_a_pretrained_network_s_rate():
    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3))
    wide = keras.layers.Dense(512)(keras.layers.GlobalAveragePooling2D()(pixels))
    head = classifiers.from_model(keras.Model(pixels, wide), classes=10).head
    rng, width = np.random.default_rng(0), 512
    centres = 0.3 * rng.normal(size=(10, width))
    labels = rng.permutation(np.repeat(np.arange(10), 36))
    features = (centres[labels] + rng.normal(size=(360, width))).astype("float32")
    model = keras.Sequential([head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-4), loss)
    model.fit(features, labels, epochs=10, batch_size=64, verbose=0)
    said = np.asarray(model(features)).argmax(axis=1)
    assert (said == labels).mean() > 0.9


@pytest.mark.parametrize("multi_label", [False, True])
def test_it_learns_by_plain_fit(multi_label, in_graphs):
    keras.utils.set_random_seed(0)
    model = zero_shot(multi_label=multi_label)
    labels = np.eye(3, dtype=np.float32) if multi_label else np.arange(3)
    model.compile(keras.optimizers.Adam(3e-3))
    losses = model.fit({"image": PIXELS}, labels, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_step_is_traced_once(multi_label, in_graphs, monkeypatch):
    """Metrics that were made in it would have it traced again."""
    model, traced = zero_shot(multi_label=multi_label), []
    labels = np.eye(3, dtype=np.float32) if multi_label else np.arange(3)
    model.compile("sgd", metrics=["accuracy"])
    step = model.train_step
    monkeypatch.setattr(model, "train_step", lambda data: traced.append(1) or step(data))
    found = model.fit({"image": PIXELS}, labels, batch_size=3, epochs=2, verbose=0).history
    assert len(traced) == 1 and len(found["accuracy"]) == 2


def test_losses_by_name_take_logits(in_graphs):
    model = zero_shot()
    logits, labels = np.asarray(model(PIXELS)), np.array([2, 0, 1])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(PIXELS, labels, verbose=0)
    powers = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.log(powers[np.arange(3), labels]).mean(), rel=1e-4)
    assert accuracy == pytest.approx((logits.argmax(axis=1) == labels).mean())


def test_metrics_leave_the_padding_out(in_graphs):
    model = zero_shot()
    model.compile("sgd", metrics=["accuracy"])
    labels = np.asarray(model(PIXELS)).argmax(axis=1)
    labels[2] = (labels[2] + 1) % 3
    weights = np.array([1, 1, 0], np.float32)
    assert model.evaluate(PIXELS, labels, sample_weight=weights, verbose=0)[1] == 1


@pytest.mark.parametrize("head", ["linear", "zero-shot"])
def test_saved_and_loaded_it_is_the_same(tmp_path, head):
    model = classifiers.from_model(clip(), classes=NAMES, head=head, multi_label=True)
    model.compile("adamw", metrics=["binary_accuracy"])
    model.fit(PIXELS, np.eye(3, dtype=np.float32), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(PIXELS), model.predict(PIXELS), atol=1e-6)
    assert loaded.class_names == NAMES and loaded.multi_label
    assert loaded.preprocessing == model.preprocessing
    loaded.fit(PIXELS, np.eye(3, dtype=np.float32), verbose=0)


@pytest.mark.parametrize("name", ["resnet50", "xception", "efficientnet-b7"])
def test_networks_of_keras_applications_by_name(name):
    model = classifiers.build(name, classes=5, weights=None, image_size=71)
    assert model.image_projection is None
    assert tuple(model.head.kernel.shape) in ((2048, 5), (2560, 5))


def test_models_by_the_names_of_the_table():
    model = classifiers.build("shapes-tiny", classes=["red star", "blue ring"], head="zero-shot")
    assert model(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: classifiers.build("vit-tiny", classes=3, head="cosine"),
            "one of linear, zero-shot",
        ),
        (lambda: classifiers.build("vit-tiny", classes=NAMES, head="zero-shot"), "a dual encoder"),
        (
            lambda: classifiers.from_model(clip(), classes=3, head="zero-shot"),
            "got DualEncoder and a number",
        ),
        (
            lambda: classifiers.ImageClassifier(
                clip().image_tower, keras.layers.Dense(2), class_names=NAMES
            ),
            "expected 3 outputs, one per class; got 2",
        ),
        (
            lambda: classifiers.ImageClassifier(
                clip().image_tower, keras.layers.Flatten(), class_names=NAMES
            ),
            "head: expected a layer with units, such as Dense; got Flatten",
        ),
        (
            lambda: classifiers.ImageClassifier(
                clip().image_tower, keras.layers.Dense(3), class_names="abc"
            ),
            "class_names: expected a list of 1 or more texts; got 'abc'",
        ),
        (lambda: classifiers.from_model(keras.layers.Dense(2), classes=3), "with an image tower"),
        (lambda: classifiers.from_model(bert(), classes=3), "backbone: expected one fo"),
        (lambda: classifiers.build(None, classes=3), "name: expected a text or a path; got None"),
        (lambda: classifiers.build(clip(), classes=3), "got <DualEncoder .*; from_model takes mod"),
        (
            lambda: classifiers.build("shapes-tiny", classes=3, weights=None),
            "weights: 'shapes-tiny' is a checkpoint with its own; got None",
        ),
        *[
            (lambda given=given: classifiers.from_model(clip(), classes=given), f"classes: {said}")
            for given, said in (
                (
                    "cat,dog",
                    "expected a number above 0 or a list of 1 or more texts; got 'cat,dog'",
                ),
                (0, "expected a number above 0 or a list of 1 or more texts; got 0"),
                (True, "expected a number above 0 or a list of 1 or more texts; got True"),
                (3.0, "expected a number above 0 or a list of 1 or more texts; got 3.0"),
                ({0: "cat"}, "expected a number above 0 or a list of 1 or more texts; got {0"),
                ([0, 1], "expected a number above 0 or texts; got 0 among them"),
            )
        ],
    ],
)
def test_classifiers_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("given", [np.int64(2), iter(["cat", "dog"]), np.array(["cat", "dog"])])
def test_classes_come_as_numbers_and_names_of_numpy_too(given):
    model = classifiers.from_model(clip(), classes=given)
    assert model.class_names in (["class 0", "class 1"], ["cat", "dog"])
    assert {type(name) for name in model.class_names} == {str}


def test_images_of_another_size_are_refused():
    model = classifiers.build("shapes-tiny", classes=["red star", "blue ring"])
    for call in (model, model.encode_image, model.predict):
        with pytest.raises(
            ValueError, match=r"expected pixels \[b, 64, 64, 3\].*got \[1, 128, 128, 3\]"
        ):
            call(np.zeros((1, 128, 128, 3), "uint8"))


def test_records_of_more_classes_than_it_has_are_refused_before_a_step():
    model = zero_shot()
    model.compile("sgd", metrics=["accuracy"])
    dataset = tf.data.Dataset.from_tensor_slices((PIXELS, np.arange(3))).batch(3)
    dataset.label_count = 4  # as `tfrecords.load` says it
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"labels of the 3 classes .* a dataset of 4 classes"):
            call(dataset, verbose=0)
    dataset.label_count = 3
    model.fit(dataset, verbose=0)
