"""Class names of a `transformers` classifier: every form of `id2label`."""

from pathlib import Path

import pytest

from dual_encoder.checkpoints.huggingface.id2label import class_names, of_classifier

WHERE = Path("folder")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"0": "cat", "1": "dog"}, ["cat", "dog"]),
        ({"1": "dog", "0": "cat"}, ["cat", "dog"]),
        (["cat", "dog"], ["cat", "dog"]),
        (None, None),
        ({}, None),
        ({"0": "cat"}, None),  # a head of another size: fine-tuned, with the old labels
    ],
)
def test_names_in_the_order_of_the_outputs(labels, expected):
    assert class_names(WHERE, labels, 2) == expected


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"1": "cat", "2": "dog"}, "with the numbers 0 to 1 in config.json; got 1, 2$"),
        ({"a": "cat", "b": "dog"}, "with the numbers 0 to 1 in config.json; got a, b$"),
        ({"0": 0, "1": 1}, "with a name for each class"),
        ([0, 1], "with a name for each class"),
        (7, "with a name for each class"),
        ("cats", "with a name for each class"),
    ],
)
def test_what_names_nothing_is_refused(labels, message):
    with pytest.raises(ValueError, match=f"^folder: expected id2label {message}"):
        class_names(WHERE, labels, 2)


@pytest.mark.parametrize(
    ("kind", "several"),
    [(None, False), ("single_label_classification", False), ("multi_label_classification", True)],
)
def test_whether_an_image_may_have_several_classes(kind, several):
    found = of_classifier(WHERE, {"id2label": ["cat", "dog"], "problem_type": kind}, 2)
    assert found == {"class_names": ["cat", "dog"], "multi_label": several}


def test_a_regression_is_no_classifier():
    with pytest.raises(ValueError, match=r"expected problem_type single_.*; got 'regression'"):
        of_classifier(WHERE, {"problem_type": "regression"}, 1)


def test_one_output_is_a_class_of_its_own_or_none():
    """A softmax over one output is always 1; `transformers` takes it for a regression."""
    for said in ({}, {"problem_type": "single_label_classification"}):
        with pytest.raises(ValueError, match=r"^folder: expected 2 classes or more, .*; got one"):
            of_classifier(WHERE, {"id2label": {"0": "defect"}} | said, 1)
    several = {"id2label": {"0": "defect"}, "problem_type": "multi_label_classification"}
    assert of_classifier(WHERE, several, 1) == {"class_names": ["defect"], "multi_label": True}
