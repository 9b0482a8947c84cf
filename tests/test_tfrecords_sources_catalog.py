"""The catalogue agrees with what is published: class counts, template counts, names by label."""

import pytest

from tfrecords.sources.base import prompt_names
from tfrecords.sources.catalog import DATASETS, METRICS, dataset

TEMPLATE_COUNTS = {
    "food101": 1,
    "cifar10": 18,
    "cifar100": 18,
    "caltech101": 34,
    "dtd": 8,
    "oxford_flowers102": 1,
    "oxford_iiit_pet": 1,
    "stl10": 2,
    "coco_captions": 0,
    "fgvc_aircraft": 2,
    "fmow": 16,
    "iwildcam": 2,
    "animals10": 1,
    "common10": 1,
    "imagenet": 1,
    "stanford_cars": 1,
    "sun397": 1,
    "eurosat": 3,
    "ucf101": 1,
}


def test_every_set_has_a_known_number_of_templates():
    assert TEMPLATE_COUNTS.keys() == DATASETS.keys() - {"shapes", "shapes-wild", "shapes-multi"}
    assert {name: len(DATASETS[name].templates) for name in TEMPLATE_COUNTS} == TEMPLATE_COUNTS


@pytest.mark.parametrize("entry", DATASETS.values(), ids=lambda entry: entry.name)
def test_entries_are_well_formed(entry):
    assert len(set(entry.templates)) == len(entry.templates)
    assert all(template.count("{}") == 1 for template in entry.templates)
    assert entry.metric in METRICS
    assert len(entry.class_names) in (0, entry.classes)
    assert "train" in entry.splits.values()
    assert "test" in entry.splits.values() or len(entry.splits) == 1  # else split by seed


def test_caltech_templates_say_a_and_then_the():
    templates = dataset("caltech101").templates
    assert templates[2] == "a plastic {}." and templates[19] == "the plastic {}."
    assert templates[10] == "a {} in a video game." and templates[27] == "the {} in a video game."
    assert templates[13] == "art of a {}." and templates[30] == "art of the {}."


@pytest.mark.parametrize(
    ("name", "some"),
    [
        ("food101", {0: "apple pie", 63: "macarons"}),
        ("caltech101", {4: "background", 37: "off-center face", 38: "centered face"}),
        ("dtd", {30: "polka-dotted"}),
        ("eurosat", {0: "annual crop land", 9: "lake or sea"}),
        ("oxford_flowers102", {15: "globe flower", 59: "pink and yellow dahlia", 86: "magnolia"}),
        ("oxford_iiit_pet", {1: "american bulldog", 20: "Maine Coon"}),
    ],
)
def test_names_follow_the_label_order_of_tfds(name, some):
    import tensorflow_datasets as tfds

    entry = dataset(name)
    published = tfds.builder(entry.tfds, try_gcs=False).info.features["label"].names
    names = prompt_names(published, renames=entry.renames)
    assert len(set(names)) == entry.classes
    assert {label: names[label] for label in some} == some
    spelt = {published_name.replace("_", " ") for published_name in published}
    assert entry.renames.keys() <= spelt  # no rename is left over


def test_lossless_sets():
    assert [e.name for e in DATASETS.values() if e.lossless] == ["cifar10", "cifar100", "stl10"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("food-101", "did you mean food101"),
        ("CIFAR-10", "did you mean cifar10"),
        ("flowers102", "oxford_flowers102"),
        ("qqqq", "choices: shapes, shapes-wild, shapes-multi, food101"),
    ],
)
def test_an_unknown_name_gets_close_matches(name, hint):
    with pytest.raises(ValueError, match=hint) as error:
        dataset(name)
    assert repr(name) in str(error.value)
