"""Unbalanced classes, and classes that look alike."""

import numpy as np

from pipelines.inspection.class_balance_and_lookalikes import alike, unbalanced


def test_more_than_five_to_one_is_unbalanced():
    assert unbalanced([10, 2], ["a", "b"]) is None
    assert unbalanced([11, 2, 0], ["a", "b", "c"]) == {
        "largest": {"name": "a", "images": 11},
        "smallest": {"name": "b", "images": 2},
        "ratio": 5.5,
        "empty": ["c"],
    }
    assert unbalanced([0, 0], ["a", "b"]) is None


def test_classes_mixed_up_most_come_first_with_the_cosine_of_their_means():
    labels = np.repeat([0, 1, 2], 10)
    probabilities = np.eye(3)[labels]
    probabilities[:3] = [0.2, 0.8, 0]  # three of class 0 look like class 1
    probabilities[10] = [0.8, 0.2, 0]
    embeddings = np.array([[1, 0.1], [1, -0.1], [-1, 0]])[labels]
    (pair,) = alike(embeddings, labels, probabilities, ["a", "b", "c"])
    means = np.array([[1, 0.1], [1, -0.1], [-1, 0]]) - [1 / 3, 0]
    cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
    assert pair == {"a": "a", "b": "b", "mixed_up": 4, "of": 20, "cosine": pair["cosine"]}
    np.testing.assert_allclose(pair["cosine"], cosine)


def test_classes_that_look_alike_are_found_without_a_matrix_of_all_pairs():
    classes = 40_000  # of which a matrix would take 13 GB
    labels = np.arange(2 * classes) % classes
    said = np.where(labels == 7, 9, labels)
    answers = type("Answers", (), {"argmax": lambda self, axis: said})()
    embeddings = np.stack([np.cos(labels), np.sin(labels)], axis=1)
    names = [str(label) for label in range(classes)]
    (pair,) = alike(embeddings, labels, answers, names)
    assert (pair["a"], pair["b"], pair["mixed_up"], pair["of"]) == ("7", "9", 2, 4)
