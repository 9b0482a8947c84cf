"""Losses and metrics named to `compile` take the logits that models give."""

import keras
import numpy as np
import pytest
import tiny_models

import classifiers
from dual_encoder import CoOp, ZeroShotClassifier
from dual_encoder.training.compile_on_logits import loss_on_logits, metrics_on_logits

LOGITS = np.array([[4.0, -1.0, 0.5], [0.2, 0.1, -3.0]], "float32")
LABELS, COLUMNS = np.array([0, 2]), np.eye(3, dtype="float32")[[0, 2]]
IMAGES = tiny_models.PIXELS
NAMES = ["a red cat", "a photo", "x"]


def classifier(**options):
    return classifiers.from_model(tiny_models.vision(), NAMES, **options)


@pytest.mark.parametrize(
    "given",
    [
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        keras.losses.SparseCategoricalCrossentropy,
        keras.losses.sparse_categorical_crossentropy,
        ["sparse_categorical_crossentropy"],
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ],
    ids=["name", "class name", "class", "function", "list", "object"],
)
def test_every_way_to_name_a_cross_entropy_means_that_of_logits(given):
    expected = keras.losses.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    found = loss_on_logits(given)(LABELS, LOGITS)
    np.testing.assert_allclose(found, np.mean(expected), rtol=1e-6)


@pytest.mark.parametrize("name", ["binary_focal_crossentropy", "CategoricalFocalCrossentropy"])
def test_focal_losses_too(name):
    kind = {
        "b": keras.losses.BinaryFocalCrossentropy,
        "C": keras.losses.CategoricalFocalCrossentropy,
    }
    expected = kind[name[0]](from_logits=True)(COLUMNS, LOGITS)
    np.testing.assert_allclose(loss_on_logits(name)(COLUMNS, LOGITS), expected, rtol=1e-6)


def test_other_losses_are_left_as_they_are():
    own = lambda y, logits: keras.ops.mean(logits)  # noqa: E731
    assert loss_on_logits(own) is own and loss_on_logits(None) is None
    assert loss_on_logits("mse") is keras.losses.mean_squared_error


def makers():
    model = tiny_models.clip()
    zero_shot = ZeroShotClassifier.from_names(model, NAMES, ["{}"])
    return {"classifier": classifier(), "zero-shot": zero_shot, "coop": CoOp(model, NAMES, n_ctx=2)}


@pytest.mark.parametrize("kind", ["classifier", "zero-shot", "coop"])
def test_what_takes_probabilities_is_refused(kind):
    model = makers()[kind]
    with pytest.raises(ValueError, match=r"loss: expected Sparse\w+\(from_logits=True\), for the"):
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy())
    with pytest.raises(ValueError, match=r"metrics: expected AUC\(from_logits=True\), for the"):
        model.compile("sgd", metrics=[keras.metrics.AUC()])
    with pytest.raises(ValueError, match=r"metrics: expected a list, such as .* got 'accuracy'"):
        model.compile("sgd", metrics="accuracy")
    model.compile("sgd", "SparseCategoricalCrossentropy", metrics={"any": ["accuracy"]})
    assert model.loss.get_config()["from_logits"]


def test_a_head_with_its_own_softmax_takes_a_loss_of_probabilities():
    head = keras.layers.Dense(3, activation="softmax")
    model = classifiers.ImageClassifier(tiny_models.vision(), head, class_names=NAMES)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    assert np.isfinite(model.evaluate(IMAGES, np.arange(3), verbose=0)).all()


def test_named_metrics_take_logits():
    (metric,) = metrics_on_logits(["sparse_categorical_crossentropy"])
    expected = keras.losses.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    assert metric.name == "sparse_categorical_crossentropy"
    np.testing.assert_allclose(metric(LABELS, LOGITS), np.mean(expected), rtol=1e-6)


@pytest.mark.parametrize("name", ["accuracy", "acc", "binary_accuracy", "BinaryAccuracy"])
def test_accuracy_of_several_labels_is_that_of_each_class_at_a_half(name):
    model = classifier(multi_label=True)
    model.compile("sgd", metrics=[name])
    columns = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]], "float32")
    (found,) = [
        value
        for key, value in model.evaluate(IMAGES, columns, verbose=0, return_dict=True).items()
        if key != "loss"
    ]
    expected = np.mean((model.predict(IMAGES, verbose=0) > 0) == columns)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_model_saved_with_a_loss_that_is_refused_now_loads(tmp_path, monkeypatch):
    model = classifier()
    with monkeypatch.context() as before:
        before.setattr(
            "dual_encoder.training.replica_train_step.loss_on_logits", lambda loss, **_: loss
        )
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy())
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="loaded without what it was compiled with: loss: exp"):
        again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(IMAGES), model(IMAGES))


@pytest.mark.parametrize("name", ["AUC", "Precision", "Recall", "TruePositives"])
def test_named_metrics_of_several_labels_count_from_a_half(name):
    columns = np.array([[1, 0, 1], [1, 0, 0]], "float32")
    (metric,) = metrics_on_logits([name], multi_label=True)
    of_probabilities = getattr(keras.metrics, name)()
    expected = of_probabilities(columns, keras.ops.sigmoid(LOGITS))
    np.testing.assert_allclose(metric(columns, LOGITS), expected, rtol=1e-6)
    assert metric.name == name


PROBABILITIES = {
    "object": (keras.metrics.Precision(), r"expected Precision with thresholds of its own, such"),
    "class": (keras.metrics.Recall, r"expected Recall with thresholds of its own, such as 0.0"),
    "one label": ("binary_accuracy", r"expected BinaryAccuracy with threshold of its own, such"),
    "no option": (keras.metrics.PrecisionAtRecall(0.5), r"PrecisionAtRecall takes probabilities"),
    "by labels": ("ce", r"expected sparse_categorical_crossentropy, .*; got 'ce'$"),
}


@pytest.mark.parametrize("metric, message", PROBABILITIES.values(), ids=PROBABILITIES)
def test_thresholds_of_probabilities_are_refused(metric, message):
    with pytest.raises(ValueError, match=rf"metrics: {message}"):
        metrics_on_logits([metric])


def test_metrics_that_rank_or_have_thresholds_of_their_own_are_left():
    given = [keras.metrics.Precision(top_k=1), keras.metrics.Recall(thresholds=0.0), "f1_score"]
    assert metrics_on_logits(given)[:2] == given[:2]


@pytest.mark.parametrize("loss", [None, "sparse_categorical_crossentropy"])
def test_a_head_with_its_own_softmax_is_taken_at_its_word(loss):
    head = keras.layers.Dense(3, activation="softmax")
    model = classifiers.ImageClassifier(tiny_models.vision(), head, class_names=NAMES)
    model.compile("sgd", loss, run_eagerly=True)
    found = model.predict(IMAGES, verbose=0)
    expected = -np.log(found[np.arange(3), np.arange(3)]).mean()
    np.testing.assert_allclose(model.evaluate(IMAGES, np.arange(3), verbose=0), expected, rtol=1e-5)
    named = dict(model.predict_images(list(IMAGES[:1]))[0])
    np.testing.assert_allclose([named[name] for name in NAMES], found[0], rtol=1e-5)
