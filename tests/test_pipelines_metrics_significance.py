"""Whether one method is better than another, and which one to use."""

import numpy as np
import pytest
from traced_memory import traced_memory

from pipelines.comparison.report import mistakes, recommendation
from pipelines.metrics import classification, multilabel, significance
from pipelines.runs import predictions


def test_mcnemar_is_a_coin_for_every_image_that_only_one_gets_right():
    a = np.array([1, 1, 1, 1, 1, 0, 1, 0], bool)
    b = np.array([0, 0, 0, 0, 0, 1, 1, 0], bool)
    assert significance.mcnemar(a, b) == pytest.approx(2 * (1 + 6) / 2**6)  # 5 of 6 heads or more
    assert significance.mcnemar(a, b) == significance.mcnemar(b, a)
    assert significance.mcnemar(a, a) == 1


def test_the_interval_of_a_difference_covers_it_as_often_as_it_says():
    rng, covered = np.random.default_rng(0), 0
    for trial in range(200):
        a, b = rng.random(150) < 0.8, rng.random(150) < 0.7
        (found,) = significance.pairs({"a": a[None], "b": b[None]}, resamples=200, seed=trial)
        covered += found["low"] <= 0.1 <= found["high"]
    assert 0.89 <= covered / 200 <= 0.99


def test_better_means_that_the_interval_leaves_out_zero():
    rng = np.random.default_rng(1)
    good, fair = rng.random((1, 500)) < 0.9, rng.random((1, 500)) < 0.6
    found = significance.pairs({"good": good, "fair": fair, "again": good}, resamples=200)
    assert [(pair["a"], pair["b"]) for pair in found] == [
        ("good", "fair"),
        ("good", "again"),
        ("fair", "again"),
    ]
    assert [pair["better"] for pair in found] == ["good", None, "again"]
    assert found[0]["p"] < 0.001 and found[1] == {
        "a": "good",
        "b": "again",
        "difference": 0,
        "low": 0,
        "high": 0,
        "p": 1,
        "better": None,
    }


def row(method, seen, unseen, seconds, among_all=None):
    figures = {"seen": seen, "unseen": unseen, "unseen_among_all": among_all}
    return {"method": method, "seconds": seconds, **figures}


def pair(a, b, better):
    return {"a": a, "b": b, "better": better, "difference": 0, "low": 0, "high": 0, "p": 1}


def test_of_equals_the_cheaper_one_that_keeps_what_it_knew():
    rows = [
        row("zero-shot", 0.81, 0.80, 1),
        row("fine-tune", 0.92, 0.30, 100),
        row("auto", 0.915, 0.795, 250),
        row("vit", 0.92, None, 900),
    ]
    pairs = [
        pair("zero-shot", "fine-tune", "fine-tune"),
        pair("zero-shot", "auto", "auto"),
        pair("zero-shot", "vit", "vit"),
        pair("fine-tune", "auto", None),
        pair("fine-tune", "vit", None),
        pair("auto", "vit", None),
    ]
    found = recommendation.recommend(rows, pairs)
    assert (found["method"], found["keeps"]) == ("auto", True)
    assert found["answer"] == (
        "Use auto: 91.5 % on your classes, not surely different from fine-tune (92.0 %), "
        "loses 0.5 points on new ones against zero-shot, takes 4.2 min."
    )
    rows[2]["unseen"] = 0.79  # a point is not too much
    assert recommendation.recommend(rows, pairs)["keeps"]
    rows[2]["unseen"] = 0.5
    found = recommendation.recommend(rows, pairs)
    assert (found["method"], found["keeps"]) == ("fine-tune", False)
    assert "loses 50.0 points on new ones" in found["answer"]


def test_who_names_new_classes_among_themselves_alone_has_not_kept_them():
    rows = [
        row("zero-shot", 0.70, 0.80, 1, among_all=0.34),
        row("text-probe", 0.90, 0.80, 5, among_all=0.08),
        row("auto", 0.90, 0.81, 60, among_all=0.34),
    ]
    pairs = [pair("zero-shot", "text-probe", "text-probe"), pair("zero-shot", "auto", "auto")]
    pairs.append(pair("text-probe", "auto", None))
    found = recommendation.recommend(rows, pairs)
    assert (found["method"], found["keeps"]) == ("auto", True)
    assert "loses nothing on new ones among all classes, takes" in found["answer"]
    found = recommendation.recommend(rows[:2], pairs[:1])
    assert (found["method"], found["keeps"]) == ("text-probe", False)
    assert "loses 26.0 points on new ones among all classes against zero-shot" in found["answer"]


def test_a_method_that_is_beaten_is_not_recommended_for_being_cheap():
    rows = [row("zero-shot", 0.7, None, 0), row("vit", 0.9, None, 4000)]
    found = recommendation.recommend(rows, [pair("zero-shot", "vit", "vit")])
    assert found["method"] == "vit" and found["keeps"] is None
    assert found["answer"] == (
        "Use vit: 90.0 % on your classes, 20.0 points better than zero-shot, takes 1.1 h."
    )
    assert recommendation.recommend([], [])["answer"] == "No method finished."


