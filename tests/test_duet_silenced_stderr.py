"""Standard error, turned away while C++ writes there."""

import os

import pytest

from duet import silenced_stderr


def test_what_is_written_meanwhile_goes_nowhere(capfd):
    os.write(2, b"before\n")
    with silenced_stderr.silenced():
        os.write(2, b"INFO: a delegate was created\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"


def test_an_exception_is_raised_and_standard_error_is_back(capfd):
    with pytest.raises(ValueError, match="wrong"), silenced_stderr.silenced():
        raise ValueError("wrong")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
