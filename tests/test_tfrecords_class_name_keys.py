"""Names of classes that are numbers: their order, and which are the same."""

import pytest

from tfrecords.class_name_keys import by_number, made_of_others, merged, say_little


@pytest.mark.parametrize(
    "ordered",
    [
        ["-10", "-5", "0", "5", "10"],
        ["0.25", "0.5", "2.0", "10.25", "10.5"],
        ["-5 °C", "0 °C", "5 °C", "10 °C"],
        ["1", "2", "10"],
        ["0-2", "4-6", "8-13", "15-20", "100+"],
        ["fold 2", "fold 10"],
        ["2.dog", "10.cat"],
        ["1.5.2", "1.10.0"],  # versions are no fractions: as text where numbers are there twice
    ],
)
def test_numbers_are_in_their_order(ordered):
    expected = sorted(ordered) if ordered[0] == "1.5.2" else ordered
    assert by_number(ordered[::-1]) == expected


def test_the_same_number_written_otherwise():
    assert merged(["-1", "-1.0", "1", "01", "0.5", "0.50"]) == [("-1", "-1.0"), ("1", "01")]


# Of four words: eight labels of two or three of them, or of two each time.
TAGS = ("a b", "a c", "a d", "b c", "b d", "c d", "a b c", "b c d")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (TAGS, True),
        (("early blight", "late blight", "early rot", "late mild rot"), False),
        (("red star", "red moon", "blue star", "blue moon"), False),
        (("rust\nscab", "rust\nrot", "rot"), True),
        (("rust/scab", "rust", "scab"), True),
        (("16 0", "7 16", "0 7 2", "0 2"), True),  # as the Human Protein Atlas has them
        (("black/white", "black/red", "sofa & bed", "chair & bed"), False),
    ],
)
def test_labels_made_of_others(names, said):
    assert bool(made_of_others(names, between="|")) == said


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["n01440764", "n02102040"], "have codes for names (n01440764, n02102040): --class-names"),
        (["0", "1", "10"], "have numbers for names (0, 1, 10): where these stand for others"),
        (["0.0", "1.0"], "have numbers for names (0.0, 1.0)"),
        (["cat", "N/A", "?"], "whose names say that there is none: N/A, ?"),
        (["cat", "New folder"], "whose names say that there is none: New folder"),
        (
            ["cat", "cat - Copy", "Cat_augmented"],
            "like copies of others: cat - Copy, Cat_augmented",
        ),
        (["cat", "cat (2)", "dog copy"], "like copies of others: cat (2)"),
        (["photo", "photo frame", "wolf", "gray wolf"], None),
        (["caf\u00c3\u00a9", "tea"], "in another encoding: caf\u00c3\u00a9 (caf\u00e9)"),
        (["caf\u00e9", "\u00c0 la carte", "S\u00e3o Paulo"], None),
        (["LABEL_0", "LABEL_1"], "have codes for names (LABEL_0, LABEL_1): --class-names"),
        (["cat", "Unlabeled", "nan"], "whose names say that there is none: Unlabeled, nan"),
        (["cat", "no_label"], "whose names say that there is none: no_label"),
        (["n02085620-Chihuahua", "n02085782-Pug"], "begin with codes (n02085620-Chihuahua"),
        (["001.Laysan_Albatross", "002.Auk"], "begin with codes (001.Laysan_Albatross, 002.Auk)"),
        (["0 cat", "1 dog"], "have numbers or quotes (0 cat, 1 dog): --class-names says them"),
        (["1 dog", "0 cat"], "have numbers or quotes (1 dog, 0 cat)"),
        (["cat", "'dog'"], "have numbers or quotes (cat, 'dog')"),
        (["zone 1", "zone 2"], None),
        (["cat", "3", "dog"], "classes that are numbers beside names: 3"),
        (["-1", "0", "1"], "have numbers for names (-1, 0, 1)"),
        (["0", "1", "A", "B"], None),
        (["2 doors", "4 doors"], None),
        (["0-2", "4-6", "100+"], None),
        (["class 1", "dog"], None),
        (["none of these", "background"], None),
        ([], None),
    ],
)
def test_names_that_say_little(names, note):
    notes = say_little(names)
    assert (note in notes[0]) if note else not notes


def test_minus_one_beside_classes_from_0_is_none():
    assert say_little(["-1", "0", "1"])[1] == "classes whose names say that there is none: -1"
    assert len(say_little(["-2", "-1", "0", "1"])) == 1
