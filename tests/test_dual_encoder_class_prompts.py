"""Prompts of class names: templates for all classes, and sentences of one class."""

import numpy as np
import pytest
from tiny_models import clip

import dual_encoder
from dual_encoder.class_prompts import prompts_of

NAMES = ["red cat", "dog"]


@pytest.fixture(scope="module")
def model():
    made = clip()
    made.build()
    return made


def test_a_template_is_for_all_classes_and_one_in_braces_for_its_own():
    templates = ["a {}.", "{dog} it barks at {}", "{dog} a pet", "{owl} at night"]
    assert prompts_of(NAMES, templates) == [["a red cat."], ["a dog.", "it barks at dog", "a pet"]]
    assert dual_encoder.prompt_of_class("dog", "a pet") == "{dog} a pet"


def test_a_class_without_a_prompt_and_a_template_without_a_place_are_refused():
    with pytest.raises(ValueError, match="'red cat' has none"):
        prompts_of(NAMES, ["{dog} a pet"])
    with pytest.raises(ValueError, match=r"expected \{\} where the name goes; got 'a cat'"):
        prompts_of(NAMES, ["a cat"])
    with pytest.raises(ValueError, match="class_names: expected texts; got 3 among them"):
        prompts_of(["dog", 3], ["a {}"])


@pytest.mark.parametrize("template", ["{label} on a table", "{{}}", "a {} in {place}", "a {{}}"])
def test_other_braces_are_not_read_out_or_passed_over(template):
    with pytest.raises(ValueError, match=r"expected no braces but \{\} for the name; got "):
        prompts_of(NAMES, ["a photo of {}.", template])
    assert prompts_of(["{x}", "label"], ["a {}", "{label} pet"]) == [["a {x}"], ["a label", "pet"]]


def test_one_sentence_is_the_row_of_its_template(model):
    own = [dual_encoder.prompt_of_class(name, f"a photo of a {name}.") for name in NAMES]
    np.testing.assert_allclose(
        dual_encoder.class_embeddings(model, NAMES, own),
        dual_encoder.class_embeddings(model, NAMES, ["a photo of a {}."]),
        atol=1e-6,
    )


def test_the_order_of_sentences_does_not_matter_and_their_number_may_differ(model):
    prompts = ["{dog} a pet", "{red cat} a photo of a {}.", "{dog} a {}"]
    found = dual_encoder.class_embeddings(model, NAMES, prompts)
    turned = dual_encoder.class_embeddings(model, NAMES, prompts[::-1])
    np.testing.assert_allclose(found, turned, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    classifier = dual_encoder.ZeroShotClassifier.from_names(model, NAMES, prompts)
    assert classifier.templates == prompts
