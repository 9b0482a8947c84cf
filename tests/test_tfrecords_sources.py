"""Each layout is read as it is published; what is wrong with one is said in one line."""

import io
import json
import pickle

import numpy as np
import pytest
from PIL import Image
from tfds_folders import old_protobuf, prepare_tfds

from tfrecords import sources
from tfrecords.sources.base import require_files
from tfrecords.sources.catalog import dataset


def jpeg(grey=128):
    buffer = io.BytesIO()
    Image.new("L", (8, 6), grey).save(buffer, "JPEG")
    return buffer.getvalue()


def put(root, *names, data=None):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg() if data is None else data)


def listing(source, split):
    return {
        raw.filename: (raw.label, raw.captions)
        for raw in source.read(split, 0, source.splits[split])
    }


def check_source(source):
    """What every source promises: slices agree with the whole, and it can be sent to a worker."""
    copy = pickle.loads(pickle.dumps(source))
    json.dumps(source.describe())
    assert copy.describe() == source.describe()
    for split, count in source.splits.items():
        whole = [raw.filename for raw in source.read(split, 0, count)]
        halves = [*source.read(split, 0, count // 2), *copy.read(split, count // 2, count)]
        assert [raw.filename for raw in halves] == whole
        assert len(set(whole)) == count
        raw = next(source.read(split, count - 1, count))
        assert isinstance(raw.load(), bytes)


# --- class folders


@pytest.fixture
def pets(tmp_path):
    root = tmp_path / "pets"
    for split, count in [("train", 10), ("test", 2)]:
        for name in ("house_cat", "dog"):
            put(root, *(f"{split}/{name}/{i}.jpg" for i in range(count)))
    put(root, "train/dog/.hidden", "readme.txt")
    return root


def test_class_folder_with_splits(pets):
    source = sources.class_folder(pets, seed=0)
    check_source(source)
    assert source.name == "pets"
    assert source.class_names == ("dog", "house cat")
    assert source.splits == {"train": 20, "test": 4}
    assert listing(source, "test") == {
        "test/dog/0.jpg": (0, ()),
        "test/dog/1.jpg": (0, ()),
        "test/house_cat/0.jpg": (1, ()),
        "test/house_cat/1.jpg": (1, ()),
    }
    assert source.templates == ("a photo of a {}.",)


def test_class_folder_is_mixed_by_seed(pets):
    orders = [
        [raw.label for raw in sources.class_folder(pets, seed=seed).read("train", 0, 20)]
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0])


def test_class_folder_without_splits_is_split_by_seed(pets):
    source = sources.class_folder(pets / "train", seed=0)
    check_source(source)
    assert source.splits == {"train": 16, "test": 4}  # nobody would read a split validation
    names = [name for split in source.splits for name in listing(source, split)]
    assert sorted(names) == sorted(f"{c}/{i}.jpg" for c in ("dog", "house_cat") for i in range(10))
    assert sorted(label for label, _ in listing(source, "test").values()) == [0, 0, 1, 1]


def test_images_that_join_a_class_leave_nearly_all_others_in_their_splits(tmp_path):
    """Else a model of last week would be tested on what it was trained on."""
    put(tmp_path, *(f"{c}/{i}.jpg" for c in ("dog", "cat") for i in range(50)))
    before = sources.class_folder(tmp_path, seed=0)
    put(tmp_path, *(f"{c}/{i}.jpg" for c in ("dog", "cat") for i in range(50, 100)))
    after = sources.class_folder(tmp_path, seed=0)
    assert (before.splits["test"], after.splits["test"]) == (20, 40)
    moved = set(listing(after, "test")) & set(listing(before, "train"))
    assert len(moved) <= 4  # of 80 that were trained on; chance would test 16
    assert set(listing(sources.class_folder(tmp_path, seed=1), "test")) != set(
        listing(after, "test")
    )


def test_the_share_to_test_on_can_be_said(pets):
    source = sources.class_folder(pets / "train", seed=0, test_share=0.5)
    assert source.splits == {"train": 10, "test": 10}
    for share in (0, 1):
        with pytest.raises(ValueError, match=f"expected a number between 0 and 1; got {share}"):
            sources.class_folder(pets / "train", seed=0, test_share=share)
    with pytest.raises(ValueError, match="are in splits already"):
        sources.class_folder(pets, seed=0, test_share=0.5)


def test_a_folder_of_trains_is_a_class(tmp_path):
    put(tmp_path, *(f"{name}/{i}.jpg" for name in ("train", "bus") for i in range(5)))
    assert sources.class_folder(tmp_path, seed=0).class_names == ("bus", "train")


def test_validation_by_any_name(pets):
    put(pets, "val/dog/0.jpg", "val/house_cat/0.jpg")
    assert list(sources.class_folder(pets, seed=0).splits) == ["train", "validation", "test"]


def test_another_file_makes_another_source(pets):
    before = sources.class_folder(pets, seed=0).describe()
    put(pets, "train/dog/another.jpg")
    assert sources.class_folder(pets, seed=0).describe() != before


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "expected a folder for each of two or more classes, got none"),
        (["cat/0.jpg"], "got only cat"),
        (["train/cat/0.jpg", "test/cat/0.jpg"], "got only cat"),
        (["train/a/0", "train/b/0", "test/a/0", "test/b/0", "test/c/0"], "train lacks c"),
        (["train/A/0", "train/b/0", "test/a/0", "test/b/0"], "test lacks A; train lacks a"),
        (["train/a/0", "train/b/0", "test/a /0"], "test lacks 'a', b; train lacks 'a '"),
        (["train/a/0", "train/b/.hidden", "test/a/0", "test/b/0"], "b has no image in it"),
        (["train/a/0", "train/b/0", "extra/a/0"], "expected at most one folder for each of"),
        (["val/a/0", "val/b/0", "valid/a/0", "valid/b/0"], "at most one folder for each of"),
        (["a_b/0", "a b/0"], "several class folders mean the same name: a b"),
        (["01/0", "1/0"], r"several class folders mean the same name: 01 \(01, 1\)"),
        (["a/0", "b/.hidden"], "b has no image in it; expected those of class 'b'"),
        (["a/0", "b/0"], r"2 images are too few to split into train, test \(classes: 2\)"),
    ],
)
def test_bad_class_folders(tmp_path, files, message):
    put(tmp_path, *files)
    with pytest.raises(ValueError, match=message):
        sources.class_folder(tmp_path, seed=0)


