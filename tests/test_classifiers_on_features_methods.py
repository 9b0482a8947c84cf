"""What all methods of the table have in common: the rule for new names, and their promises."""

import numpy as np
import pytest
from feature_tasks import World, accuracy

from classifiers.on_features import METHODS, Task, clap_zslp_sstext

WORLD = World(classes=6, off=1.2)
TASK = WORLD.task(shots=4)
TEST, LABELS = WORLD.images(40, seed=7)
TEST = TEST[0]
OF_SAMPLES = ("gaussian", "blend", "linear-probe")  # two views of an image are more to them
NEW = World(classes=3, seed=9).texts
FITS = {name: method.fit(TASK, 0) for name, method in METHODS.items()}


@pytest.mark.parametrize("name", METHODS)
def test_a_new_name_has_its_column_or_the_method_says_that_it_has_none(name):
    fitted = FITS[name]
    known = fitted.logits(TEST)
    assert known.shape == (240, 6) and known.dtype == np.float32
    assert fitted.answers_new_names == METHODS[name].answers_new_names
    if not fitted.answers_new_names:
        with pytest.raises(ValueError, match="knows the classes it was fitted on alone"):
            fitted.logits(TEST, NEW)
        return
    both = fitted.logits(TEST, 5 * NEW)  # of any length
    assert both.shape == (240, 9)
    np.testing.assert_array_equal(both[:, :6], known)
    raised = fitted.placed(2.5).logits(TEST, NEW)
    np.testing.assert_allclose(raised - both, np.repeat([[0] * 6 + [2.5] * 3], 240, 0), atol=2e-5)


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.answers_new_names])
def test_only_the_gaussian_and_the_projection_say_more_of_a_new_name_than_its_text(name):
    fitted = FITS[name]
    new = fitted.logits(TEST, NEW)[:, 6:]
    text = fitted.text_scale * TEST @ NEW.T
    alike = np.allclose(new, text, atol=1e-3)
    assert alike == (name not in ("gaussian", "blend", "projection"))


@pytest.mark.parametrize("name", METHODS)
def test_what_is_learnt_beats_the_names_and_what_is_not_is_zero_shot(name):
    found = accuracy(FITS[name].logits(TEST), LABELS)
    names_alone = accuracy(TASK.zero_shot(TEST), LABELS)
    assert names_alone < 0.9
    assert (found > names_alone + 0.02) == METHODS[name].learns


@pytest.mark.parametrize("name", METHODS)
def test_the_length_of_features_does_not_matter(name):
    np.testing.assert_allclose(
        FITS[name].logits(3 * TEST[:5]), FITS[name].logits(TEST[:5]), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_images_matters_only_where_the_seed_does(name, monkeypatch):
    monkeypatch.setattr(clap_zslp_sstext, "BATCH", 8)
    before = METHODS[name].fit(TASK, 0).logits(TEST)
    order = np.random.default_rng(3).permutation(TASK.images)
    mixed = Task(
        TASK.features[order], TASK.labels[order], TASK.class_texts, TASK.scale, TASK.validation
    )
    again = METHODS[name].fit(mixed, 0).logits(TEST)
    other = METHODS[name].fit(TASK, 1).logits(TEST)
    assert np.array_equal(other, before) != METHODS[name].draws
    if not METHODS[name].draws:
        np.testing.assert_allclose(again, before, rtol=1e-2, atol=3e-2)


@pytest.mark.parametrize("name", METHODS)
def test_class_texts_change_the_result_only_where_the_table_says_so(name):
    other = Task(TASK.features, TASK.labels, WORLD.centres, TASK.scale, TASK.validation)
    same = np.allclose(METHODS[name].fit(other, 0).logits(TEST), FITS[name].logits(TEST))
    assert same != METHODS[name].reads_names


@pytest.mark.parametrize("name", METHODS)
def test_a_class_without_images_is_refused_where_the_table_says_so(name):
    rows = TASK.labels != 2
    task = Task(
        TASK.features[rows], TASK.labels[rows], TASK.class_texts, TASK.scale, TASK.validation
    )
    if METHODS[name].needs_every_class:
        with pytest.raises(ValueError, match=rf"{name}: .* class number 2 has none"):
            METHODS[name].fit(task, 0)
    else:
        assert np.isfinite(METHODS[name].fit(task, 0).logits(TEST, NEW)).all()


@pytest.mark.parametrize("name", METHODS)
def test_one_image_per_class_without_validation_is_enough(name):
    task = WORLD.task(shots=1, held=0)
    found = METHODS[name].fit(task, 0)
    assert np.isfinite(found.logits(TEST)).all()
    assert set(found.chosen) == set() or all(v is not None for v in found.chosen.values())


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.uses_views])
def test_several_views_of_an_image_are_one_image(name):
    task = WORLD.task(shots=4, views=5)
    repeated = Task(
        np.repeat(TASK.features[None], 4, axis=0),
        TASK.labels,
        TASK.class_texts,
        TASK.scale,
        TASK.validation,
    )
    assert accuracy(METHODS[name].fit(task, 0).logits(TEST), LABELS) > 0.8
    if not METHODS[name].draws and name not in OF_SAMPLES:
        np.testing.assert_allclose(
            METHODS[name].fit(repeated, 0).logits(TEST), FITS[name].logits(TEST), atol=0.1
        )
