"""What a run says of its devices and its precision."""

import gc
import importlib
import logging
import os
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


def test_packages_left_out_of_an_import_can_be_imported_afterwards(tmp_path, monkeypatch):
    (tmp_path / "imported_by_nobody.py").write_text("answer = 42")
    monkeypatch.syspath_prepend(tmp_path)
    with runtime._without("sys", "imported_by_nobody"):
        assert importlib.import_module("sys") is sys  # it was imported before
        with pytest.raises(ImportError, match="imported_by_nobody"):
            importlib.import_module("imported_by_nobody")
    assert importlib.import_module("imported_by_nobody").answer == 42
    del sys.modules["imported_by_nobody"]


def test_of_keras_json_nothing_counts():
    """Its float16 or channels first, asked for by another program, would be in all models.

    `conftest.py` had such a file read, and imported TensorFlow by `import_tensorflow`.
    """
    found = keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon()
    assert found == ("float32", "channels_last", 1e-7)
    assert keras.config.dtype_policy().name == "float32" and keras.config.backend() == "tensorflow"


def test_garbage_is_looked_for_less_often_once_tensorflow_is_imported(frozen):
    """`conftest.py` has imported it by this function."""
    assert gc.isenabled() and gc.get_threshold() == runtime.COLLECT_EVERY
    assert frozen > 100_000  # what was imported


def test_another_backend_is_refused_where_it_was_asked_for(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ValueError, match=r"KERAS_BACKEND: expected tensorflow, .*; got jax"):
        runtime.import_tensorflow()
    monkeypatch.delenv("KERAS_BACKEND")
    runtime.import_tensorflow()  # whatever keras.json has
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_tracing_a_model_for_several_shapes_is_no_warning():
    import tensorflow as tf

    said = []
    handler = logging.Handler()
    handler.emit = said.append
    tf.get_logger().addHandler(handler)
    try:
        double = tf.function(lambda x: 2 * x, reduce_retracing=False)
        for size in range(1, 9):
            double(tf.zeros(size))
        tf.get_logger().warning("another")
    finally:
        tf.get_logger().removeHandler(handler)
    assert [record.getMessage() for record in said] == ["another"]
