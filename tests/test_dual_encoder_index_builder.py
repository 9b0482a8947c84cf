"""Indexes that are begun, stopped, gone on with, added to and taken from."""

import numpy as np
import pytest

from dual_encoder import Index, IndexBuilder, IndexFacts, IndexRows, write_part
from dual_encoder.index.builder import Changes

DIM = 4


def facts(**other):
    made = {"model": "m", "fingerprint": "abc", "embed_dim": DIM, "shards": ()}
    return IndexFacts(**{**made, "source": {"kind": "folder", "path": "/images"}, **other})


def stamp(number):
    return (number, 10 * number, 0)


def listing(numbers):
    return {f"{number}.jpg": stamp(number) for number in numbers}


def embedding(name):
    """Made of the name, so that a row can be told from any other."""
    return np.full(DIM, float(name.split(".")[0]), np.float32)


def embed(folder, names, wanted, *, unreadable=(), made=None):
    """What an encoder would leave."""
    rows = IndexRows.of(
        names,
        [wanted[name] for name in names],
        np.array([embedding(name) for name in names]).reshape(-1, DIM),
    )
    write_part(folder, rows, made or facts(), unreadable=unreadable)


def build(folder, wanted, *, shard_rows=10):
    builder = IndexBuilder(folder, wanted, facts(), shard_rows=shard_rows)
    missing = builder.missing
    if missing:
        embed(folder, missing, wanted)
    return builder.finish(), missing


def check(folder, wanted):
    """All and only those wanted are there, each with its own embedding, and no other file."""
    index = Index.open(folder)
    names = [index.id(row) for row in range(len(index))]
    assert sorted(names) == sorted(wanted)
    expected = np.array([embedding(name) for name in names])
    np.testing.assert_array_equal(index.embeddings(range(len(index))), expected)
    assert [index.stamp(row) for row in range(len(index))] == [wanted[name] for name in names]
    files = {path.name for path in folder.iterdir()}
    assert files == {"index.json", "unreadable.csv", *(s.name for s in index.facts.shards)}
    return index


def test_a_new_index_is_in_the_order_of_the_listing_whatever_came_first(tmp_path):
    wanted = listing(range(25))
    for first in (9, 3, 6):
        embed(tmp_path / "index", [f"{i}.jpg" for i in range(first, first + 3)], wanted)
    changes, missing = build(tmp_path / "index", wanted)
    assert changes == Changes(added=25, dropped=0, unreadable=0, total=25)
    assert missing == [f"{i}.jpg" for i in [*range(3), *range(12, 25)]]
    index = check(tmp_path / "index", wanted)
    assert [index.id(row) for row in range(25)] == list(wanted)
    assert [shard.count for shard in index.facts.shards] == [10, 10, 5]


def test_what_was_begun_is_gone_on_with_and_the_old_index_answers_until_then(tmp_path):
    folder = tmp_path / "index"
    build(folder, listing(range(12)))
    wanted = listing(range(30))
    embed(folder, [f"{i}.jpg" for i in range(12, 20)], wanted)  # then it is stopped
    assert len(Index.open(folder)) == 12
    changes, missing = build(folder, wanted)
    assert missing == [f"{i}.jpg" for i in range(20, 30)]
    assert changes == Changes(added=18, dropped=0, unreadable=0, total=30)
    check(folder, wanted)


def test_images_added_dropped_and_changed(tmp_path):
    folder = tmp_path / "index"
    build(folder, listing(range(25)))
    full = (folder / "embeddings-00000.safetensors").stat().st_mtime_ns
    wanted = listing([*range(11), *range(13, 28)])
    wanted["14.jpg"] = (14, 999, 0)  # written again since
    changes, missing = build(folder, wanted)
    assert missing == ["14.jpg", "25.jpg", "26.jpg", "27.jpg"]
    assert changes == Changes(added=4, dropped=3, unreadable=0, total=26)
    check(folder, wanted)
    assert (folder / "embeddings-00000.safetensors").stat().st_mtime_ns == full  # not touched


def test_images_that_only_moved_keep_their_embeddings(tmp_path):
    folder = tmp_path / "index"
    build(folder, listing(range(5)))
    moved = {name: (*stamp[:2], 7) for name, stamp in listing(range(5)).items()}
    changes, missing = build(folder, moved)
    assert missing == [] and changes.added == changes.dropped == 0
    check(folder, moved)


