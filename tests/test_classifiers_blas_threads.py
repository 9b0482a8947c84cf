"""Threads of matrix products."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from classifiers import blas_threads


def threads() -> set[int]:
    """Of NumPy's and SciPy's BLAS; other libraries that were imported bring their own."""
    np.zeros(1) @ np.zeros(1)
    ours = ("numpy", "scipy")
    return {
        each["num_threads"]
        for each in threadpool_info()
        if each["user_api"] == "blas" and any(name in each["filepath"] for name in ours)
    }


@pytest.mark.parametrize("work", [0, blas_threads.LARGE - 1])
def test_small_products_have_one_thread_and_what_follows_as_many_as_before(work):
    before = threads()
    with blas_threads.as_needed(work):
        assert threads() == {1}
    assert threads() == before


def test_large_products_keep_their_threads():
    before = threads()
    with blas_threads.as_needed(blas_threads.LARGE):
        assert threads() == before


def test_an_error_inside_is_passed_on_and_changes_nothing():
    before = threads()
    with pytest.raises(ValueError, match="inside"), blas_threads.as_needed(1):
        raise ValueError("inside")
    assert threads() == before
