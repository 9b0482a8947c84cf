"""The benchmark of search runs, at a size at which its figures mean nothing."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SMALL = ("--rows", "1500", "--dim", "16", "--queries", "7", "--rounds", "1")


@pytest.fixture
def retrieval(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("retrieval")
    monkeypatch.setattr(module, "LEAST", 0.0)
    return module


def test_rows_have_unit_length_and_queries_are_no_copies(retrieval):
    rows = retrieval.rows_like_embeddings(500, 16, seed=1)
    queries = retrieval.rows_like_embeddings(50, 16, seed=2)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert 0.3 < (queries @ rows.T).max() < 0.99999
    np.testing.assert_array_equal(rows, retrieval.rows_like_embeddings(500, 16, seed=1))


def test_all_sides_find_the_same_rows(retrieval, capsys):
    assert retrieval.main(["search", *SMALL]) == 0
    said = capsys.readouterr().out
    found = json.loads(said[said.index("{") :])
    assert {"ours", "numpy"} <= set(found["seconds"])
    assert all(share == 1 for share in found["same rows as ours"].values())


def test_approximate_search_is_compared_with_exact(retrieval, capsys):
    pytest.importorskip("faiss", reason="faiss is not installed")
    assert retrieval.main(["approximate", "--kind", "ivf", *SMALL]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recall@10"] > 0.8 and len(found["seconds"]) == 4
