"""Approximate search with faiss, against exact search."""

import json

import numpy as np
import pytest
from tiny_indexes import make_index, unit

import dual_encoder
from dual_encoder import Approximate, Index

pytest.importorskip("faiss", reason="faiss is not installed")


@pytest.fixture(scope="module")
def rows():
    """Not spread evenly, which is what embeddings are like and graphs are good at."""
    rng = np.random.default_rng(0)
    found = unit(6, 32)[rng.integers(6, size=3000)] + 0.2 * unit(3000, 32, seed=1)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype("float32")


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_what_is_measured_on_building_holds_for_other_queries(tmp_path, rows, kind):
    done = []
    index = make_index(tmp_path / "index", rows[:2500], shard=1000)
    built = dual_encoder.build_approximate(index, kind, advance=done.append)
    assert sum(done) == 2500
    assert built.facts["recall_at_10"] >= 0.95 and built.facts["queries"] == 200
    opened = Approximate.open(Index.open(tmp_path / "index"))
    assert opened.facts == built.facts
    queries = rows[2500:]
    exact, found = opened.index.search(queries, 10), opened.search(queries, 10)
    assert dual_encoder.recall(found.rows, exact.rows) > 0.9
    same = found.rows[:, 0] == exact.rows[:, 0]
    np.testing.assert_allclose(found.scores[same, 0], exact.scores[same, 0], atol=1e-6)
    assert (np.diff(found.scores) <= 0).all()


def test_recall_by_hand():
    assert dual_encoder.recall(np.array([[1, 2], [3, 4]]), np.array([[2, 9], [4, 3]])) == 0.75


def test_what_cannot_be_built_or_opened(tmp_path, rows):
    small = make_index(tmp_path / "small", rows[:50])
    with pytest.raises(ValueError, match="hnsw needs 1,000 images or more; there are 50"):
        dual_encoder.build_approximate(small, "hnsw")
    with pytest.raises(ValueError, match="expected one of exact, hnsw, ivf; got 'tree'"):
        dual_encoder.build_approximate(small, "tree")
    with pytest.raises(ValueError, match="there are 50, few enough for exact search"):
        Approximate.open(small)
    large = make_index(tmp_path / "index", rows[:1200])
    with pytest.raises(ValueError, match="no index for approximate search; make one with"):
        Approximate.open(large)
    dual_encoder.build_approximate(large, "ivf")
    opened = Approximate.open(Index.open(tmp_path / "index"))
    file = tmp_path / "index" / "approximate-ivf.faiss"
    assert json.loads((tmp_path / "index" / "index.json").read_text())["approximate"]["effort"] > 0
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(dual_encoder.CutShortError):
        opened.search(rows[:1], 3)
    with pytest.raises(ValueError, match=r"approximate-ivf.faiss is damaged"):
        Approximate.open(Index.open(tmp_path / "index"))
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"approximate-ivf.faiss is missing"):
        Approximate.open(Index.open(tmp_path / "index"))
