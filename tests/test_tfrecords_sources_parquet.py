"""Parquet and Arrow files with images in them, as Hugging Face's `datasets` writes them."""

import io
import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet as parquet_files

import tfrecords
from tfrecords.sources import Limited, at_hand, parquet
from tfrecords.sources.shards import arrow_files

NAMES = ["apple_pie", "beet_salad", "crab cake"]
LABEL = {"_type": "ClassLabel", "names": NAMES}
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
OF_CLASSES = {"image": {"_type": "Image"}, "label": LABEL}


def jpeg(number):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (10 * number, 40, 90)).save(buffer, "JPEG")
    return buffer.getvalue()


def pictured(numbers, named=True):
    """A column of images."""
    found = [{"bytes": jpeg(n), "path": f"{n}.jpg" if named else None} for n in numbers]
    return pa.array(found, IMAGE)


def file_of(path, columns, features=None, group=4):
    """A file of either kind, by its ending; `features` as `datasets` keeps them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if features is not None:
        known = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": known})
    if path.suffix == ".parquet":
        parquet_files.write_table(table, path, row_group_size=group)
        return path
    new = pa.ipc.new_file if path.stem.startswith("file") else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as file, new(file, table.schema) as writer:
        writer.write_table(table, group)
    return path


def of_classes(path, numbers, **more):
    labels = pa.array([n % 3 for n in numbers])
    return file_of(path, {"image": pictured(numbers), "label": labels, **more}, OF_CLASSES)


def listing(source):
    return {
        raw.filename: raw
        for split in source.splits
        for raw in source.read(split, 0, source.splits[split])
    }


@pytest.fixture
def pushed(tmp_path):
    """As `push_to_hub` leaves it."""
    (tmp_path / "food").mkdir()
    (tmp_path / "food" / "README.md").write_text("---\n")
    of_classes(tmp_path / "food/data/train-00000-of-00002.parquet", range(10))
    of_classes(tmp_path / "food/data/train-00001-of-00002.parquet", range(10, 20))
    of_classes(tmp_path / "food/data/test-00000-of-00001.parquet", range(20, 26))
    return tmp_path / "food"


@pytest.mark.parametrize("pattern", ["", "/data", "/data/*.parquet"])
def test_what_was_pushed_to_the_hub(pushed, pattern):
    source = parquet(f"{pushed}{pattern}", seed=0)
    assert (source.name, source.splits) == (
        "data" if pattern else "food",
        {"train": 20, "test": 6},
    )
    assert source.class_names == ("apple pie", "beet salad", "crab cake")
    found = listing(source)
    assert {name: raw.label for name, raw in found.items()} == {
        f"{n}.jpg": n % 3 for n in range(26)
    }
    assert found["13.jpg"].load() == jpeg(13)
    again = pickle.loads(pickle.dumps(source))
    assert again.describe() == source.describe()


def test_files_by_braces(pushed):
    source = parquet(f"{pushed}/data/train-0000{{0..1}}-of-00002.parquet", seed=0)
    assert source.splits == {"train": 20}


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_what_was_saved_to_disk(tmp_path, kind):
    """Folders of splits, as `save_to_disk` has them, and what `datasets` computed beside them."""
    of_classes(tmp_path / f"train/{kind}-00000-of-00001.arrow", range(10))
    of_classes(tmp_path / f"test/{kind}-00000-of-00001.arrow", range(10, 16))
    file_of(tmp_path / "train/cache-0123.arrow", {"indices": pa.array([3, 1])})
    source = parquet(str(tmp_path), seed=0)
    assert source.splits == {"train": 10, "test": 6}
    assert listing(source)["12.jpg"].load() == jpeg(12)
    assert source.notes == (
        "passed over: what `datasets` computed from others (cache-0123.arrow): 1",
    )


def test_records_of_it_have_the_images_in_a_mixed_order(pushed, tmp_path):
    records = tmp_path / "records"
    source = parquet(str(pushed), seed=0)
    tfrecords.write(source, records, shard_size=6, workers=2, progress=False)
    ((batch, labels, _),) = tfrecords.load(records, "train", batch_size=20, image_size=6)
    numbers = np.rint(np.asarray(batch["image"])[:, 0, 0, 0] / 10).astype(int).tolist()
    assert sorted(numbers) == list(range(20)) != numbers
    assert np.asarray(labels).tolist() == [n % 3 for n in numbers]
    others = {path.name for path in records.iterdir() if path.suffix != ".tfrecord"}
    assert others == {"manifest.json", "rejected.csv"}  # and no copy


def test_a_copy_is_of_what_is_read_and_made_once(pushed, tmp_path, monkeypatch):
    asked = []
    images = arrow_files.images

    def spy(path, column, rows):
        asked.extend(rows)
        return images(path, column, rows)

    monkeypatch.setattr(arrow_files, "images", spy)
    source = Limited(parquet(str(pushed), seed=0), 3)
    first = at_hand(source, tmp_path)
    assert len(asked) == 6  # of two splits
    second = at_hand(source, tmp_path)
    assert {name: raw.load() for name, raw in listing(second).items()} == {
        name: jpeg(int(name.split(".")[0])) for name in listing(first)
    }
    assert len(asked) == 6


def test_groups_of_rows_without_a_wanted_one_are_left(tmp_path):
    """They are compressed as a whole."""
    path = of_classes(tmp_path / "a.parquet", range(12))
    data = bytearray(path.read_bytes())
    middle = parquet_files.ParquetFile(path).metadata.row_group(1).column(0)
    start = middle.data_page_offset
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    assert [row for row, _ in arrow_files.images(path, "image.bytes", [0, 3, 8, 11])] == [
        0,
        3,
        8,
        11,
    ]
    with pytest.raises(ValueError, match=r"a\.parquet is no Parquet file that can be read, or not"):
        list(arrow_files.images(path, "image.bytes", [0, 5]))


LISTED = {"_type": "List", "feature": LABEL}


@pytest.mark.parametrize(
    ("column", "feature"),
    [
        (pa.array([[0, 1], [2], [], [1]] * 5, pa.list_(pa.int64())), LISTED),
        (pa.array([[0, 1], [2], [], [1]] * 5, pa.list_(pa.int64())), [LABEL]),
        (pa.array([["apple_pie", "beet_salad"], ["crab cake"], [], ["beet_salad"]] * 5), None),
    ],
)
def test_lists_are_several_labels(tmp_path, column, feature):
    features = {"image": {"_type": "Image"}, **({"labels": feature} if feature else {})}
    file_of(tmp_path / "a.parquet", {"image": pictured(range(20)), "labels": column}, features)
    source = parquet(str(tmp_path / "a.parquet"), seed=0)
    assert source.multi_label
    assert (source.metric, source.name) == ("map", "a")
    assert [listing(source)[f"{n}.jpg"].label for n in range(4)] == [(0, 1), (2,), (), (1,)]


@pytest.mark.parametrize("of_lists", [True, False])
def test_labels_of_objects(tmp_path, of_lists):
    """Those of an image's objects; `datasets` has had them as lists in a structure, and so on."""
    category = [[0, 1], [2, 2], [], [1]] * 5
    inner = {"category": LABEL, "area": {"_type": "Value", "dtype": "int64"}}
    if of_lists:
        objects = [{"category": each, "area": [9] * len(each)} for each in category]
        feature = {"_type": "Sequence", "feature": inner}
    else:
        objects = [[{"category": n, "area": 9} for n in each] for each in category]
        feature = {"_type": "List", "feature": inner}
    columns = {
        "image": pictured(range(20)),
        "id": pa.array(range(20)),
        "objects": pa.array(objects),
    }
    path = file_of(tmp_path / "a.parquet", columns, {"objects": feature})
    for column in (None, "objects.category"):
        source = parquet(str(path), seed=0, label_column=column)
        assert [listing(source)[f"{n}.jpg"].label for n in range(4)] == [(0, 1), (2,), (), (1,)]
        assert "columns not read: id" in source.notes


