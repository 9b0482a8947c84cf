"""COCO's JSON of objects as labels of images."""

import json

import pytest
from PIL import Image

from tfrecords import sources

CATEGORIES = [
    {"id": 18, "name": "dog", "supercategory": "animal"},
    {"id": 3, "name": "car"},
    {"id": 0, "name": "objects"},  # Roboflow's, of which there are none
]


def written(folder, labels, *, file="instances_val.json", **more):
    """A document in which image number i has the objects labels[i], by their category's id."""
    folder.mkdir(exist_ok=True)
    for i in range(len(labels)):
        Image.new("RGB", (8, 6), (i, 0, 0)).save(folder / f"{i}.jpg")
    objects = [(i, category) for i, found in enumerate(labels) for category in found]
    document = {
        "info": {},
        "images": [{"id": 100 + i, "file_name": f"{i}.jpg"} for i in range(len(labels))],
        "categories": CATEGORIES,
        "annotations": [
            {"id": n, "image_id": 100 + i, "category_id": category, "bbox": [0, 0, 1, 1]}
            for n, (i, category) in enumerate(objects)
        ],
        **more,
    }
    path = folder / file
    path.write_text(json.dumps(document))
    return path


def test_labels_are_the_categories_of_the_objects_each_once(tmp_path):
    path = written(tmp_path, [[18, 18, 3], [3], [], [18]] * 5)
    source = sources.labels(path, seed=0, test_share=0.5)
    assert (source.class_names, source.multi_label) == (("car", "dog"), True)
    files = [file for group in source.files.values() for file in group]
    found = {file.name: file.label for file in files}
    assert [found[f"{i}.jpg"] for i in range(4)] == [(0, 1), (0,), (), (1,)]


def test_one_object_in_each_image_is_one_label(tmp_path):
    source = sources.labels(written(tmp_path, [[18], [3]] * 5), seed=0)
    assert not source.multi_label
    assert {file.label for group in source.files.values() for file in group} == {0, 1}


def test_an_image_says_its_split(tmp_path):
    images = [
        {"id": 100 + i, "file_name": f"{i}.jpg", "split": "test" if i > 5 else "train"}
        for i in range(8)
    ]
    source = sources.labels(written(tmp_path, [[18], [3]] * 4, images=images), seed=0)
    assert source.splits == {"train": 6, "test": 2}


def test_a_document_in_each_split_folder_as_roboflow_writes_them(tmp_path):
    for split in ("train", "valid", "test"):
        written(tmp_path / split, [[18], [3, 18]] * 3, file="_annotations.coco.json")
    source = sources.labels(tmp_path, seed=0)
    assert source.splits == {"train": 6, "validation": 6, "test": 6}
    assert source.class_names == ("car", "dog")


@pytest.mark.parametrize(
    "more, said",
    [
        ({"annotations": [{"image_id": 100, "category_id": 7}]}, "an annotation has category_id 7"),
        ({"annotations": [{"image_id": 9, "category_id": 3}]}, "an annotation has image_id 9"),
        ({"annotations": [{"image_id": 100, "segments_info": []}]}, "KeyError: 'category_id'"),
        ({"categories": [*CATEGORIES, {"id": 3, "name": "bus"}]}, "id 3 stands for two"),
        ({"categories": [{"id": 3, "name": 4}]}, "name: expected a text; got 4"),
        ({"images": {"a": 1}}, "not COCO's JSON of objects"),
    ],
)
def test_what_is_missing_or_contradicts_itself_is_named(tmp_path, more, said):
    path = written(tmp_path, [[18], [3]], **more)
    with pytest.raises(ValueError, match=said) as error:
        sources.labels(path, seed=0)
    assert str(path) in str(error.value)


def test_objects_in_place_of_captions_are_answered_with_labels(tmp_path):
    with pytest.raises(ValueError, match="'caption'; --labels reads the categories of objects"):
        sources.captions(written(tmp_path, [[18], [3]]), seed=0)


def test_empty_lists_of_labels_are_images_of_no_class(tmp_path):
    """In an ordinary table too."""
    written(tmp_path, [[]] * 16)
    rows = [{"file": f"{i}.jpg", "label": [["a"], ["b"], [], ["a"]][i % 4]} for i in range(16)]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    source = sources.labels(tmp_path / "t.json", seed=0, test_share=0.5)
    assert source.multi_label
    labels = [file.label for group in source.files.values() for file in group]
    assert sorted(labels) == [()] * 4 + [(0,)] * 8 + [(1,)] * 4


def test_images_are_found_beside_the_folder_of_annotations(tmp_path):
    """As COCO is unpacked, and as captions are read."""
    path = written(tmp_path / "val2017", [[18], [3]] * 6)
    (tmp_path / "annotations").mkdir()
    source = sources.labels(path.rename(tmp_path / "annotations" / path.name), seed=0)
    assert source.notes == ("images are found by their names in folders: val2017",)
    assert sum(source.splits.values()) == 12
