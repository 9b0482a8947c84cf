"""Names and counts in a sentence."""

import pytest

from duet import name_list


@pytest.mark.parametrize(
    "count, noun, said",
    [
        (0, "image", "0 images"),
        (1, "image", "1 image"),
        (2000, "image", "2,000 images"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
    ],
)
def test_a_count_and_its_noun_agree(count, noun, said):
    assert name_list.counted(count, noun) == said


def test_a_long_list_is_cut_and_counted():
    assert name_list.first_of(["a", "b"]) == "a, b"
    assert name_list.first_of(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_the_nearest_name_is_proposed_if_one_is_near():
    assert name_list.did_you_mean("resnet5", ["resnet50", "xception"]) == "; did you mean resnet50?"
    assert name_list.did_you_mean("dog", ["resnet50"]) == ""