def test_nothing_to_do_writes_no_shard(tmp_path):
    folder = tmp_path / "index"
    build(folder, listing(range(13)))
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("emb*")}
    changes, _ = build(folder, listing(range(13)))
    assert changes == Changes(added=0, dropped=0, unreadable=0, total=13)
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("emb*")} == before


def test_unreadable_images_are_listed_and_tried_again(tmp_path):
    folder, wanted = tmp_path / "index", listing(range(4))
    builder = IndexBuilder(folder, wanted, facts())
    bad = [("2.jpg", "truncated"), ("3.jpg", 'a, "b"')]
    embed(folder, ["0.jpg", "1.jpg"], wanted, unreadable=bad)
    assert builder.finish() == Changes(added=2, dropped=0, unreadable=2, total=2)
    told = (folder / "unreadable.csv").read_text().splitlines()
    assert told == ["file,reason", "2.jpg,truncated", '3.jpg,"a, ""b"""']
    changes, missing = build(folder, wanted)
    assert missing == ["2.jpg", "3.jpg"] and changes.unreadable == 0
    check(folder, wanted)


def test_an_index_of_nothing_is_refused_and_nothing_is_lost(tmp_path):
    folder, wanted = tmp_path / "index", listing([7])
    builder = IndexBuilder(folder, wanted, facts())
    embed(folder, [], wanted, unreadable=[("7.jpg", "truncated")])
    with pytest.raises(ValueError, match=r"not one image could be read; 7.jpg: truncated"):
        builder.finish()
    build(tmp_path / "other", listing(range(3)))
    with pytest.raises(ValueError, match="not one image"):
        IndexBuilder(tmp_path / "other", {"9.jpg": stamp(9)}, facts()).finish()
    check(tmp_path / "other", listing(range(3)))


def test_another_model_is_refused(tmp_path):
    build(tmp_path / "index", listing(range(3)))
    with pytest.raises(ValueError, match=r"made by another model .m, fingerprint abc; this one"):
        IndexBuilder(tmp_path / "index", listing(range(3)), facts(fingerprint="xyz"))
    wanted = listing(range(3))
    embed(tmp_path / "begun", ["0.jpg"], wanted)
    with pytest.raises(ValueError, match="made by another model"):
        IndexBuilder(tmp_path / "begun", wanted, facts(fingerprint="xyz"))


def test_images_of_elsewhere_do_not_replace_those_that_are_there(tmp_path):
    here = facts(source={"kind": "folder", "path": str(tmp_path)})
    wanted = listing(range(3))
    embed(tmp_path / "index", list(wanted), wanted, made=here)
    IndexBuilder(tmp_path / "index", wanted, here).finish()
    with pytest.raises(ValueError, match=f"is an index of {tmp_path}, not of /images"):
        IndexBuilder(tmp_path / "index", wanted, facts())
    build(tmp_path / "moved", wanted)  # of /images, which is not there: it may have been moved
    assert IndexBuilder(tmp_path / "moved", wanted, here).missing == []


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds other files"):
        IndexBuilder(tmp_path, listing([1]), facts())
    with pytest.raises(FileExistsError, match="is a file"):
        IndexBuilder(tmp_path / "mine.txt", listing([1]), facts())


def test_what_a_killed_build_left_is_its_own(tmp_path, monkeypatch):
    """Killed after its embeddings and its table have their names, before `index.json` has."""
    wanted, whole, left = listing(range(5)), tmp_path / "whole", tmp_path / "left"
    build(whole, wanted)
    monkeypatch.setattr(IndexFacts, "write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(left, wanted)
    monkeypatch.undo()
    (left / ".unfinished.1999999999.index.json").touch()
    assert {path.name for path in left.iterdir()} > {"embeddings-00000.safetensors"}
    build(left, wanted)
    assert (left / "index.json").read_bytes() == (whole / "index.json").read_bytes()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "embeddings-00000.safetensors").touch()
    with pytest.raises(FileExistsError, match="holds other files"):
        IndexBuilder(tmp_path / "foreign", wanted, facts())


def test_a_folder_may_be_a_text_and_embeddings_of_another_size_are_refused(tmp_path):
    wanted = listing(range(3))
    build(str(tmp_path / "index"), wanted)
    check(tmp_path / "index", wanted)
    with pytest.raises(ValueError, match=rf"embeddings: expected {DIM} numbers each; got 1"):
        write_part(tmp_path, IndexRows.of(["a"], [stamp(0)], np.ones((1, 1))), facts())
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
