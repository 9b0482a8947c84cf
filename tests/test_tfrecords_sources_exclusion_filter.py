"""A source without the images that a table names."""

import pickle

import pytest
from drawn_scans import Drawn, planted

from tfrecords import sources

SOURCE = Drawn(planted())


def table(tmp_path, *lines):
    path = tmp_path / "suspects.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def names(source, split, start=0, stop=None):
    stop = source.splits[split] if stop is None else stop
    return [raw.filename for raw in source.read(split, start, stop)]


def test_images_of_the_table_are_left_out_and_the_others_keep_their_order(tmp_path):
    path = table(
        tmp_path,
        "file,split,kind,why",
        "train/1.png,train,blank,x",
        "train/1.png,train,tiny,y",
        "train/copy.png,train,blank,z",
        "test/2.png,test,blank,z",
    )
    found = sources.excluded(SOURCE, path)
    gone = {"train/1.png", "train/copy.png"}
    kept = [name for name in names(SOURCE, "train") if name not in gone]
    assert found.splits == {"train": 25, "test": 2}
    assert names(found, "train") == kept
    assert names(found, "train", 3, 21) == kept[3:21]
    assert [raw.label for raw in found.read("test", 0, 2)] == [0, 1]
    assert found.notes == ("left out by suspects.csv: 2 of train, 1 of test",)
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_row_counts_in_its_split_and_without_a_split_in_all(tmp_path):
    assert sources.excluded(SOURCE, table(tmp_path, "file", "test/0.png")).splits["test"] == 2
    other = table(tmp_path, "file,split", "test/0.png,train", "test/1.png,testing")
    found = sources.excluded(SOURCE, other)
    assert found.splits == {"train": 27, "test": 2}
    assert found.notes[-1].endswith("1 rows name no image of drawn (test/0.png)")


def test_other_images_left_out_make_another_source(tmp_path):
    one = sources.excluded(SOURCE, table(tmp_path, "file", "test/0.png")).describe()
    two = sources.excluded(SOURCE, table(tmp_path, "file", "test/1.png")).describe()
    assert one != two and one["kind"] == "drawn"


def test_a_table_without_rows_leaves_out_nothing(tmp_path):
    found = sources.excluded(SOURCE, table(tmp_path, "file,split,kind"))
    assert found.splits == SOURCE.splits
    assert found.notes == ("left out by suspects.csv: no image",)
    assert sources.excluded(SOURCE, table(tmp_path, "file,why,by,when")).splits == SOURCE.splits


def test_a_column_that_says_yes_or_no_is_the_split(tmp_path):
    found = sources.excluded(SOURCE, table(tmp_path, "file,is_test", "test/1.png,1"))
    assert found.splits == {"train": 27, "test": 2}
    found = sources.excluded(
        SOURCE, table(tmp_path, "file,is_test", "test/0.png,0", "test/1.png,1")
    )
    assert found.notes[-1].endswith("1 rows name no image of drawn (test/0.png)")


def test_wrong_tables_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"suspects\.csv: names no image of drawn; got cat\.png"):
        sources.excluded(SOURCE, table(tmp_path, "file,split", "cat.png,train"))
    with pytest.raises(ValueError, match="expected a column for the image"):
        sources.excluded(SOURCE, table(tmp_path, "kind,why", "a,b"))
    rows = [f"test/{i}.png" for i in range(3)]
    with pytest.raises(ValueError, match="leaves no image of split test"):
        sources.excluded(SOURCE, table(tmp_path, "file", *rows))
    with pytest.raises(ValueError, match=r"suspects\.csv, line 2: expected a split like train, "):
        sources.excluded(SOURCE, table(tmp_path, "file,split", "test/0.png,7"))
    with pytest.raises(FileNotFoundError):
        sources.excluded(SOURCE, tmp_path / "none.csv")