LEFT_BEHIND = (
    ".ipynb_checkpoints/0-checkpoint.jpg",
    ".thumbnails/0.jpg",
    "@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg",
    "__MACOSX/._0.jpg",
    "Thumbs.db",
    "readme.txt",
)


def test_what_programs_leave_in_class_folders_is_counted_and_no_example(pets):
    put(pets, *(f"train/dog/{name}" for name in LEFT_BEHIND))
    (pets / "train" / "dog" / "readme.txt").write_text("about the dogs")
    (pets / "readme.txt").write_text("about the pets")
    source = sources.class_folder(pets, seed=0)
    assert source.splits == {"train": 20, "test": 4}
    assert source.notes == (
        "passed over: files and folders that other programs left (thumbnails, recycle bins): 3",
        "passed over: files that are no images (.txt): 2",
        "passed over: hidden files and folders: 3",
    )


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("training_set/training_set", "test_set/test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train_images", "test_images"),
        ("TrainingSet", "TestSet"),
        ("trainset", "testset"),
        ("Training", "Testing"),
    ],
)
def test_split_folders_by_other_names(tmp_path, train, test):
    put(tmp_path, *(f"{split}/{name}/0.jpg" for split in (train, test) for name in "ab"))
    source = sources.class_folder(tmp_path, seed=0)
    assert source.class_names == ("a", "b")
    assert source.splits == {"train": 2, "test": 2}


def test_a_split_folder_without_classes_is_passed_over_and_said(tmp_path):
    put(tmp_path, *(f"{split}/{name}/0.jpg" for split in ("train", "val") for name in "ab"))
    put(tmp_path, "test/1.jpg", "test/2.jpg")
    (tmp_path / "docs").mkdir()
    source = sources.class_folder(tmp_path, seed=0)
    assert source.splits == {"train": 2, "validation": 2}
    assert source.notes == (
        "passed over: folder docs, which holds no images",
        "passed over: 2 images in test, which has no class folders",
    )


