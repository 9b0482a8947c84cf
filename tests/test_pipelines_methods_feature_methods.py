"""The methods of `classifiers.on_features` as rows: logits over all classes, new names included."""

import keras
import numpy as np
import pytest
from tiny_models import clip

from pipelines.methods.few_shot_task import Task
from pipelines.methods.registry import METHODS

pytestmark = pytest.mark.usefixtures("all_eagerly")

ROWS = ("text-probe", "gaussian", "blend", "cross-modal", "projection", "proker")
NAMES = ["red cat", "green cat", "blue cat", "dog", "black cat"]
SEEN, HELD_OUT = (0, 1, 2, 4), (3,)


@pytest.fixture(scope="module")
def task():
    keras.utils.set_random_seed(0)
    model = clip()
    model.build()
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(SEEN), model.embed_dim))

    def rows(count):
        labels = np.arange(count) % len(SEEN)
        features = centres[labels] + 0.3 * rng.normal(size=(count, model.embed_dim))
        return features.astype("float32"), labels.astype("int32")

    return Task(
        rows(40),
        rows(16),
        names=NAMES,
        seen=SEEN,
        held_out=HELD_OUT,
        templates=("a photo of a {}.",),
        model=model,
    )


@pytest.mark.parametrize("name", ROWS)
def test_logits_have_a_column_for_every_class_and_find_the_learnt_ones(task, name):
    fitted = METHODS[name].fit(task)
    features, labels = task.validation
    logits = fitted.logits(features)
    assert logits.shape == (16, 5) and np.isfinite(logits).all()
    # Half of what the cross-modal probe learns from are texts, which mean nothing in this model.
    least = 0.3 if name == "cross-modal" else 0.9
    assert (logits[:, SEEN].argmax(axis=1) == labels).mean() > least


@pytest.mark.parametrize("name", [name for name in ROWS if not METHODS[name].keeps_images])
def test_the_head_that_is_saved_gives_the_logits_of_the_learnt_classes(task, name):
    fitted = METHODS[name].fit(task)
    weights, bias = fitted.head
    features = task.validation[0]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    if fitted.projection is not None:
        unit = unit @ fitted.projection
        unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    np.testing.assert_allclose(
        unit @ weights + bias, fitted.logits(features)[:, SEEN], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", [name for name in ROWS if not METHODS[name].draws])
def test_a_method_that_draws_nothing_does_not_depend_on_the_order_of_images(task, name):
    from dataclasses import replace

    order = np.random.default_rng(1).permutation(len(task.train[1]))
    turned = replace(task, train=(task.train[0][order], task.train[1][order]))
    features = task.validation[0]
    np.testing.assert_allclose(
        METHODS[name].fit(turned).logits(features),
        METHODS[name].fit(task).logits(features),
        rtol=1e-2,
        atol=2e-2,
    )


@pytest.mark.parametrize("name", [*ROWS, "linear-probe", "tip-adapter"])
def test_a_view_that_is_the_image_again_changes_little_and_another_counts(task, name):
    from dataclasses import replace

    assert METHODS[name].takes_views
    values, labels = task.train
    features = task.validation[0]

    def logits(*views):
        given = replace(task, train=(np.stack(views), labels))
        return METHODS[name].fit(given).logits(features)

    if name not in ("gaussian", "blend"):  # to which two views are two samples
        twice = logits(values, values).argmax(axis=1)
        assert (twice == METHODS[name].fit(task).logits(features).argmax(axis=1)).all()
    other = values + np.random.default_rng(3).normal(size=values.shape).astype("float32")
    assert abs(logits(values, other) - logits(values, values)).max() > 1e-3


@pytest.mark.parametrize("name", ROWS)
def test_a_model_that_reads_no_names_is_refused(task, name):
    from dataclasses import replace

    with pytest.raises(ValueError, match="expected a dual encoder, which reads class names"):
        METHODS[name].fit(replace(task, model=None, backbone="vit"))


def test_words_are_chosen_where_they_are_surely_better_and_are_zero_shot_in_them(task):
    from dataclasses import replace

    import dual_encoder
    from pipelines.methods import zero_shot_probe_tip_adapter

    rng = np.random.default_rng(0)
    texts = dual_encoder.class_embeddings(task.model, NAMES, ["{}"])[list(SEEN)]
    labels = np.arange(200) % len(SEEN)
    features = texts[labels] + 0.02 * rng.normal(size=(200, texts.shape[1]))
    fitted = METHODS["chosen-words"].fit(replace(task, validation=(features, labels)))
    assert fitted.more["templates"] == ["{}"]
    expected = zero_shot_probe_tip_adapter.zero_shot(replace(task, templates=("{}",))).logits(
        features
    )
    np.testing.assert_allclose(fitted.logits(features), expected, rtol=1e-4, atol=1e-4)
    by_chance = replace(task, validation=(features[:1], labels[:1]))
    assert METHODS["chosen-words"].fit(by_chance).more["templates"] == list(task.templates)


def test_images_that_inform_each_other_are_answered_in_any_order(task):
    features, _ = task.validation
    found = METHODS["transductive"].fit(task)
    logits = found.logits(features)
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(found.logits(features[::-1])[::-1], logits, rtol=1e-3, atol=1e-3)
