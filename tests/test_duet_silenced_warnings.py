"""Warnings that several threads silence are shown again when the last has left."""

import threading
import warnings

from duet.silenced_warnings import silenced


def test_who_enters_first_and_leaves_first_does_not_show_them_to_the_other():
    before = list(warnings.filters)
    entered, left = threading.Event(), threading.Event()

    def first():
        with silenced():
            entered.set()
            left.wait()

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        own = list(warnings.filters)
        other = threading.Thread(target=first)
        other.start()
        entered.wait()
        with silenced():
            left.set()
            other.join()
            warnings.warn("silenced", stacklevel=1)
        assert warnings.filters == own
        warnings.warn("shown", stacklevel=1)
    assert [str(each.message) for each in shown] == ["shown"]
    assert warnings.filters == before
