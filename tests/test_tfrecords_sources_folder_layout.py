"""Which folders are splits, which are classes, and what is refused because it may be either."""

import os

import pytest
from PIL import Image

from tfrecords import sources
from tfrecords.sources.folder_layout import Tree
from tfrecords.sources.walk import Walked


def put(root, *folders, count=5):
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / folder / f"{i}.jpg").write_bytes(b"\xff\xd8\xff")


def read(root, **options):
    return sources.class_folder(root, seed=0, **options)


def test_splits_without_class_folders_are_no_classes(tmp_path):
    put(tmp_path, "train", "test1")  # as Kaggle has Dogs vs. Cats
    with pytest.raises(ValueError, match="test1, train are named like splits, and hold images"):
        read(tmp_path)


def test_a_class_may_be_called_train_among_others(tmp_path):
    put(tmp_path, "train", "bus", "car")
    assert read(tmp_path).class_names == ("bus", "car", "train")


def test_split_folders_may_have_the_name_of_their_set(tmp_path):
    put(tmp_path, *(f"cars_{split}/{name}" for split in ("train", "test") for name in "ab"))
    source = read(tmp_path)
    assert source.class_names == ("a", "b") and source.splits == {"train": 10, "test": 10}


def test_folders_in_folders_of_the_same_name_as_kaggle_has_them(tmp_path):
    """Intel Image Classification: seg_train/seg_train/CLASS, and seg_pred/seg_pred/IMAGE."""
    put(tmp_path, *(f"{s}/{s}/{name}" for s in ("seg_train", "seg_test") for name in "ab"))
    put(tmp_path, "seg_pred/seg_pred")
    source = read(tmp_path)
    assert source.class_names == ("a", "b") and source.splits == {"train": 10, "test": 10}
    assert source.notes == ("passed over: 5 images in seg_pred, which has no class folders",)


def test_evaluation_is_the_test_split(tmp_path):
    put(tmp_path, *(f"{split}/{name}" for split in ("training", "evaluation") for name in "ab"))
    assert read(tmp_path).splits == {"train": 10, "test": 10}


def test_folders_of_two_sets_are_not_taken_for_splits(tmp_path):
    put(tmp_path, "cars_train/a", "cars_train/b", "bikes_test/a", "bikes_test/b")
    with pytest.raises(ValueError, match="folder bikes_test holds 0 images and folders"):
        read(tmp_path)


def test_the_folder_of_images_beside_others_is_named(tmp_path):
    put(tmp_path, "images/a", "images/b")
    put(tmp_path, "annotations", count=0)
    with pytest.raises(ValueError, match=r"did you mean .*/images\?"):
        read(tmp_path)


def test_however_deep_the_folders_are():
    folders = ["/".join("d" * depth) for depth in range(1, 3000)]
    tree = Tree(Walked({f"{folders[-1]}/x.jpg": (0, 0)}, tuple(folders), {}))
    assert tree.of("d") == [f"{folders[-1]}/x.jpg"] and tree.below("d") == 1


def test_what_is_neither_file_nor_folder_is_passed_over_and_links_are_named(tmp_path):
    put(tmp_path / "data", "cat", "dog")
    os.mkfifo(tmp_path / "data" / "cat" / "pipe.jpg")
    (tmp_path / "data" / "feline").symlink_to("cat")
    (tmp_path / "data" / "gone").symlink_to("nowhere")
    source = read(tmp_path / "data")
    assert source.class_names == ("cat", "dog") and sum(source.splits.values()) == 10
    assert source.notes == (
        "passed over: links to folders that are read already (feline): 1",
        "passed over: links to nothing: 1",
        "passed over: pipes, sockets and devices: 1",
    )


def test_names_of_classes_are_words(tmp_path):
    put(tmp_path, "a", "hot__air\nballoon ")
    assert read(tmp_path).class_names == ("a", "hot air balloon")
    put(tmp_path, "_")
    with pytest.raises(ValueError, match="class '_': expected a name of letters"):
        read(tmp_path)


def test_a_folder_of_other_files_is_named_with_what_it_holds(tmp_path):
    put(tmp_path, "data", count=0)
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"\(\.parquet\): 1; --parquet reads images inside of"):
        read(tmp_path)


