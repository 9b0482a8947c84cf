"""Columns of a text table."""

from pipelines.runs.text_table import aligned


def test_cells_stand_in_columns_to_the_left_or_to_the_right():
    rows = [["set", "images", "what"], ["food", "7", "dishes"], ["cifar10", "60,000", ""]]
    assert aligned(rows, right=(1,)) == [
        "set      images  what",
        "food          7  dishes",
        "cifar10  60,000",
    ]


def test_a_short_row_widens_no_column_but_the_first():
    rows = [["method", "seen"], ["probe", "87.4"], ["full tuning", "87.1"], ["coop", "it failed"]]
    short = [*rows[:3], ["a longer name"], ["coop", "88.0"]]
    assert aligned(short, right=(1,))[1] == "probe          87.4"
    assert aligned(short, right=(1,))[3] == "a longer name"


def test_wide_characters_and_accents_are_as_wide_as_a_terminal_shows_them():
    assert aligned([["米飯", "1"], ["ñu", "2"], ["rice", "3"]]) == [
        "米飯  1",
        "ñu    2",
        "rice  3",
    ]
