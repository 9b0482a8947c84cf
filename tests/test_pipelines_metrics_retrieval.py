"""Recall, ranks and hits on matrices written out by hand."""

import tracemalloc

import numpy as np
import pytest

from pipelines.metrics import retrieval as metrics
from pipelines.metrics.retrieval import both_ways, intervals, ranks, recall, summary

# Four captions (rows) against three images; captions 0 and 1 are of image 0.
OWNER = np.array([0, 0, 1, 2])
SIMILARITY = np.array(
    [
        [0.9, 0.1, 0.2],  # right at once
        [0.3, 0.8, 0.5],  # image 0 comes last: rank 3
        [0.6, 0.4, 0.1],  # image 1 is second
        [0.2, 0.7, 0.7],  # a tie with a wrong one: rank 2
    ]
)


def similarities(matrix):
    """Embeddings of rows and columns whose dot products are the matrix."""
    return np.array(matrix, float), np.eye(len(matrix[0]))


def found():
    captions, images = similarities(SIMILARITY)
    return both_ways(images, captions, OWNER)


def test_ranks_of_captions_among_images():
    assert found()["text_to_image"].tolist() == [1, 3, 2, 2]


def test_ranks_of_images_among_captions_count_any_of_their_own():
    # Columns: image 0 has .9 first; image 1 has .4 behind .8 and .7; image 2 has .7 first.
    assert found()["image_to_text"].tolist() == [1, 3, 1]


def test_figures_by_hand():
    assert summary(found(), OWNER) == {
        "text_to_image_recall1": 1 / 4,
        "text_to_image_recall5": 1.0,
        "text_to_image_recall10": 1.0,
        "image_to_text_recall1": pytest.approx(2 / 3),
        "image_to_text_recall5": 1.0,
        "image_to_text_recall10": 1.0,
        "text_to_image_median_rank": 2.0,
        "image_to_text_median_rank": 1.0,
        "first_caption_hit100": 1.0,
    }
    assert list(summary(found(), OWNER)) == list(metrics.METRICS)


def test_recall_is_the_share_of_ranks_up_to_k():
    places = np.array([1, 2, 5, 6, 10, 11])
    assert [recall(places, k) for k in (1, 5, 10)] == [1 / 6, 3 / 6, 5 / 6]


def test_what_is_equally_similar_and_wrong_comes_first():
    same = np.ones((5, 2))
    assert ranks(same, same, np.arange(5), np.arange(5)).tolist() == [5] * 5
    # Two right answers among equals are not each other's rivals.
    assert ranks(same[:1], same, np.array([7]), np.array([7, 7, 0, 0, 0])).tolist() == [4]


def test_first_captions_are_the_queries_of_keras_io():
    """150 images, two captions each: the first finds it at rank 101, the second at once."""
    images = np.eye(150)
    owner = np.repeat(np.arange(150), 2)
    captions = np.zeros((300, 150))
    captions[1::2] = np.eye(150)
    for i in range(150):
        captions[2 * i, (i + 1 + np.arange(100)) % 150] = 1.0  # a hundred others
    where = both_ways(images, captions, owner)
    assert where["text_to_image"][:2].tolist() == [150, 1]  # the other 49 are as far as it
    assert summary(where, owner)["first_caption_hit100"] == 0.0
    captions[0::2] += 0.5 * np.eye(150)
    where = both_ways(images, captions, owner)
    assert where["text_to_image"][:2].tolist() == [101, 1]
    captions[0, 1] = 0.0  # now 99 others
    where = both_ways(images, captions, owner)
    assert summary(where, owner)["first_caption_hit100"] == 1 / 150


def test_distractors_are_searched_but_never_right():
    captions, images = similarities(SIMILARITY)
    more = np.array([[1.0, 0.0, 0.0]] * 2)  # as similar to every caption as image 0
    where = both_ways(images, captions, OWNER, distractors=more)
    assert where["text_to_image"].tolist() == [3, 5, 4, 2]
    assert where["image_to_text"].tolist() == [1, 3, 1]


def slow_recall(similarity, right, k):
    """Any right answer among the first k of a sort, query by query."""
    hits = [right[i, np.argsort(-row)[:k]].any() for i, row in enumerate(similarity)]
    return np.mean(hits)


@pytest.mark.parametrize("chunk_bytes", [1, 4000, 1 << 20])
def test_against_the_slow_way_in_chunks_of_any_size(chunk_bytes):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(40, 8))
    owner = np.sort(np.concatenate([np.arange(40), rng.integers(40, size=77)]))
    captions = images[owner] + 1.5 * rng.normal(size=(117, 8))
    where = both_ways(images, captions, owner, chunk_bytes=chunk_bytes)
    right = owner[:, None] == np.arange(40)
    for k in (1, 5, 10):
        similarity = captions @ images.T
        assert recall(where["text_to_image"], k) == slow_recall(similarity, right, k)
        assert recall(where["image_to_text"], k) == slow_recall(similarity.T, right.T, k)


def test_thousands_need_little_memory():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2_000, 4)).astype(np.float32)
    owner = np.repeat(np.arange(2_000), 5)
    tracemalloc.start()
    both_ways(images, images[owner], owner, chunk_bytes=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20  # the whole matrix would be 80 MB


def test_intervals_hold_the_figure_and_draw_whole_images():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(300), 5)
    all_or_none = np.repeat(rng.integers(1, 3, size=300), 5)  # captions of an image agree
    where = {"text_to_image": all_or_none, "image_to_text": rng.integers(1, 20, size=300)}
    ends = intervals(where, owner, resamples=200)
    figures = summary(where, owner)
    assert set(ends) == {name for name in metrics.METRICS if "median" not in name}
    for name, (low, high) in ends.items():
        assert low <= figures[name] <= high
    low, high = ends["text_to_image_recall1"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 300), rel=0.2)  # not of 1,500
    assert intervals(where, owner, resamples=200) == ends
    assert intervals(where, owner, resamples=0) == {}


def test_the_best_answers_come_first():
    captions, images = similarities(SIMILARITY)
    assert metrics.top(captions, images, 2).tolist() == [[0, 2], [1, 2], [0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.ones((2, 3)), np.ones((2, 4)), np.zeros(2), np.zeros(2)), r"received \[2, 3\]"),
        ((np.ones((2, 3)), np.ones((2, 3)), np.zeros(3), np.zeros(2)), r"expected queries"),
        ((np.ones((0, 3)), np.ones((2, 3)), np.zeros(0), np.zeros(2)), "at least one query"),
        ((np.full((1, 3), np.nan), np.ones((2, 3)), np.zeros(1), np.zeros(2)), "query 0"),
        ((np.ones((2, 3)), np.ones((2, 3)), np.array([0, 5]), np.array([0, 1])), "query 1 has no"),
    ],
)
def test_what_does_not_fit_is_refused(arrays, message):
    with pytest.raises(ValueError, match=message):
        ranks(*arrays)


def test_ids_of_all_queries_are_not_compared_with_those_of_all_answers():
    class Ids(np.ndarray):
        def __eq__(self, other):
            raise AssertionError("compared")

    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(20, 4)), rng.normal(size=(5, 4))
    of = np.arange(20) % 5
    found = metrics.ranks(queries, gallery, of, np.arange(5).view(Ids))
    similarity = queries @ gallery.T
    expected = 1 + (similarity > similarity[np.arange(20), of][:, None]).sum(axis=1)
    assert found.tolist() == expected.tolist()