@pytest.mark.parametrize(
    ("values", "names", "labels"),
    [
        (["b", "a", " b ", "c"], ("a", "b", "c"), [1, 0, 1, 2]),
        ([10, 2, 10, 9], ("2", "9", "10"), [2, 0, 2, 1]),
        ([1.0, 0.0, 1.0, 0.0], ("0", "1"), [1, 0, 1, 0]),
        ([True, False, True, True], ("False", "True"), [1, 0, 1, 1]),
    ],
)
def test_labels_without_a_list_of_names(tmp_path, values, names, labels):
    columns = {"image": pictured(range(20)), "label": pa.array(values * 5)}
    source = parquet(str(file_of(tmp_path / "a.parquet", columns)), seed=0)
    assert source.class_names == names
    assert [listing(source)[f"{n}.jpg"].label for n in range(4)] == labels


@pytest.mark.parametrize(
    ("labels", "features"),
    [
        ([-1, None, 2, 0, 1], OF_CLASSES),
        ([float("nan"), None, 2.0, 0.0, 1.0], None),
        (["", None, "b", "c", "a"], None),
    ],
)
def test_images_without_a_label_are_left_out(tmp_path, labels, features):
    columns = {"image": pictured(range(20)), "label": pa.array(labels * 4)}
    file_of(tmp_path / "a.parquet", columns, features)
    source = parquet(str(tmp_path / "a.parquet"), seed=0)
    assert sum(source.splits.values()) == 12
    assert "passed over: images without a label: 8" in source.notes