def test_loose_images_are_counted_in_the_message(tmp_path):
    """Such as Kaggle's `cat.0.jpg` and `dog.0.jpg`."""
    for name in ("cat.0.jpg", "dog.0.jpg"):
        Image.new("RGB", (8, 6)).save(tmp_path / name)
    with pytest.raises(ValueError, match=r"got none; 2 images in no such folder: labels in a tab"):
        read(tmp_path)


def test_a_table_beside_loose_images_is_asked_about(tmp_path):
    put(tmp_path, ".")
    (tmp_path / "metadata.csv").write_text("file_name,label\n0.jpg,cat\n")
    with pytest.raises(ValueError, match=r"got none; are the labels in metadata.csv \(--labels\)"):
        read(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        ("images", "masks"),
        ("JPEGImages", "SegmentationClass"),
        ("images/train", "images/val", "labels/train", "labels/val"),
        ("train/images", "train/labels", "valid/images", "valid/labels"),
    ],
)
def test_images_beside_masks_or_boxes_are_no_classes(tmp_path, folders):
    put(tmp_path, *(folder for folder in folders if "labels" not in folder))
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "0.txt").write_text("0 0.5 0.5 1 1\n")
    with pytest.raises(ValueError, match="are no classes but images and what is marked in them"):
        read(tmp_path)


def test_classes_may_be_called_like_parts_of_a_set(tmp_path):
    put(tmp_path, "images", "masks", "gloves")
    assert read(tmp_path).class_names == ("gloves", "images", "masks")


def test_a_class_of_two_splits_is_not_two_classes(tmp_path):
    put(tmp_path, "cats_train", "cats_test", "dogs_train", "dogs_test")
    with pytest.raises(ValueError, match="cats_test and cats_train are one class in two splits"):
        read(tmp_path)


def test_masks_among_the_images_of_a_class_are_said(tmp_path):
    put(tmp_path, "benign", "malignant")
    for name in ("0_mask.png", "1_mask_1.png", "iron_mask.png"):
        (tmp_path / "benign" / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    (note,) = read(tmp_path).notes
    assert note.startswith(
        "images called like masks of others: 2 (benign/0_mask.png, benign/1_mask_1.png)"
    )


def test_one_file_in_two_classes_or_splits_is_said(tmp_path):
    put(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog")
    (tmp_path / "train/dog/cat.jpg").symlink_to("../cat/0.jpg")
    (tmp_path / "test/cat/again.jpg").hardlink_to(tmp_path / "train/cat/1.jpg")
    (note,) = read(tmp_path).notes
    assert note.startswith("one file by links: 2 pairs of images (")
    assert note.endswith("1 with different labels, 1 in different splits")


def test_splits_are_not_mixed_by_flattening(tmp_path):
    put(tmp_path, "cat/site/train", "cat/site/test", "dog/site/train", "dog/other")
    with pytest.raises(
        ValueError, match=r"--flatten would mix the splits cat/site/te.* cat/site/tr"
    ):
        read(tmp_path, flatten=True)
    (tmp_path / "cat/site/test").rename(tmp_path / "cat/site/second")
    assert sum(read(tmp_path, flatten=True).splits.values()) == 20


@pytest.mark.parametrize("reader", [sources.labels, sources.captions])
def test_tables_of_images_in_split_folders_are_split_so(tmp_path, reader):
    put(tmp_path, "train2017", "val2017", count=10)
    column = "label" if reader is sources.labels else "caption"
    rows = [f"{f}/{i}.jpg,a {'bc'[i % 2]}\n" for f in ("train2017", "val2017") for i in range(10)]
    (tmp_path / "t.csv").write_text(f"file,{column}\n{''.join(rows)}")
    source = reader(tmp_path / "t.csv", seed=0)
    assert source.splits == {"train": 10, "validation": 10}
    assert source.notes == ("splits are those of the images' folders",)
    (tmp_path / "t.csv").write_text(
        f"file,{column}\n{''.join(rows[:10])}"
    )  # one folder says nothing
    assert "test" in reader(tmp_path / "t.csv", seed=0).splits
