"""Labels that look wrong: probabilities out of sample, and confident learning's rule."""

import numpy as np
import pytest

import tfrecords
from pipelines.inspection import options, run
from pipelines.inspection.label_errors import doubtful, out_of_sample
from tfrecords.sources.shapes.source import ShapesSource


def test_doubtful_is_below_its_own_mean_and_beaten_by_a_class_above_its_mean():
    probabilities = np.array(
        [
            [0.9, 0.1],  # class 0: mean 0.6
            [0.6, 0.4],
            [0.3, 0.7],  # beaten by class 1, which is at its mean
            [0.2, 0.8],  # class 1: mean 0.7
            [0.4, 0.6],  # below its mean, and beaten by nothing
        ]
    )
    (doubt,) = doubtful(probabilities, np.array([0, 0, 0, 1, 1]))
    assert (doubt.place, doubt.better, doubt.own, doubt.other) == (2, 1, 0.3, 0.7)
    assert doubt.margin == pytest.approx(np.log(0.7 / 0.3))


def test_a_class_that_is_likelier_but_not_as_sure_as_usual_raises_no_doubt():
    probabilities = np.array([[0.9, 0.1], [0.45, 0.55], [0.05, 0.95], [0.1, 0.9]])
    assert doubtful(probabilities, np.array([0, 0, 1, 1])) == []


def blobs(n=120, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return rng.normal(size=(n, 5)) + 6 * np.eye(3, 5)[labels], labels


def test_a_wrong_label_does_not_vouch_for_itself():
    features, truth = blobs()
    labels = truth.copy()
    labels[[4, 50, 77]] = (labels[[4, 50, 77]] + 1) % 3
    probabilities = out_of_sample(features, labels)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.97
    assert {d.place: d.better for d in doubtful(probabilities, labels)[:3]} == {
        place: truth[place] for place in (4, 50, 77)
    }


def test_class_names_weigh_as_much_as_the_labels_of_other_images():
    features, labels = blobs()
    plain = out_of_sample(features, labels)
    said = np.random.default_rng(1).normal(size=plain.shape)
    mixed = out_of_sample(features, labels, text_logits=said)
    expected = np.sqrt(plain * np.exp(said) / np.exp(said).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(mixed, expected / expected.sum(axis=1, keepdims=True), rtol=1e-6)


def test_the_same_seed_gives_the_same_and_classes_of_two_images_are_enough():
    features, labels = blobs(9)
    features, labels = features[:8], labels[:8]  # 3, 3 and 2 images
    first = out_of_sample(features, labels, seed=1)
    np.testing.assert_array_equal(first, out_of_sample(features, labels, seed=1))


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 0, 1]])
def test_one_class_or_a_class_of_one_image_is_refused(labels):
    with pytest.raises(ValueError, match="two or more classes of two or more images"):
        out_of_sample(np.zeros((3, 2)), np.array(labels))


def test_of_shapes_wild_four_wrong_labels_in_five_are_among_as_many_suspects(tmp_path):
    source = ShapesSource("shapes-wild", counts={"train": 500})
    raw = list(source.read("train", 0, 500))
    # What is drawn: every hundred images in a row show each class once.
    truth = {each.filename: source._label("train", i) for i, each in enumerate(raw)}
    wrong = {each.filename for each in raw if each.label != truth[each.filename]}
    assert 20 <= len(wrong) <= 30
    tfrecords.write(source, tmp_path / "records", workers=1, progress=False)
    out = tmp_path / "out"
    run.run(options.Options(str(tmp_path / "records"), str(out), model="shapes-tiny"))
    rows = [r.split(",") for r in (out / "suspects.csv").read_text().splitlines()]
    suspects = [r[0] for r in rows if r[2] == "wrong-label"][: len(wrong)]
    assert len(suspects) == len(wrong)
    assert len(wrong & set(suspects)) >= 0.8 * len(wrong)
