"""Stopped at any of its writes, a command given again ends as if nothing had happened.

A few places here; `make torture` tries every one, and trainings too.
"""

from pathlib import Path

from processes import finish, run


def test_a_few_places_to_die():
    torture = Path(__file__).with_name("torture.py")
    (said,) = finish(run(torture, "prepare", "retrieve", "--how", "state", "term", "--points", "2"))
    for name in ("prepare, state", "prepare, term", "retrieve, state", "retrieve, term"):
        assert f"{name}: 2 points, 2 survived" in said