@pytest.mark.parametrize("several", [False, True])
def test_captions(tmp_path, several):
    texts = [[f"dish {n}", "a plate"] if several else f"dish\n{n}" for n in range(20)]
    columns = {"image": pictured(range(20)), "text": pa.array(texts)}
    source = parquet(str(file_of(tmp_path / "a.parquet", columns)), seed=0)
    assert (source.metric, source.class_names) == ("recall", ())
    assert listing(source)["3.jpg"].captions == (("dish 3", "a plate") if several else ("dish 3",))


def test_captions_in_place_of_labels_if_asked_for(tmp_path):
    texts = pa.array([f"dish {n}" for n in range(20)])
    path = of_classes(tmp_path / "a.parquet", range(20), caption=texts)
    assert parquet(str(path), seed=0).class_names
    source = parquet(str(path), seed=0, caption_column="caption")
    assert (source.class_names, listing(source)["3.jpg"].captions) == ((), ("dish 3",))
    both = parquet(str(path), seed=0, caption_column="caption", label_column="label")
    assert (listing(both)["4.jpg"].label, listing(both)["4.jpg"].captions) == (1, ("dish 4",))


def test_a_column_says_the_splits(tmp_path):
    splits = pa.array(["train", "train", "dev", "test"] * 5)
    path = of_classes(tmp_path / "a.parquet", range(20), split=splits)
    assert parquet(str(path), seed=0).splits == {"train": 10, "validation": 5, "test": 5}


def test_names_that_are_missing_or_not_one_each_are_those_of_rows(tmp_path):
    for part in range(2):
        columns = {"image": pictured(range(10)), "label": pa.array([0, 1] * 5)}
        file_of(tmp_path / f"{part:04d}.parquet", columns, OF_CLASSES)
    assert "0001/000007.jpg" in listing(parquet(str(tmp_path), seed=0))
    columns = {"image": pa.array([jpeg(n) for n in range(20)]), "label": pa.array([0, 1] * 10)}
    path = file_of(tmp_path / "plain" / "a.parquet", columns, {"label": LABEL})
    assert listing(parquet(str(path), seed=0))["a/000007"].load() == jpeg(7)


def test_images_that_lie_beside_the_file(tmp_path):
    """`datasets` keeps names alone of images that it found in a folder."""
    for n in range(10):
        (tmp_path / f"{n}.jpg").write_bytes(jpeg(n))
    named = pa.array([{"bytes": None, "path": f"{n}.jpg"} for n in range(11)], IMAGE)
    file_of(
        tmp_path / "a.arrow",
        {"image": named, "label": pa.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])},
        OF_CLASSES,
    )
    source = parquet(str(tmp_path / "a.arrow"), seed=0)
    manifest = tfrecords.write(source, tmp_path / "out", workers=1, progress=False)
    assert sum(split.count for split in manifest.splits.values()) == 10
    assert "10.jpg,cannot be read: No such file" in (tmp_path / "out/rejected.csv").read_text()


