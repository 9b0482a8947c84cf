"""CoOp's eleven sets in their real layout: splits, names, prompts, and the very images it draws."""

import json
import random

import pytest
from PIL import Image

from tfrecords import sources
from tfrecords.sources.catalog import DATASETS
from tfrecords.sources.coop import COOP_SETS


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(root / name, "JPEG")


def items(split, count, *, folder):
    return [
        [f"{folder}{name}/{split}_{i}.jpg", label, f"{name}_kind"]
        for label, name in enumerate(("ant", "bee"))
        for i in range(count)
    ]


def coops(data, name):
    """The set as CoOp's DATASETS.md lays it out under `data`."""
    known = COOP_SETS[name]
    folder = {"sun397": "a/", "stanford_cars": "cars_train/"}.get(name, "")
    document = {
        split: items(split, count, folder=folder)
        for split, count in (("train", 9), ("val", 6), ("test", 2))
    }
    root = data / known.folder
    put(root / known.images, *(row[0] for rows in document.values() for row in rows))
    (root / known.split).write_text(json.dumps(document))
    return document


def listing(source, split):
    return {raw.filename: raw.label for raw in source.read(split, 0, source.splits[split])}


WITH_SPLIT_FILE = [name for name, known in COOP_SETS.items() if known.split]


def test_all_eleven_are_in_the_catalogue():
    assert len(COOP_SETS) == 11
    assert all("CoOp's layout" in DATASETS[name].layouts for name in COOP_SETS)


@pytest.mark.parametrize("name", WITH_SPLIT_FILE)
def test_a_set_with_a_split_file(tmp_path, name):
    coops(tmp_path, name)
    for data in (tmp_path, tmp_path / COOP_SETS[name].folder):
        source = sources.named(name, data_dir=data)
        assert source.splits == {"train": 18, "validation": 12, "test": 4}
        assert source.class_names == ("ant kind", "bee kind")
        assert source.templates == (COOP_SETS[name].template,)
        prefix = f"{COOP_SETS[name].images}/" if COOP_SETS[name].images else ""
        labels = listing(source, "test")
        assert all(path.startswith(prefix) for path in labels)
        assert {path: ("bee/" in path) for path in labels} == labels


def test_shots_are_those_that_coops_code_draws(tmp_path):
    """Python's generator, seeded; classes as they appear; then at most 4 each of validation."""
    document = coops(tmp_path, "caltech101")
    source = sources.named("caltech101", data_dir=tmp_path, seed=3, shots=8)
    random.seed(3)
    expected = {}
    for split, most in (("train", 8), ("val", 4)):
        by_label = {label: [row for row in document[split] if row[1] == label] for label in (0, 1)}
        expected[split] = {
            row[0] for rows in by_label.values() for row in random.sample(rows, most)
        }
    for split, ours in (("train", "train"), ("val", "validation")):
        found = {name.removeprefix("101_ObjectCategories/") for name in listing(source, ours)}
        assert found == expected[split]
    assert source.splits == {"train": 16, "validation": 8, "test": 4}
    assert source.describe()["shots"] == 8
    whole = sources.named("caltech101", data_dir=tmp_path, shots=16)  # there are 9: all of them
    assert whole.splits["train"] == 18


def test_aircraft_is_its_archives_data_by_another_name(tmp_path):
    root = tmp_path / "fgvc_aircraft"
    put(root, *(f"images/{i}.jpg" for i in range(3)))
    (root / "variants.txt").write_text("707-320\nA300B4\n")
    for i, split in enumerate(("train", "val", "test")):
        (root / f"images_variant_{split}.txt").write_text(f"{i} A300B4\n")
    source = sources.named("fgvc_aircraft", data_dir=tmp_path)
    assert source.templates == ("a photo of a {}, a type of aircraft.",)
    assert listing(source, "validation") == {"images/1.jpg": 1}


def test_imagenet_by_the_names_of_classnames(tmp_path):
    root = tmp_path / "imagenet"
    for split in ("train", "val"):
        put(root, *(f"images/{split}/n{i}/{split}_{i}.JPEG" for i in (1, 2, 3)))
    (root / "classnames.txt").write_text("n1 missile\nn2 great white shark\nn3 missile\n")
    source = sources.named("imagenet", data_dir=tmp_path)
    assert source.class_names == ("missile", "great white shark", "missile")
    assert source.splits == {"train": 3, "test": 3}
    assert listing(source, "test")["images/val/n2/val_2.JPEG"] == 1


def test_what_is_not_coops_is_named(tmp_path):
    coops(tmp_path, "dtd")
    path = tmp_path / "dtd" / "split_zhou_DescribableTextures.json"
    path.write_text('{"train": []}')
    with pytest.raises(ValueError, match="is not a split file of CoOp"):
        sources.named("dtd", data_dir=tmp_path)
    rows = [["ant/train_0.jpg", 0, "ant"], ["bee/train_0.jpg", 0, "bee"]]
    path.write_text(json.dumps({"train": rows, "val": [], "test": []}))
    with pytest.raises(ValueError, match="label 0 is both 'ant' and 'bee'"):
        sources.named("dtd", data_dir=tmp_path)
    with pytest.raises(ValueError, match="--shots goes with CoOp's layout"):
        sources.named("cifar10", data_dir=tmp_path, shots=4)
    with pytest.raises(FileNotFoundError, match=r"holds no ucf101: expected CoOp's layout"):
        sources.named("ucf101", data_dir=tmp_path)
    with pytest.raises(ValueError, match="ucf101 is read as published: expected CoOp's layout"):
        sources.named("ucf101")
