"""Killed at any of its writes, a command given again ends as if nothing had happened.

A few places here; `make torture` tries every one, and trainings too.
"""

from pathlib import Path

from processes import finish, run


def test_a_few_places_to_die():
    (said,) = finish(
        run(Path(__file__).with_name("torture.py"), "prepare", "retrieve", "--points", "3")
    )
    assert "prepare: 3 points, 3 survived" in said and "retrieve: 3 points, 3 survived" in said