def test_splits_inside_class_folders(tmp_path):
    put(tmp_path, *(f"{name}/{split}/0.jpg" for split in ("train", "test") for name in "ab"))
    source = sources.class_folder(tmp_path, seed=0)
    assert listing(source, "test") == {"a/test/0.jpg": (0, ()), "b/test/0.jpg": (1, ())}
    put(tmp_path, "b/valid/0.jpg")
    assert listing(sources.class_folder(tmp_path, seed=0), "validation") == {
        "b/valid/0.jpg": (1, ())
    }


def test_a_split_may_lack_classes_that_train_has(tmp_path):
    """Rare classes, of which nobody has an image to test on; labels stay those of train."""
    put(tmp_path, *(f"train/{name}/0.jpg" for name in "abc"), "test/c/0.jpg", "val/a/0.jpg")
    (tmp_path / "test" / "b").mkdir()
    source = sources.class_folder(tmp_path, seed=0)
    assert source.class_names == ("a", "b", "c")
    assert listing(source, "test") == {"test/c/0.jpg": (2, ())}
    assert listing(source, "validation") == {"val/a/0.jpg": (0, ())}


def test_accents_that_one_split_has_from_macos_are_the_same_class(tmp_path):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    put(tmp_path, f"train/{composed}/0.jpg", f"test/{decomposed}/0.jpg")
    put(tmp_path, "train/tea/0.jpg", "test/tea/0.jpg")
    source = sources.class_folder(tmp_path, seed=0)
    assert source.class_names == (composed, "tea")
    assert listing(source, "test")[f"test/{decomposed}/0.jpg"] == (0, ())


def test_other_nesting_is_refused_unless_flattened(tmp_path):
    put(tmp_path, *(f"{name}/{i}.jpg" for name in "ab" for i in range(10)))
    put(tmp_path, "a/more/0.jpg", "a/more/1.jpg")
    with pytest.raises(ValueError, match=r"folder a holds 10 images and .*: a/more \(2 images\)"):
        sources.class_folder(tmp_path, seed=0)
    flat = sources.class_folder(tmp_path, seed=0, flatten=True)
    assert sum(flat.splits.values()) == 22


def test_folders_that_hold_the_same_folders_are_no_classes(tmp_path):
    put(tmp_path, *(f"fold {n}/{name}/{i}.jpg" for n in "12" for name in "ab" for i in range(3)))
    with pytest.raises(ValueError, match="all hold folders of the same names, which may be the"):
        sources.class_folder(tmp_path, seed=0)


def test_a_folder_around_all_others_is_named(tmp_path):
    put(tmp_path, "pets/a/0.jpg", "pets/b/0.jpg")
    with pytest.raises(ValueError, match=r"did you mean .*pets\?"):
        sources.class_folder(tmp_path, seed=0)


def test_linked_folders_are_read_once_and_loops_refused(tmp_path):
    put(tmp_path, *(f"disk/{i}.jpg" for i in range(4)), *(f"f/a/{i}.jpg" for i in range(10)))
    (tmp_path / "f" / "b").symlink_to(tmp_path / "disk")
    (tmp_path / "f" / "c").symlink_to(tmp_path / "f" / "a")
    source = sources.class_folder(tmp_path / "f", seed=0)
    assert source.class_names == ("a", "b") and sum(source.splits.values()) == 14
    assert source.notes == ("passed over: links to folders that are read already (c): 1",)
    (tmp_path / "f" / "a" / "up").symlink_to(tmp_path / "f")
    with pytest.raises(ValueError, match=r"a/up is a link back to .*f, in which it stands"):
        sources.class_folder(tmp_path / "f", seed=0)


def test_images_beside_class_folders_are_said(tmp_path):
    put(tmp_path, *(f"{name}/{i}.jpg" for name in "ab" for i in range(10)), "stray.jpg")
    assert sources.class_folder(tmp_path, seed=0).notes == (
        "passed over: 1 image (stray.jpg) beside the folders",
    )