LABELS = np.array([0, 1, 2, 0, 1])
LOGITS = np.array([[3, 1, 2], [0, 1, 5], [9, 0, 1], [1, 2, 0], [0, 3, 1]], float)


def test_none_is_recommended_that_may_be_guessing():
    row = {"method": "auto", "seen": 0.3, "unseen": None, "seconds": 5.0}
    rows = [{**row, "intervals": {"seen": [0.1, 0.5]}}]
    found = recommendation.recommend(rows, [], chance=0.25, tested=20)
    assert found["method"] is None
    assert found["answer"] == (
        "Too few test images to choose: 20; auto is ahead at 30 %, interval 10-50; always saying "
        "one class is right for 25 %. Label 300 more to test on, or give more of those you have "
        "to the test (prepare --test-share)."
    )
    found = recommendation.recommend(rows, [], chance=0.25, tested=20, folds=True)
    assert found["answer"].endswith("Label 300 more to test on.")
    found = recommendation.recommend(rows, [], chance=0.3, tested=20)
    assert found["answer"] == (
        "Nothing to choose yet: the best, auto, is right for 30 %, interval 10-50; always saying "
        "one class is right for 30 %. Look at the images and their labels, or try other class "
        "names or another model."
    )
    assert recommendation.recommend(rows, [], chance=0.05)["method"] == "auto"
    assert recommendation.recommend([row], [], chance=0.25)["method"] == "auto"  # no interval


def test_a_cheap_method_that_may_be_guessing_is_not_as_good_as_one_that_is_not():
    """60 test images do not tell 22 % from 38 %, but the first from 25 % neither."""
    rows = [
        {**row("zero-shot", 0.22, 0.43, 2), "intervals": {"seen": [0.12, 0.32]}},
        {**row("linear-probe", 0.38, 0.43, 50, among_all=0.1), "intervals": {"seen": [0.27, 0.51]}},
    ]
    pairs = [pair("zero-shot", "linear-probe", None)]
    found = recommendation.recommend(rows, pairs, chance=0.25, tested=60)
    assert (found["method"], found["runner_up"]) == ("linear-probe", "zero-shot")
    assert recommendation.recommend(rows, pairs, chance=0.1)["method"] == "zero-shot"


def test_a_few_seconds_are_no_price_for_points():
    rows = [row("zero-shot", 0.48, None, 3), row("text-probe", 0.50, None, 12)]
    pairs = [pair("zero-shot", "text-probe", None)]
    assert recommendation.recommend(rows, pairs)["method"] == "text-probe"
    rows = [{**rows[0], "seconds": 60}, {**rows[1], "seconds": 120}]  # as long again is as cheap
    assert recommendation.recommend(rows, pairs)["method"] == "text-probe"
    rows[1]["seconds"] = 121
    assert recommendation.recommend(rows, pairs)["method"] == "zero-shot"


def test_of_equally_accurate_methods_the_one_that_knows_more_of_all_classes():
    rows = [row("text-probe", 0.34, 0.44, 6), row("projection", 0.34, 0.59, 13)]
    rows[0]["generalized"], rows[1]["generalized"] = 0.26, 0.28
    equal = [pair("text-probe", "projection", None)]
    assert recommendation.recommend(rows, equal)["method"] == "projection"
    for each in rows:
        each["generalized"] = None  # no class is held out
    assert recommendation.recommend(rows, equal)["method"] == "text-probe"  # the quicker one


def test_how_many_more_images_it_takes_follows_from_the_width_of_the_interval():
    """20 points below at 20 images are 10 points at four times as many, 80."""
    row = {"seen": 0.3, "intervals": {"seen": [0.1, 0.5]}}
    assert recommendation.more_needed(row, chance=0.2, tested=20) == 60
    assert recommendation.more_needed(row, chance=0.1, tested=20) == 10  # a little more, in tens
    assert recommendation.more_needed(row, chance=0.15, tested=20) == 20  # 35.6 in all
    assert recommendation.more_needed(row, chance=0.3, tested=20) is None
    assert recommendation.more_needed({"seen": 0.3}, chance=0.2, tested=20) is None


def test_predictions_of_each_side_and_of_all(tmp_path):
    found = predictions.of(LABELS, LOGITS, seen=(0, 1), held_out=(2,))
    np.testing.assert_array_equal(found.own, [0, 1, 2, 1, 1])
    np.testing.assert_array_equal(found.among_all, [0, 2, 0, 1, 1])
    np.testing.assert_array_equal(found.right, [True, True, True, False, True])
    blind = np.where(np.arange(3) == 2, np.nan, LOGITS)
    np.testing.assert_array_equal(
        predictions.of(LABELS, blind, seen=(0, 1), held_out=(2,)).own, [0, 1, -1, 1, 1]
    )
    predictions.write(tmp_path, found)
    np.testing.assert_array_equal(predictions.read(tmp_path).own, found.own)
    with pytest.raises(FileNotFoundError, match="has the run finished"):
        predictions.read(tmp_path / "other")


