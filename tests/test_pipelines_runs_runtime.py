"""What a run says of its devices and its precision."""

import sys

import keras
import pytest
from tiny_models import vision

from pipelines.runs import runtime


@pytest.fixture
def half():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def test_a_model_that_keeps_its_precision_is_named(half, capsys):
    runtime.say_kept_precision(vision(dtype="float32"), "old.keras")
    assert capsys.readouterr().out == (
        "precision: old.keras keeps float32, which it was saved with; "
        "--precision mixed_bfloat16 changes nothing\n"
    )
    runtime.say_kept_precision(vision(), "shapes-tiny")
    assert capsys.readouterr().out == ""


def test_packages_left_out_of_an_import_can_be_imported_afterwards():
    assert "sys" in sys.modules and "wave" not in sys.modules
    with runtime._without("sys", "wave"):
        import sys as imported_before

        assert imported_before is sys
        with pytest.raises(ImportError, match="wave"):
            import wave
    import wave

    assert wave.open
