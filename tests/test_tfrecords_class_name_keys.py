"""Names of classes that are numbers: their order, and which are the same."""

import pytest

from tfrecords.class_name_keys import by_number, merged


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