def test_mistakes_are_those_that_a_method_makes_alone():
    def said(*own):
        return predictions.Predictions(LABELS, np.array(own), np.array(own))

    both, asked = {"a": said(1, 0, 2, 0, 1), "b": said(1, 1, 2, 0, 0)}, LABELS != 2
    assert mistakes.choose(both, asked=asked) == {"a": [1, 0], "b": [4, 0]}
    np.testing.assert_array_equal(both["a"].outside((2,)), asked)
    assert mistakes.choose({}, asked=asked) == {}


def test_scores_of_several_labels_are_kept_and_said_in_words(tmp_path):
    labels = np.array([[1, 0, 1], [0, 0, 0]], np.uint8)
    probabilities = np.array([[0.6, 0.2, 0.4], [0.1, 0.2, 0.3]])
    said = predictions.LabelScores(labels, probabilities, np.array([0.5, 0.5, 0.4]))
    predictions.write(tmp_path, said)
    found = predictions.read(tmp_path)
    assert isinstance(found, predictions.LabelScores)
    np.testing.assert_array_equal(found.right, [True, True])
    np.testing.assert_array_equal(found.outside((2,)), [False, True])
    assert found.in_words(0, "abc") == ("a, c", "a, c")
    assert found.in_words(1, "abc") == ("nothing", "nothing")


def test_methods_differ_in_mean_average_precision_by_the_images_alone():
    rng = np.random.default_rng(0)
    labels = (rng.random((60, 4)) < 0.3).astype(int)
    guessed = rng.random((60, 4))
    sure = [
        multilabel.mean_average_precision(labels, labels * 0.5 + 0.1 * shift) for shift in (1, 2)
    ]
    guess = multilabel.mean_average_precision(labels, guessed)
    given = {"sure": sure, "guess": [guess], "same": [guess]}
    first, second, third = significance.pairs_by(given, 60, resamples=50)
    wanted = 1 - multilabel.average_precision(labels, guessed).mean()
    assert first["difference"] == pytest.approx(wanted)
    assert first["low"] < wanted < first["high"]
    assert (first["better"], first["p"]) == ("sure", 2 / 50)
    assert (second["a"], second["b"], second["better"]) == ("sure", "same", "sure")
    assert (third["difference"], third["p"], third["better"]) == (0.0, 1.0, None)
    none = significance.pairs_by(given, 60, resamples=0)
    assert none[0]["better"] is None and none[0]["p"] == 1.0


def test_a_mean_over_classes_counts_a_rare_class_as_much_as_a_common_one():
    """Of 90 images of one class and 10 of the other, each method knows one."""
    labels = np.repeat([0, 1], [90, 10])
    common, rare = (classification.mean_per_class(labels, labels == label) for label in (0, 1))
    (row,) = significance.pairs_by({"common": [common], "rare": [rare]}, 100, resamples=30)
    assert (row["difference"], row["better"]) == (0.0, None)
    counts = np.where(labels == 0, 1, 0)  # a resample without the rare class
    assert (common(counts), rare(counts)) == (1.0, 0.0)


def test_an_answer_for_several_labels_speaks_of_mean_average_precision():
    rows = [row("zero-shot", 0.4, None, 1), row("linear-probe", 0.6, None, 5)]
    better = [pair("zero-shot", "linear-probe", "linear-probe")]
    found = recommendation.recommend(rows, better, chance=0.2, judged_by="map")
    assert found["answer"] == (
        "Use linear-probe: 60.0 % mean average precision on your classes, 20.0 points better than "
        "zero-shot, takes 5 s."
    )
    unsure = [{**rows[1], "intervals": {"seen": [0.1, 0.9]}}]
    found = recommendation.recommend(unsure, [], chance=0.2, tested=20, judged_by="map")
    assert "ahead at 60 %, interval 10-90; an order by chance has 20 %" in found["answer"]


def test_few_images_that_are_all_right_may_be_guessed():
    """The bootstrap's interval of 4 of 4 is 100 to 100 %; by the rule of three from 25 on."""
    row = {"method": "auto", "seen": 1.0, "seconds": 1.0, "intervals": {"seen": [1.0, 1.0]}}
    found = recommendation.recommend([row], [], chance=0.5, tested=4)
    assert found["method"] is None
    said = (
        "Too few test images to choose: 4; auto is ahead at 100 %, interval 25-100; always saying"
    )
    assert found["answer"].startswith(said)
    assert recommendation.recommend([row], [], chance=0.5, tested=8)["method"] == "auto"


def test_images_are_resampled_once_for_all_pairs(monkeypatch):
    right = {str(i): np.random.default_rng(i).random((1, 50)) < 0.5 for i in range(12)}
    made, usual = [], np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: made.append(seed) or usual(seed))
    assert len(significance.pairs(right, resamples=10)) == 66
    assert len(made) == 1


def test_resamples_are_not_held_all_at_once():
    n = 20_000
    figures = {name: [lambda counts: float(counts[0])] for name in "ab"}
    with traced_memory() as peak:
        significance.pairs_by(figures, n, resamples=50)
    assert peak() < 10 * 8 * n