@pytest.mark.parametrize("name", ["{}", "class {}", "{}.{}", "{:03d}"])
def test_numbered_class_folders_are_in_the_order_of_their_numbers(tmp_path, name):
    names = [name.format(i, "mnopqrstuvwx"[-i]) for i in range(1, 13)]
    put(tmp_path, *(f"{name}/{i}.jpg" for name in names for i in range(10)))
    source = sources.class_folder(tmp_path, seed=0)
    assert source.class_names == tuple(names)
    said = any("in the order of their numbers" in note for note in source.notes)
    assert said == (name != "{:03d}")  # these are in that order as text already
    coded = any("have codes for names (class 1, class 2" in note for note in source.notes)
    assert coded == (name == "class {}")


@pytest.mark.parametrize(
    "twins", [("Hen", "hen"), ("caf\u00e9", "cafe\u0301"), ("a b", "a\u00a0b")]
)
def test_class_folders_that_later_steps_would_merge_are_refused(tmp_path, twins):
    put(tmp_path, *(f"{name}/{i}.jpg" for name in (*twins, "zebra") for i in range(10)))
    with pytest.raises(ValueError, match="several class folders mean the same name") as error:
        sources.class_folder(tmp_path, seed=0)
    seen = str(error.value).rpartition("(")[2].removesuffix(")").split(", ")
    assert seen == list(twins) if twins[0] == "Hen" else all(map(str.isascii, seen))


def test_no_such_class_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        sources.class_folder(tmp_path / "nowhere", seed=0)


# --- captions


def test_csv_groups_the_captions_of_a_image(tmp_path):
    put(tmp_path, "a/1.jpg", "2.jpg")
    path = tmp_path / "pairs.csv"
    path.write_text(
        'file,rating,caption,split\na/1.jpg,5,"red, round",train\n2.jpg,4,ein Käfer,val\n'
        "a/1.jpg,3,a ball,train\n",
        encoding="utf-8-sig",
    )
    source = sources.captions(path, seed=0)
    check_source(source)
    assert source.splits == {"train": 1, "validation": 1}
    assert listing(source, "train") == {"a/1.jpg": (None, ("red, round", "a ball"))}
    assert listing(source, "validation") == {"2.jpg": (None, ("ein Käfer",))}
    assert (source.class_names, source.metric) == ((), "recall")


def test_csv_without_splits_is_split_by_seed(tmp_path):
    names = [f"images/{i}.jpg" for i in range(20)]
    put(tmp_path, *names)
    path = tmp_path / "captions.csv"
    path.write_text("file,caption\n" + "".join(f"{i}.jpg,number {i}\n" for i in range(20)))
    source = sources.captions(path, images=tmp_path / "images", seed=0)
    check_source(source)
    assert source.splits == {"train": 16, "validation": 2, "test": 2}
    source = sources.captions(path, images=tmp_path / "images", seed=0, test_share=0.4)
    assert source.splits == {"train": 10, "validation": 2, "test": 8}


def coco(captions, names=("1.jpg", "2.jpg")):
    return json.dumps(
        {
            "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
            "annotations": [{"image_id": i, "caption": text} for i, text in captions],
        }
    )


def test_coco_folder_with_a_image_folder_per_split(tmp_path):
    put(tmp_path, "train2017/1.jpg", "train2017/2.jpg", "val2017/1.jpg", "val2017/2.jpg")
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val"):
        path = tmp_path / "annotations" / f"captions_{split}2017.json"
        path.write_text(coco([(0, f"one of\n{split}"), (1, "two"), (0, "uno ")]))
    source = sources.captions(tmp_path / "annotations", seed=0)
    check_source(source)
    assert source.splits == {"train": 2, "validation": 2}
    assert listing(source, "validation") == {
        "val2017/1.jpg": (None, ("one of val", "uno")),
        "val2017/2.jpg": (None, ("two",)),
    }
    named = sources.named("coco_captions", data_dir=tmp_path)
    assert (named.name, named.splits) == ("coco_captions", source.splits)