TWO = {"image": pictured(range(4)), "fine_label": pa.array([0, 1] * 2), "coarse_label": [0, 1] * 2}


@pytest.mark.parametrize(
    ("columns", "features", "options", "message"),
    [
        (
            TWO,
            {"fine_label": LABEL, "coarse_label": LABEL},
            {},
            r"columns fine_label and coarse_label may each be the label; say which with "
            r"--label-column",
        ),
        (
            TWO,
            {"fine_label": LABEL},
            {"label_column": "label"},
            r"--label-column label: expected a column of labels; it has image \(struct<bytes: "
            r"binary, path: string>\), fine_label \(int64\), coarse_label \(int64\)",
        ),
        (
            {"image": pa.array(["http://a/1.jpg"] * 4), "label": pa.array([0, 1] * 2)},
            None,
            {},
            r"expected a column of images, as bytes; it has image \(string\), label \(int64\); of "
            r"image, addresses are for img2dataset, whose shards --webdataset reads",
        ),
        (
            {"image": pictured(range(4)), "score": pa.array([0.5] * 4)},
            None,
            {},
            r"expected a column of labels or of captions, or --label-column or --caption-column; "
            r"it has image, score",
        ),
        (
            {"image": pictured(range(4)), "label": pa.array([0, 1, 2, 3])},
            OF_CLASSES,
            {},
            r"row 3: expected a label from 0 to 2; got 3",
        ),
        (
            {"image": pictured(range(4)), "label": pa.array([0.5, 1, 2, 3])},
            None,
            {},
            r"row 0: expected a label, its name or number; got 0\.5",
        ),
        (
            {"image": pictured(range(4)), "label": pa.array(["a"] * 4)},
            None,
            {},
            r"expected two or more classes, got a$",
        ),
        (
            {"image": pictured(range(4)), "label": pa.array([-1] * 4)},
            OF_CLASSES,
            {},
            r"none of 4 images has a label or a caption",
        ),
        (
            {"left": pictured(range(4)), "right": pictured(range(4)), "label": [0, 1] * 2},
            None,
            {},
            r"columns left and right may each be the image; say which with --image-column",
        ),
        (
            {"image": pictured(range(4)), "label": ["a", "b", "a", "b"], "split": ["1"] * 4},
            None,
            {},
            r"row 0: expected a split like train, validation, test, got '1'",
        ),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, columns, features, options, message):
    path = file_of(tmp_path / "a.parquet", columns, features)
    with pytest.raises(ValueError, match=message) as error:
        parquet(str(path), seed=0, **options)
    assert str(path) in str(error.value)


def test_files_of_several_data_sets_are_refused(pushed, tmp_path):
    of_classes(tmp_path / "food" / "more" / "train.parquet", range(4))
    with pytest.raises(ValueError, match="one data set; folders with some are data, more; name"):
        parquet(str(pushed), seed=0)
    other = file_of(
        tmp_path / "other.parquet",
        {"image": pictured(range(4)), "label": pa.array([0, 1] * 2)},
        {"label": {"_type": "ClassLabel", "names": ["x", "y"]}},
    )
    one = of_classes(tmp_path / "one.parquet", range(4))
    with pytest.raises(ValueError, match=rf"{other} has other class names than {one}; expected"):
        parquet(str(tmp_path / "o*.parquet"), seed=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1 and no more", r"a\.parquet is no Parquet file that can be read, or not whole: "),
        (b"version https://git-lfs.github.com/spec/v1\n", r"a\.parquet is a pointer of Git LFS"),
        (b"", r"a\.parquet is no Parquet file that can be read, or not whole: "),
    ],
)
def test_damaged_files(tmp_path, content, message):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        parquet(str(tmp_path), seed=0)


def test_no_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected Parquet or Arrow files; found none"):
        parquet(str(tmp_path), seed=0)
    with pytest.raises(FileNotFoundError, match=r"missing: b\.parquet"):
        parquet(str(tmp_path / "b.parquet"), seed=0)
