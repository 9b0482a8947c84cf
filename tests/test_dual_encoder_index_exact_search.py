"""Exact search against sorting everything; an index on disk; what tells two models apart."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_models
from tiny_indexes import make_index, unit

import dual_encoder
from dual_encoder import Index, IndexRows
from dual_encoder.index.exact_search import CHUNK
from dual_encoder.index.files import map_rows, write_rows

ROOT = Path(__file__).parents[1]


def sorted_all(queries, rows, k):
    """The rows of exact search the slow way; of equal scores the earlier one first."""
    return np.argsort(-(queries @ rows.T), axis=1, kind="stable")[:, :k]


def test_a_small_search_by_hand():
    rows = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], np.float32)
    hits = dual_encoder.top_k(np.array([[1, 0], [0, 1]], np.float32), [rows], k=3)
    np.testing.assert_array_equal(hits.rows, [[0, 2, 1], [1, 2, 0]])
    np.testing.assert_allclose(hits.scores, [[1, 0.6, 0], [1, 0.8, 0]])


@pytest.mark.parametrize("k", [1, 10, 300])
def test_search_over_many_chunks_finds_what_sorting_everything_finds(k):
    rows, queries = unit(2 * CHUNK + 77, 8), unit(20, 8, seed=1)
    cut = [rows[:5], rows[5 : CHUNK + 9], rows[CHUNK + 9 :]]
    hits = dual_encoder.top_k(queries, cut, k)
    np.testing.assert_array_equal(hits.rows, sorted_all(queries, rows, k))
    scores = np.take_along_axis(queries @ rows.T, hits.rows, axis=1)
    np.testing.assert_allclose(hits.scores, scores, atol=1e-6)


def test_rows_in_order_of_their_score_are_no_special_case():
    """Every chunk is better than all before it, or worse."""
    rows = np.linspace(-1, 1, 3 * CHUNK, dtype=np.float32)[:, None]
    hits = dual_encoder.top_k(np.array([[1], [-1]], np.float32), [rows], 4)
    last = 3 * CHUNK - 1
    np.testing.assert_array_equal(hits.rows, [[last, last - 1, last - 2, last - 3], [0, 1, 2, 3]])


def test_no_query_has_no_result():
    hits = dual_encoder.top_k(np.empty((0, 4)), [unit(30, 4)], 3)
    assert hits.scores.shape == hits.rows.shape == (0, 3)


def test_of_equal_scores_the_earlier_row_comes_first():
    rows = np.ones((3 * CHUNK, 1), np.float32)
    hits = dual_encoder.top_k(np.ones((1, 1)), [rows], 5)
    np.testing.assert_array_equal(hits.rows, [[0, 1, 2, 3, 4]])


def test_more_than_there_are_gives_all():
    hits = dual_encoder.top_k(unit(2, 4), [unit(3, 4, seed=2)], 10)
    assert hits.rows.shape == hits.scores.shape == (2, 3)
    np.testing.assert_array_equal(np.sort(hits.rows), [[0, 1, 2]] * 2)


def test_rows_are_a_list_of_arrays():
    with pytest.raises(ValueError, match=r"shards: expected a list of arrays \[n, e\]; got \[4\]"):
        dual_encoder.top_k(unit(1, 4), unit(3, 4), 1)


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (unit(1, 4), 0, "k: expected 1 or more; got 0"),
        (unit(1, 5), 1, "expected embeddings of 4 numbers; got 5"),
        (np.full((1, 4), np.nan), 1, "expected finite numbers"),
        (np.ones(4), 1, r"expected finite numbers \[q, e\]; got \[4\]"),
    ],
)
def test_queries_that_do_not_fit(queries, k, message):
    with pytest.raises(ValueError, match=message):
        dual_encoder.top_k(queries, [unit(3, 4)], k)


def test_an_index_on_disk(tmp_path):
    rows, queries = unit(250, 8), unit(5, 8, seed=1)
    index = make_index(tmp_path / "index", rows)
    assert len(index) == 250 and len(index.shards) == 3
    hits = index.search(queries, 7)
    np.testing.assert_array_equal(hits.rows, sorted_all(queries, rows, 7))
    assert [index.id(row) for row in (0, 99, 100, 249)] == [
        "p/0.jpg", "p/99.jpg", "p/100.jpg", "p/249.jpg"
    ]  # fmt: skip
    assert index.stamp(101) == (103, 104, 105)
    np.testing.assert_array_equal(index.embeddings([249, 3, 100]), rows[[249, 3, 100]])


def test_names_that_are_no_ascii_and_no_unicode(tmp_path):
    names = ["é/日本.jpg", os.fsdecode(b"\xff.jpg"), ""]
    write_rows(tmp_path / "x", IndexRows.of(names, np.zeros((3, 3)), unit(3, 2)), {"a": 1})
    rows, facts = map_rows(tmp_path / "x")
    assert rows.ids() == names and facts == {"a": 1}


@pytest.mark.parametrize("at", [-1, -3000, 700])
def test_any_flipped_byte_of_its_rows_is_noticed_when_an_index_is_opened(tmp_path, at):
    make_index(tmp_path / "index", unit(100, 16))
    shard = tmp_path / "index" / "embeddings-00000.safetensors"
    data = bytearray(shard.read_bytes())
    data[at] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ValueError, match=r"00000.safetensors is damaged \("):
        Index.open(tmp_path / "index")


def test_two_files_of_rows_that_were_swapped_are_noticed(tmp_path):
    make_index(tmp_path / "index", unit(20, 4), shard=10)
    first, second = (tmp_path / "index" / f"embeddings-0000{i}.safetensors" for i in range(2))
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    with pytest.raises(ValueError, match=r"00000.safetensors is another file of rows than"):
        Index.open(tmp_path / "index")


def test_an_index_leads_to_no_file_elsewhere(tmp_path):
    make_index(tmp_path / "index", unit(3, 4))
    facts = tmp_path / "index" / "index.json"
    facts.write_text(facts.read_text().replace("embeddings-00000", "../index/embeddings-00000"))
    with pytest.raises(ValueError, match=r"shards\[0\].name: expected the name of a file"):
        Index.open(tmp_path / "index")


def test_an_index_that_is_missing_half_built_damaged_or_anothers(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no index .* retrieve --build"):
        Index.open(tmp_path / "nowhere")
    folder = tmp_path / "index"
    make_index(folder, unit(10, 4))
    with pytest.raises(ValueError, match=r"was made by another model .model, fingerprint abc;"):
        Index.open(folder, fingerprint="xyz")
    shard = folder / "embeddings-00000.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-10])
    with pytest.raises(ValueError, match=r"00000.safetensors is damaged"):
        Index.open(folder)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"00000.safetensors is missing"):
        Index.open(folder)
    facts = json.loads((folder / "index.json").read_text())
    facts["shards"][0]["colour"] = "red"
    (folder / "index.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"index.json: .*colour"):
        Index.open(folder)
    (folder / "index.json").write_text("{}")
    with pytest.raises(ValueError, match=r"index.json: embed_dim is missing; delete it"):
        Index.open(folder)
    (folder / "index.json").unlink()
    (folder / ".unfinished").mkdir()
    with pytest.raises(ValueError, match="half built"):
        Index.open(folder)


SEARCH = """
import resource, sys
import numpy as np
from dual_encoder.index.exact_search import Index
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
index = Index.open(sys.argv[1])
index.search(np.ones((1, index.facts.embed_dim), "float32"), 10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_search_takes_less_memory_than_the_files_have_bytes(tmp_path):
    make_index(tmp_path / "index", unit(100_000, 256), shard=20_000)
    size = sum(path.stat().st_size for path in (tmp_path / "index").iterdir())
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}  # no TensorFlow: it weighs more
    said = subprocess.run(
        [sys.executable, "-c", SEARCH, tmp_path / "index"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    unit_of_measure = 1 if sys.platform == "darwin" else 1024
    assert int(said.stdout) * unit_of_measure < 0.6 * size


def test_fingerprints_tell_models_apart_and_nothing_else(tmp_path):
    keras.utils.set_random_seed(0)
    model = tiny_models.scrambled(tiny_models.clip())
    model.save(tmp_path / "model.keras")
    same = dual_encoder.load(tmp_path / "model.keras")
    first = dual_encoder.fingerprint(model)
    assert len(first) == 32 and dual_encoder.fingerprint(same) == first
    same.log_scale.assign_add(1.0)  # embeddings do not depend on it
    assert dual_encoder.fingerprint(same) == first
    same.image_tower.interpolation = "bilinear"
    assert dual_encoder.fingerprint(same) != first
    same.image_tower.interpolation = model.image_tower.interpolation
    weight = same.text_tower.weights[-1]
    weight.assign(keras.ops.where(keras.ops.arange(weight.shape[0]) == 0, weight + 1e-3, weight))
    assert dual_encoder.fingerprint(same) != first


OTHER_SEARCHES = {
    "no result": (unit(2, 4), 0, r"k: expected 1 or more; got 0$"),
    "half a result": (unit(2, 4), 1.5, r"k: expected 1 or more; got 1\.5$"),
    "a text": ("a cat", 1, r"queries: expected finite numbers \[q, e\]; got \[\] of <U5$"),
    "one query": (
        unit(2, 4)[0],
        1,
        r"queries: expected finite numbers \[q, e\]; got \[4\] of float32$",
    ),
    "another model": (unit(2, 3), 1, r"queries: expected embeddings of 4 numbers; got 3$"),
    "no number": (np.full((2, 4), np.nan), 1, r"queries: .*; got NaN or infinity among them$"),
}


@pytest.mark.parametrize("queries, k, message", OTHER_SEARCHES.values(), ids=OTHER_SEARCHES)
def test_other_searches_are_refused_exact_and_approximate(tmp_path, queries, k, message):
    index = make_index(tmp_path / "index", unit(50, 4))
    approximate = dual_encoder.Approximate(index, {"kind": "ivf", "effort": 4}, None)
    for search in (index.search, approximate.search):
        with pytest.raises(ValueError, match=message):
            search(queries, k)


@pytest.mark.parametrize("row", [-1, 250])
def test_a_row_that_an_index_has_not_is_named(tmp_path, row):
    index = make_index(tmp_path / "index", unit(250, 4))
    for of in (index.id, index.stamp, lambda row: index.embeddings([0, row])):
        with pytest.raises(IndexError, match=rf"row: expected 0 to 249, .*; got {row}$"):
            of(row)


OTHER_ROWS = {
    "counts": (unit(2, 4), r"embeddings: expected \[n, e\] with n ids .*; got \[2, 4\], 1 and 1"),
    "no number": (np.full((1, 4), np.nan), "embeddings: expected finite numbers; got NaN"),
}


@pytest.mark.parametrize("embeddings, message", OTHER_ROWS.values(), ids=OTHER_ROWS)
def test_rows_that_no_search_could_find_are_refused(embeddings, message):
    with pytest.raises(ValueError, match=message):
        IndexRows.of(["a.jpg"], [(1, 2, 3)], embeddings)