def test_karpathys_splits_of_coco(tmp_path):
    """`dataset_coco.json` beside the images wins over COCO's own splits."""
    rows = [("train", "train2014", 1), ("restval", "val2014", 2), ("val", "val2014", 3)]
    rows += [("test", "val2014", 4), ("test", "val2014", 5)]
    images = [
        {
            "filepath": folder,
            "filename": f"COCO_{folder}_{number:012d}.jpg",
            "split": split,
            "sentences": [{"raw": f"An image\n of {number}. "}, {"raw": " "}, {"raw": "again"}],
        }
        for split, folder, number in rows
    ]
    put(tmp_path, *(f"{image['filepath']}/{image['filename']}" for image in images))
    (tmp_path / "dataset_coco.json").write_text(json.dumps({"images": images, "dataset": "coco"}))
    source = sources.named("coco_captions", data_dir=tmp_path)
    check_source(source)
    assert source.splits == {"train": 1, "validation": 1, "test": 2, "restval": 1}
    name = "val2014/COCO_val2014_000000000003.jpg"
    assert listing(source, "validation") == {name: (None, ("An image of 3.", "again"))}
    assert sources.captions(tmp_path / "dataset_coco.json", seed=0).splits == source.splits
    del images[0]["sentences"]
    (tmp_path / "dataset_coco.json").write_text(json.dumps({"images": images}))
    with pytest.raises(ValueError, match=r"is not a COCO caption file .*'sentences'"):
        sources.captions(tmp_path / "dataset_coco.json", seed=0)


@pytest.mark.parametrize("stem", ["my_test_captions", "captions_val2014", "training-set"])
def test_a_file_name_can_say_the_split(tmp_path, stem):
    put(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / f"{stem}.json").write_text(coco([(0, "one"), (1, "two")]))
    split = {"my": "test", "ca": "validation", "tr": "train"}[stem[:2]]
    assert sources.captions(tmp_path / f"{stem}.json", seed=0).splits == {split: 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "who,text\n1.jpg,one\n",
            r"a column for the image \(such as file, .*got who, text",
        ),
        ("file,what\n1.jpg,one\n", "expected a column for the caption"),
        ("", "c.csv is empty; expected a table"),
        ("file,caption\n", "holds no captions"),
        ("file,caption\n1.jpg\n", "line 2: expected 2 columns, got 1"),
        ("file,caption\n1.jpg,  \n", "holds no captions"),
        ("file,caption\n  ,one\n", "line 2: expected a file, got an empty cell"),
        ('file,caption\n1.jpg,"one\n', "line 2: unexpected end of data"),
        ("file,caption,split\n1.jpg,one,../x\n", "expected a split like train"),
        ("file,caption,split\n1.jpg,one,train\n1.jpg,uno,test\n", "is in two splits: train and"),
        ("file,caption,split\n1.jpg,one,train\n2.jpg,two,\n", "1 image and for 1 not"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    put(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        sources.captions(tmp_path / "c.csv", seed=0)


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"images": []}', coco([(7, "of no image")]), coco([(0, 5)])]
)
def test_bad_coco_json(tmp_path, text):
    put(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ValueError, match="is not a COCO caption file"):
        sources.captions(tmp_path / "c.json", seed=0)


def test_an_image_id_that_is_there_twice_never_swaps_captions(tmp_path):
    put(tmp_path, "1.jpg", "2.jpg")
    text = json.dumps(
        {
            "images": [{"id": 7, "file_name": "1.jpg"}, {"id": 7, "file_name": "2.jpg"}],
            "annotations": [{"image_id": 7, "caption": "one"}],
        }
    )
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ValueError, match=r"image id 7 stands for both 1\.jpg and 2\.jpg"):
        sources.captions(tmp_path / "c.json", seed=0)
    (tmp_path / "c.json").write_text(text.replace('"images"', '"images": [], "images"'))
    with pytest.raises(ValueError, match="'images' is there twice"):
        sources.captions(tmp_path / "c.json", seed=0)


def test_coco_json_may_have_a_mark(tmp_path):
    put(tmp_path, *(f"{i}.jpg" for i in range(12)))
    document = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(12)],
        "annotations": [{"image_id": i, "caption": f"number {i}"} for i in range(12)],
    }
    (tmp_path / "captions_test.json").write_text(json.dumps(document), encoding="utf-8-sig")
    source = sources.captions(tmp_path / "captions_test.json", seed=0)
    assert listing(source, "test")["3.jpg"] == (None, ("number 3",))


