"""WebDataset's tar shards: captions and labels beside images, named by pattern, folder or file."""

import io
import json
import pickle
import tarfile

import pytest
from PIL import Image

from tfrecords.sources import webdataset


def jpeg(grey):
    buffer = io.BytesIO()
    Image.new("L", (8, 6), grey).save(buffer, "JPEG")
    return buffer.getvalue()


def shard(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def shards(tmp_path):
    for part in range(3):
        members = []
        for i in range(4):
            key = f"{part * 4 + i:04d}"
            members += [(f"{key}.jpg", jpeg(20 * i)), (f"{key}.txt", f"number {i}".encode())]
            members += [(f"{key}.json", json.dumps({"caption": "unused"}).encode())]
        shard(tmp_path / "shards" / f"{part:04d}.tar", members)
    return tmp_path / "shards"


def listing(source):
    return {
        raw.filename: raw
        for split in source.splits
        for raw in source.read(split, 0, source.splits[split])
    }


@pytest.mark.parametrize("pattern", ["/{0000..0002}.tar", "/*.tar", ""])
def test_captions_by_pattern(shards, pattern):
    source = webdataset(f"{shards}{pattern}", seed=0)
    assert (source.name, source.splits) == ("shards", {"train": 10, "validation": 1, "test": 1})
    found = listing(source)
    assert found["0001.tar/0006.jpg"].captions == ("number 2",)
    assert found["0001.tar/0006.jpg"].load() == jpeg(40)
    again = pickle.loads(pickle.dumps(source))
    assert again.describe() == source.describe()


@pytest.mark.parametrize("pattern", ["/0001.tar", "/{0000..0002}.tar", "/*.tar", "/000[01].tar"])
def test_brackets_in_a_folders_name_are_no_pattern(shards, pattern):
    folder = shards.rename(shards.with_name("data [v2]"))
    found = listing(webdataset(f"{folder}{pattern}", seed=0, test_share=0.3))
    assert len(found) == 4 * (1 if "0001" in pattern else 2 if "01]" in pattern else 3)


def test_splits_by_name_and_class_names_beside_them(tmp_path):
    """As clip-benchmark's sets are published: a folder per split, classnames.txt above them."""
    for split, count in (("train", 6), ("test", 2)):
        members = [(f"s{i}.webp", jpeg(9)) for i in range(count)]
        members = [m for i in range(count) for m in (members[i], (f"s{i}.cls", b"%d" % (i % 2)))]
        shard(tmp_path / split / "0.tar", members)
    (tmp_path / "classnames.txt").write_text("house_cat\ndog\n")
    source = webdataset(str(tmp_path), seed=0)
    assert source.class_names == ("house cat", "dog")
    assert source.splits == {"train": 6, "test": 2}
    assert [raw.label for raw in listing(source).values()].count(1) == 4
    shard(tmp_path / "test" / "1.tar", [("x.jpg", jpeg(9)), ("x.cls", b"7")])
    with pytest.raises(ValueError, match=r"classnames\.txt has 2 names; a shard has class 7"):
        webdataset(str(tmp_path), seed=0)
    (tmp_path / "classnames.txt").write_text("house_cat\n\ndog\n" + "x\n" * 9)
    with pytest.raises(ValueError, match=r"classnames\.txt: line 2 is empty; expected the name"):
        webdataset(str(tmp_path), seed=0)


@pytest.mark.parametrize(
    ("listed", "labels", "message"),
    [
        ("0 cat\n1 dog\n", "01", "expected a name alone on each line; got '0 cat'"),
        ("cat\n'hot dog'\n", "01", r"alone on each line; got \"'hot dog'\""),
        ("cat\ndog\n", ("-1", "0", "1"), "has 2 names; a shard has class -1"),
        ("cat\ndog\n", ("0", "1", "dog"), "has 2 names; a shard has class dog"),
    ],
)
def test_a_list_that_does_not_say_the_names_of_the_numbers_is_refused(
    tmp_path, listed, labels, message
):
    """It had been passed over without a word, or its numbers had been in the names."""
    members = [(f"{i}.cls", labels[i % len(labels)].encode()) for i in range(9)]
    shard(tmp_path / "a.tar", [*members, *((f"{i}.jpg", jpeg(1)) for i in range(9))])
    (tmp_path / "classnames.txt").write_text(listed)
    with pytest.raises(ValueError, match=message):
        webdataset(str(tmp_path / "a.tar"), seed=0)


def test_numbers_as_pandas_writes_them_have_the_names_of_the_list(tmp_path):
    members = [(f"{i}.cls", f"{i % 2}.0".encode()) for i in range(10)]
    shard(tmp_path / "a.tar", [*members, *((f"{i}.jpg", jpeg(1)) for i in range(10))])
    (tmp_path / "classnames.txt").write_text("house_cat\ndog\n")
    source = webdataset(str(tmp_path / "a.tar"), seed=0)
    assert source.class_names == ("house cat", "dog")
    assert listing(source)["a.tar/3.jpg"].label == 1
    shard(tmp_path / "b.tar", [*((n, b"pug" if b"1" in d else b"cat") for n, d in members),
                               *((f"{i}.jpg", jpeg(1)) for i in range(10))])  # fmt: skip
    source = webdataset(str(tmp_path / "b.tar"), seed=0)
    assert source.class_names == ("cat", "pug")
    assert source.notes == ("passed over: classnames.txt, as the shards have names for labels: 1",)


def test_lines_of_a_text_are_captions_and_said(tmp_path):
    """As clip-benchmark's sets for retrieval have them; they had been one caption."""
    members = [(f"{i}.txt", b"a dog\r\n a big  cat \n\n" if i < 9 else b"hen") for i in range(12)]
    shard(tmp_path / "a.tar", [*members, *((f"{i}.jpg", jpeg(1)) for i in range(12))])
    source = webdataset(str(tmp_path / "a.tar"), seed=0)
    found = listing(source)
    assert found["a.tar/1.jpg"].captions == ("a dog", "a big cat")
    assert found["a.tar/9.jpg"].captions == ("hen",)
    assert source.notes[0].startswith("texts with a caption on each line: 9 (a.tar/0.jpg")


def test_shards_of_a_folder_may_end_in_capitals(shards):
    (shards / "0002.tar").rename(shards / "0002.TAR")
    assert len(listing(webdataset(str(shards), seed=0))) == 12


def test_what_cannot_be_read_is_named(shards, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing: .*0003\.tar"):
        webdataset(f"{shards}/{{0000..0003}}.tar", seed=0)
    with pytest.raises(FileNotFoundError, match="found none"):
        webdataset(f"{tmp_path}/none*.tar", seed=0)
    (shards / "0001.tar").write_bytes(b"no tar file" * 100)
    with pytest.raises(ValueError, match=r"0001\.tar is no tar file"):
        webdataset(str(shards), seed=0)
    shard(tmp_path / "bare.tar", [("1.jpg", jpeg(1)), ("2.jpg", jpeg(2))])
    with pytest.raises(ValueError, match=r"expected captions .* or labels"):
        webdataset(str(tmp_path / "bare.tar"), seed=0)


def test_examples_without_an_image_are_counted(tmp_path):
    members = [m for i in range(12) for m in ((f"{i}.jpg", jpeg(1)), (f"{i}.txt", b"a"))]
    shard(tmp_path / "a.tar", [*members, ("lone.txt", b"a caption")])
    source = webdataset(str(tmp_path / "a.tar"), seed=0)
    assert sum(source.splits.values()) == 12
    assert source.notes == ("passed over: examples without an image: 1",)


def test_splits_beside_the_name_of_the_set(tmp_path):
    for split in ("train", "val"):
        members = [(f"{split}{i}.jpg", jpeg(i)) for i in range(3)]
        members += [(f"{split}{i}.cls", str(i % 2).encode()) for i in range(3)]
        shard(tmp_path / f"imagenet-{split}-000000.tar", sorted(members))
    assert webdataset(str(tmp_path), seed=0).splits == {"train": 3, "validation": 3}


def test_a_shard_that_is_cut_off_is_named(shards):
    path = shards / "0001.tar"
    path.write_bytes(path.read_bytes()[: 4 * 512])
    with pytest.raises(ValueError, match=r"0001\.tar is cut off"):
        webdataset(str(shards), seed=0)


def test_what_macos_adds_is_no_example_and_what_lacks_a_caption_is_counted(tmp_path):
    members = []
    for i in range(12):
        members += [(f"./._{i:02}.jpg", b"\0\5\x16\7"), (f"./{i:02}.jpg", jpeg(i))]
        members += [(f"./{i:02}.txt", b"a dog")] if i else []
    shard(tmp_path / "0.tar", members)
    source = webdataset(str(tmp_path), seed=0)
    assert sum(source.splits.values()) == 11
    assert source.notes == (
        "passed over: hidden files and folders: 12",
        "passed over: examples without a caption: 1",
    )
    (tmp_path / "._0.tar").write_bytes(b"\0\5\x16\7")  # as on a disk of Windows'
    assert webdataset(str(tmp_path), seed=0).splits == source.splits


def test_a_text_that_cannot_be_read_stops_nothing_else(tmp_path):
    members = []
    texts = {3: ("txt", b"caf\xe9"), 4: ("json", b"{"), 5: ("json", b'{"caption": {"en": "a"}}')}
    texts[6] = ("json", b'{"caption": null, "text": "a dog"}')
    for i in range(12):
        ending, text = texts.get(i, ("txt", b"a dog"))
        members += [(f"{i:02}.jpg", jpeg(i)), (f"{i:02}.{ending}", text)]
    shard(tmp_path / "0.tar", members)
    source = webdataset(str(tmp_path), seed=0)
    assert {raw.captions for raw in listing(source).values()} == {("a dog",)}
    assert sum(source.splits.values()) == 9
    (note,) = source.notes
    assert note.startswith("passed over: examples whose text cannot be read (0.tar: 03.txt: not")
    shard(tmp_path / "0.tar", members[6:8])
    with pytest.raises(ValueError, match=r"no example has a text that can be read: 0\.tar"):
        webdataset(str(tmp_path), seed=0)


def test_names_and_splits_that_are_the_same_are_refused(tmp_path):
    members = [m for i in range(9) for m in ((f"{i}.jpg", jpeg(1)), (f"{i}.cls", b"%d" % (i % 3)))]
    shard(tmp_path / "val-0.tar", members)
    (tmp_path / "classnames.txt").write_text("hen\nhen\ncat\n")  # as OpenAI's of ImageNet
    assert (
        "several classes are called hen: --allow-equal-names"
        in webdataset(str(tmp_path), seed=0).notes
    )
    (tmp_path / "classnames.txt").write_text("hen\nHen\ncat\n")
    with pytest.raises(ValueError, match=r"classnames\.txt: several classes mean the same name"):
        webdataset(str(tmp_path), seed=0)
    shard(tmp_path / "dev-0.tar", members)
    with pytest.raises(ValueError, match="dev and val are both split validation"):
        webdataset(str(tmp_path), seed=0)


def test_texts_need_not_stand_beside_their_images_and_names_may_have_dots(tmp_path):
    images = [(f"v1.{i} (2).jpg", jpeg(i)) for i in range(8)]
    texts = [(f"v1.{i} (2).txt", f"number {i}".encode()) for i in range(8)]
    shard(tmp_path / "dots.tar", images + texts)
    found = listing(webdataset(f"{tmp_path}/dots.tar", seed=0))
    assert len(found) == 8
    assert found["dots.tar/v1.3 (2).jpg"].captions == ("number 3",)


def test_an_image_with_two_extensions_has_the_texts_of_its_example(tmp_path):
    members = [
        member
        for i in range(8)
        for member in ((f"{i}.left.jpg", jpeg(i)), (f"{i}.cls", f"{i % 2}".encode()))
    ]
    shard(tmp_path / "left.tar", members)
    source = webdataset(f"{tmp_path}/left.tar", seed=0)
    assert {name: raw.label for name, raw in listing(source).items()} == {
        f"left.tar/{i}.left.jpg": i % 2 for i in range(8)
    }
    shard(tmp_path / "two.tar", [*members, ("0.right.jpg", jpeg(9))])
    with pytest.raises(ValueError, match=r"0\.right\.jpg is a second image of its example"):
        webdataset(f"{tmp_path}/two.tar", seed=0)


def test_a_caption_that_is_not_a_number_is_none(tmp_path):
    said = [json.dumps({"caption": f"c{i}" if i else float("nan")}).encode() for i in range(9)]
    members = [m for i in range(9) for m in ((f"{i}.jpg", jpeg(i)), (f"{i}.json", said[i]))]
    shard(tmp_path / "nan.tar", members)
    source = webdataset(f"{tmp_path}/nan.tar", seed=0)
    assert source.notes == ("passed over: examples without a caption: 1",)


def test_links_in_a_shard_are_the_files_that_they_lead_to(tmp_path):
    members = [(f"./d/{i}.{end}", jpeg(i) if end == "jpg" else b"a") for i in range(9) for end in
               ("jpg", "txt")]  # fmt: skip
    shard(tmp_path / "s.tar", members)
    with tarfile.open(tmp_path / "s.tar", "a") as tar:
        for name, kind, target in (
            ("./d/9.jpg", tarfile.LNKTYPE, "./d/0.jpg"),
            ("./d/9.txt", tarfile.SYMTYPE, "0.txt"),
            ("./d/10.jpg", tarfile.SYMTYPE, "9.jpg"),
            ("./d/10.txt", tarfile.SYMTYPE, "../d/0.txt"),
            ("./d/11.jpg", tarfile.SYMTYPE, "/elsewhere/1.jpg"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    source = webdataset(str(tmp_path / "s.tar"), seed=0)
    found = listing(source)
    for name in ("s.tar/./d/9.jpg", "s.tar/./d/10.jpg"):
        assert (found[name].load(), found[name].captions) == (jpeg(0), ("a",))
    assert len(found) == 11
    assert source.notes == ("passed over: links to no file of their shard: 1",)


def test_folders_in_shards_may_be_splits(tmp_path):
    names = [f"{split}/{i}" for split in ("train", "val") for i in range(4)]
    members = [(f"{name}.jpg", jpeg(0)) for name in names]
    members += [(f"{name}.cls", name[-1:].encode()) for name in names]
    shard(tmp_path / "s.tar", members)
    assert webdataset(str(tmp_path / "s.tar"), seed=0).splits == {"train": 4, "validation": 4}


def test_what_lies_beside_or_behind_shards_is_not_lost_silently(shards):
    (shards / "0003.tar.gz").write_bytes(b"")
    (note,) = webdataset(str(shards), seed=0).notes
    assert note == "passed over: files that are no plain tar files (0003.tar.gz): 1"
    second = (shards / "0001.tar").read_bytes()
    with open(shards / "0000.tar", "ab") as file:
        file.write(second)
    with pytest.raises(ValueError, match=r"0000\.tar: expected one tar file; more follows its end"):
        webdataset(str(shards), seed=0)


def test_labels_that_may_be_several_are_said(tmp_path):
    said = ("1", "1,3", "3")
    members = [(f"{i}.{end}", jpeg(0) if end == "jpg" else said[i % 3].encode())
               for i in range(12) for end in ("jpg", "cls")]  # fmt: skip
    shard(tmp_path / "s.tar", members)
    assert webdataset(str(tmp_path / "s.tar"), seed=0).notes == ("labels made of others: 1,3",)


def test_an_empty_label_is_named_and_classes_without_names_are_said(tmp_path):
    labels = [b"n01440764", b"n02102040", b" "]
    members = [m for i in range(30) for m in ((f"{i}.jpg", jpeg(i)), (f"{i}.cls", labels[i % 3]))]
    shard(tmp_path / "0.tar", members)
    codes, empty = webdataset(str(tmp_path), seed=0).notes
    assert codes.startswith("classes have codes for names (n01440764, n02102040)")
    assert "examples whose text cannot be read (0.tar: 2.cls: expected a label" in empty


def test_several_texts_are_all_captions_and_labels_that_differ_are_said(tmp_path):
    """Of `1.txt` and `1.caption` the last was taken, and JSON's label was passed over."""
    members = [("0.json", b'{"caption": "of JSON"}')]
    for key in "01234567":
        members += [(f"{key}.txt", b"a dog"), (f"{key}.jpg", jpeg(1))]
    members += [("1.caption", b"a dog\na small dog")]
    shard(tmp_path / "texts.tar", members)
    found = listing(webdataset(str(tmp_path / "texts.tar"), seed=0))
    assert found["texts.tar/0.jpg"].captions == ("a dog",)
    assert found["texts.tar/1.jpg"].captions == ("a dog", "a small dog")

    labels = [("0", "cat", "cat"), ("1", "cat", "dog"), ("2", "dog", "4"), ("3", "dog", "dog")]
    members = []
    for key, text_label, of_json in labels:
        members += [(f"{key}.json", json.dumps({"label": of_json}).encode())]
        members += [(f"{key}.jpg", jpeg(9)), (f"{key}.cls", text_label.encode())]
    shard(tmp_path / "labels.tar", members)
    source = webdataset(str(tmp_path / "labels.tar"), seed=0)
    assert source.class_names == ("cat", "dog")
    note = "examples whose labels differ, a text's before that of JSON: 1 (labels.tar/1.jpg)"
    assert [note] == [each for each in source.notes if "differ" in each]
    assert listing(source)["labels.tar/1.jpg"].label == 0