def test_missing_images_are_counted_and_named(tmp_path):
    put(tmp_path, "3.jpg")
    rows = "".join(f"{i}.jpg,number {i}\n" for i in range(6))
    (tmp_path / "c.csv").write_text("file,caption\n" + rows)
    message = r"5 of 6 images named in .*c.csv are missing under .*: 0.jpg, 1.jpg, 2.jpg, \.\.\."
    with pytest.raises(FileNotFoundError, match=message):
        sources.captions(tmp_path / "c.csv", seed=0)


def test_no_caption_file(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(FileNotFoundError, match="caption file"):
            sources.captions(path, images=tmp_path, seed=0)


def test_no_image_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        sources.captions(tmp_path, images=tmp_path / "nowhere", seed=0)


# --- published layouts


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_food101_archive(tmp_path):
    write(tmp_path / "meta/classes.txt", "apple_pie\nbaklava\n")
    write(tmp_path / "meta/train.txt", "apple_pie/1\nbaklava/2\nbaklava/3\n")
    write(tmp_path / "meta/test.txt", "baklava/4\n")
    put(tmp_path, *(f"images/{name}.jpg" for name in ("apple_pie/1", "baklava/2", "baklava/3")))
    with pytest.raises(FileNotFoundError, match="1 of 1 images named in split test"):
        sources.named("food101", data_dir=tmp_path)
    put(tmp_path, "images/baklava/4.jpg")
    source = sources.named("food101", data_dir=tmp_path)
    check_source(source)
    assert source.class_names == ("apple pie", "baklava")
    assert source.templates == ("a photo of {}, a type of food.",)
    assert listing(source, "test") == {"images/baklava/4.jpg": (1, ())}
    write(tmp_path / "meta/test.txt", "pizza/4\n")
    with pytest.raises(ValueError, match=r"test.txt names classes .* does not have: pizza"):
        sources.named("food101", data_dir=tmp_path)


def test_fgvc_aircraft(tmp_path):
    write(tmp_path / "data/variants.txt", "707-320\n\nDC-10\nF-16A/B\n")
    for split, text in [
        ("train", "1 DC-10\n2 F-16A/B\n"),
        ("val", "3 707-320\n"),
        ("test", "4 DC-10\n"),
    ]:
        write(tmp_path / f"data/images_variant_{split}.txt", text)
    put(tmp_path, *(f"data/images/{i}.jpg" for i in (1, 2, 3, 4)))
    source = sources.named("fgvc_aircraft", data_dir=tmp_path)
    check_source(source)
    assert source.class_names == ("707-320", "DC-10", "F-16A/B")
    assert listing(source, "train") == {"data/images/1.jpg": (1, ()), "data/images/2.jpg": (2, ())}
    assert list(source.splits) == ["train", "validation", "test"]


def test_fmow_is_split_as_wilds_does(tmp_path):
    rows = [
        ("train", "airport", "2010-01-01T00:00:00Z"),
        ("val", "zoo", "2012-12-31T00:00:00Z"),  # in the years of training: id_validation
        ("val", "zoo", "2013-06-01T00:00:00Z"),
        ("test", "airport_hangar", "2002-06-01T00:00:00Z"),
        ("test", "zoo", "2016-01-01T00:00:00Z"),
        ("train", "zoo", "2017-01-01T00:00:00Z"),  # too late to train on
        ("seq", "zoo", "2005-01-01T00:00:00Z"),  # kept back by its makers
    ]
    text = "split,category,timestamp\n" + "".join(",".join(row) + "\n" for row in rows)
    write(tmp_path / "rgb_metadata.csv", text)
    put(tmp_path, *(f"images/rgb_img_{i}.png" for i in range(7)))
    source = sources.named("fmow", data_dir=tmp_path)
    check_source(source)
    assert {split: listing(source, split) for split in source.splits} == {
        "train": {"images/rgb_img_0.png": (0, ())},
        "validation": {"images/rgb_img_2.png": (61, ())},
        "test": {"images/rgb_img_4.png": (61, ())},
        "id_validation": {"images/rgb_img_1.png": (61, ())},
        "id_test": {"images/rgb_img_3.png": (1, ())},
    }


def test_iwildcam(tmp_path):
    splits = ["train", "val", "test", "id_val", "id_test"]
    rows = [f"{split},{split}.jpg,{y}" for y, split in enumerate(splits)]
    write(tmp_path / "metadata.csv", "split,filename,y\n" + "\n".join(rows))
    put(tmp_path, *(f"train/{split}.jpg" for split in splits))
    source = sources.named("iwildcam", data_dir=tmp_path)
    check_source(source)
    assert listing(source, "id_test") == {"train/id_test.jpg": (4, ())}
    assert source.class_names[4] == "cougar" and source.metric == "macro_f1"


@pytest.mark.parametrize(
    ("name", "table", "text", "message"),
    [
        ("fmow", "rgb_metadata.csv", "split,category\ntrain,zoo\n", "row 1 has timestamp None"),
        ("iwildcam", "metadata.csv", "split,filename,y\nval,a.jpg,zoo\n", "row 1 has y 'zoo'"),
    ],
)
def test_a_table_that_is_not_that_of_wilds_is_named(tmp_path, name, table, text, message):
    write(tmp_path / table, text)
    with pytest.raises(ValueError, match=f"{table} is not WILDS's: {message}"):
        sources.named(name, data_dir=tmp_path)


def test_animals10_speaks_english(tmp_path):
    names = ("cane", "cavallo", "elefante", "farfalla", "gallina")
    names += ("gatto", "mucca", "pecora", "ragno", "scoiattolo")
    put(tmp_path, *(f"raw-img/{name}/{i}.jpg" for name in names for i in range(10)))
    source = sources.named("animals10", data_dir=tmp_path)
    check_source(source)
    spoken = ("dog", "horse", "elephant", "butterfly", "chicken")
    spoken += ("cat", "cow", "sheep", "spider", "squirrel")
    assert source.class_names == spoken == dataset("animals10").class_names
    assert source.splits == {"train": 80, "test": 20}
    put(tmp_path, "raw-img/topo/1.jpg")
    with pytest.raises(ValueError, match=r"is not animals10: .* missing: none; not known: topo"):
        sources.named("animals10", data_dir=tmp_path)


def test_common10_is_ten_folders(tmp_path):
    names = dataset("common10").class_names
    put(tmp_path, *(f"{name}/{i}.jpg" for name in names[:9] for i in range(10)))
    with pytest.raises(ValueError, match="missing: person; not known: none"):
        sources.named("common10", data_dir=tmp_path)
    put(tmp_path, *(f"person/{i}.jpg" for i in range(10)))
    source = sources.named("common10", data_dir=tmp_path)
    check_source(source)
    assert source.class_names == names and source.templates == ("a photo of a {}.",)


@pytest.mark.parametrize("name", ["fgvc_aircraft", "fmow", "iwildcam", "animals10", "common10"])
def test_a_published_set_needs_a_place_and_its_files(tmp_path, name):
    with pytest.raises(ValueError, match="--data-dir"):
        sources.named(name)
    with pytest.raises((FileNotFoundError, ValueError), match=r"is missing|two or more classes"):
        sources.named(name, data_dir=tmp_path)


# --- TFDS


@old_protobuf
def test_tfds_food101(tmp_path):
    images = [tmp_path / f"{i}.jpg" for i in range(5)]
    for i, path in enumerate(images):
        path.write_bytes(jpeg(40 * i))
    examples = [{"image": str(path), "label": i} for i, path in enumerate(images)]
    prepare_tfds(tmp_path, "food101", {"train": examples, "validation": examples[:2]})
    source = sources.named("food101", data_dir=tmp_path)
    check_source(source)
    assert source.splits == {"train": 5, "test": 2}  # the official test split has our name
    assert source.class_names[:2] == ("apple pie", "baby back ribs")
    raws = list(source.read("train", 1, 4))
    assert [raw.label for raw in raws] == [1, 2, 3]
    assert [raw.load() for raw in raws] == [path.read_bytes() for path in images[1:4]]
    assert raws[0].filename == "train/000001"


@old_protobuf
def test_tfds_cifar10_has_real_names_and_lossless_images(tmp_path):
    image = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    examples = [{"id": f"train_{i}", "image": image, "label": i} for i in range(3)]
    prepare_tfds(tmp_path, "cifar10", {"train": examples, "test": examples})
    source = sources.named("cifar10", data_dir=tmp_path)
    assert source.class_names[:3] == ("airplane", "automobile", "bird")
    assert source.lossless
    raw = next(source.read("train", 2, 3))
    assert raw.filename == "train_2"
    assert (np.asarray(Image.open(io.BytesIO(raw.load()))) == image).all()


@old_protobuf
def test_tfds_coco_captions(tmp_path):
    example = {
        "image": np.zeros((4, 4, 3), np.uint8),
        "image/filename": "COCO_1.jpg",
        "image/id": 1,
        "objects": [],
        "captions": [{"id": 1, "text": "one"}, {"id": 2, "text": "uno"}],
    }
    splits = {split: [example, example] for split in ("train", "restval", "val", "test")}
    prepare_tfds(tmp_path, "coco_captions/2014", splits)
    source = sources.named("coco_captions", data_dir=tmp_path)
    assert source.splits == {"train": 2, "restval": 2, "validation": 2, "test": 2}
    raw = next(source.read("validation", 0, 1))
    assert (raw.filename, raw.label, raw.captions) == ("COCO_1.jpg", None, ("one", "uno"))


def test_tfds_renames_go_by_name():
    entry = dataset("caltech101")
    names = sources.base.prompt_names(["Faces_easy".lower(), "ant"], renames=entry.renames)
    assert names == ("centered face", "ant")


@pytest.mark.parametrize("name", ["food101", "cifar10", "oxford_flowers102"])
def test_tfds_fails_at_once_where_nothing_is_prepared(tmp_path, name):
    message = f"python -m pipelines prepare --dataset {name} --download"
    with pytest.raises(FileNotFoundError, match=message):
        sources.named(name, data_dir=tmp_path)


# --- the whole


def test_shapes_is_a_source():
    source = sources.named("shapes", seed=3)
    assert source.name == "shapes" and source.describe()["seed"] == 3
    check_source(sources.Limited(source, 3))


def test_limited(pets):
    source = sources.Limited(sources.class_folder(pets, seed=0), 3)
    check_source(source)
    assert source.splits == {"train": 3, "test": 3}
    assert source.describe()["limit"] == 3
    with pytest.raises(ValueError, match="at least 1 image per split, got 0"):
        sources.Limited(source, 0)
    with pytest.raises(ValueError, match="limit: expected at least 1 image per split, got '3'"):
        sources.Limited(source, "3")


def names(source, split):
    return [raw.filename for raw in source.read(split, 0, source.splits[split])]


def test_validation_taken_from_train(pets):
    whole = sources.class_folder(pets, seed=0)
    source = sources.WithValidation(whole, 0.25)
    check_source(source)
    assert source.splits == {"train": 16, "validation": 4, "test": 4}
    assert names(source, "train") + names(source, "validation") == names(whole, "train")
    limited = sources.WithValidation(whole, 0.25, limit=8)
    check_source(limited)
    assert limited.splits == {"train": 8, "validation": 2, "test": 4}
    assert names(limited, "validation") == names(whole, "train")[8:10]
    assert limited.describe() != source.describe()
    for share in (0, 1, 1e-6):
        with pytest.raises(ValueError, match="validation_share: "):
            sources.WithValidation(whole, share)
    with pytest.raises(ValueError, match=r"validation_share: 1 images of split train are too few"):
        sources.WithValidation(whole, 0.25, limit=1)


def test_all_images_as_one_split(pets):
    whole = sources.class_folder(pets, seed=0)
    source = sources.Merged(whole, "test")
    check_source(source)
    assert source.splits == {"test": 24}
    assert names(source, "test") == names(whole, "train") + names(whole, "test")
    assert [raw.filename for raw in source.read("test", 18, 22)] == names(source, "test")[18:22]
    with pytest.raises(ValueError, match="all_as: expected a name like test, got 'a b'"):
        sources.Merged(whole, "a b")


def test_what_may_not_be_looked_at_is_not_called_missing(tmp_path, monkeypatch):
    def refuse(path, *args, **options):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched, pytest.raises(PermissionError, match=r"cat/0\.jpg"):
        patched.setattr("os.stat", refuse)
        require_files(tmp_path, ["cat/0.jpg"], listed_in="t.csv")
    with pytest.raises(FileNotFoundError, match=r"1 of 1 images named in t\.csv are missing"):
        require_files(tmp_path, ["cat/0.jpg"], listed_in="t.csv")
