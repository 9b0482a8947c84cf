"""Which precision `auto` is, and that few images are always embedded in float32."""

import json

import keras
import numpy as np
import pytest
from tiny_models import clip

from dual_encoder.towers import cpu_bfloat16_instructions
from duet import cache_folder
from pipelines.runs import inference_precision

AMX = "flags : fpu avx512_bf16 amx_bf16"


@pytest.fixture(autouse=True)
def float32_afterwards():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def two_ways(monkeypatch, tmp_path):
    """A machine that knows bfloat16, with an empty cache folder."""
    monkeypatch.setattr(inference_precision, "candidates", lambda: ["float32", "mixed_bfloat16"])
    monkeypatch.setenv(cache_folder.SETTING, str(tmp_path))
    monkeypatch.setattr(inference_precision, "LEAST", 100 * (192 * 64 + 64))  # images of `Flat`
    return tmp_path / inference_precision.FILE


class Flat(keras.Model):
    """Embeds images of 8 by 8 pixels."""

    image_size = 8

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(64)

    def build(self, input_shape):
        self.dense.build((None, 192))
        self.built = True

    def call(self, images):
        return self.dense(keras.ops.reshape(images, (-1, 192)))

    def encode_image(self, images):
        return keras.ops.cast(self(images / 255 - 0.5), "float32")


def read(_):
    keras.utils.set_random_seed(0)
    return random_weights(_)


def measured(half, distance=0.0):
    return {
        "float32": {"seconds": 1.0, "distance": 0.0},
        "mixed_bfloat16": {"seconds": half, "distance": distance},
    }


def random_weights(_):
    model = Flat()
    model.build((None, 8, 8, 3))
    return model


def test_the_fastest_is_taken_that_is_near_enough_and_clearly_faster():
    assert inference_precision.best_of(measured(0.5)) == "mixed_bfloat16"
    assert inference_precision.best_of(measured(0.5, distance=0.011)) == "float32"
    assert inference_precision.best_of(measured(0.85)) == "float32"
    assert inference_precision.best_of({"float32": {"seconds": 1.0, "distance": 0.0}}) == "float32"


def test_few_images_are_embedded_in_float32_and_nothing_is_measured(two_ways):
    model = inference_precision.load("m", "auto", images=99, read=read)
    assert inference_precision.policy_of(model) == "float32" and not two_ways.exists()


def test_many_images_take_what_was_measured_once(two_ways, capsys):
    model = inference_precision.load("m", "auto", images=100, read=read)
    assert "the fastest here for m (" in capsys.readouterr().out
    ((key, found),) = json.loads(two_ways.read_text()).items()
    assert set(found) == {"float32", "mixed_bfloat16"}
    assert found["float32"]["distance"] == pytest.approx(0, abs=1e-6)
    assert 1e-7 < found["mixed_bfloat16"]["distance"] < inference_precision.FURTHEST
    assert inference_precision.policy_of(model) == inference_precision.best_of(found)
    for half, wanted in ((0.1, "mixed_bfloat16"), (2.0, "float32")):
        two_ways.write_text(json.dumps({key: measured(half)}))
        model = inference_precision.load("m", "auto", images=100, read=read)
        assert inference_precision.policy_of(model) == wanted == keras.config.dtype_policy().name


def test_texts_stay_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = clip()
    model.build()
    words = ["a red cat", "a dog"]
    ids = model.tokenizer(words)
    inference_precision.texts_in_float32(model)
    found = model.text_tower(ids)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert inference_precision.policy_of(model) == "mixed_bfloat16"
    keras.config.set_dtype_policy("float32")
    exact = clip()
    exact.build()
    exact.set_weights(model.get_weights())
    np.testing.assert_allclose(found, exact.text_tower(ids), atol=1e-6)


def test_a_measurement_leaves_random_numbers_as_they_were(two_ways):
    def drawn_after(images):
        keras.utils.set_random_seed(1)
        inference_precision.load("m", "auto", images=images, read=random_weights)
        return float(keras.random.uniform((), seed=keras.random.SeedGenerator()))

    assert drawn_after(100) == drawn_after(100)  # measured, and kept


def test_another_precision_is_taken_as_it_is(two_ways):
    model = inference_precision.load("m", "mixed_float16", images=1, read=read)
    assert inference_precision.policy_of(model) == "mixed_float16" and not two_ways.exists()


def test_instructions_are_those_of_the_processor(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    assert cpu_bfloat16_instructions.names(AMX) == "AMX"
    assert cpu_bfloat16_instructions.names("flags : avx512_bf16 avx512f") == "AVX512-BF16"
    assert cpu_bfloat16_instructions.names("Features : asimd bf16") == "ARM BF16"
    assert (
        cpu_bfloat16_instructions.names("flags : avx2") == cpu_bfloat16_instructions.names("") == ""
    )
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert cpu_bfloat16_instructions.names(AMX) == ""


@pytest.mark.parametrize(
    ("limit", "found"),
    [("AVX2", ""), ("avx512_core", ""), ("AVX512_CORE_VNNI", "")]
    + [(name, "AVX512-BF16") for name in ("ALL", "AVX512_CORE_BF16", "avx512_core_amx")],
)
def test_instructions_that_onednn_may_not_use_are_none(monkeypatch, limit, found):
    """TensorFlow asks for what the processor has, and would die of it."""
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert cpu_bfloat16_instructions.names("flags : avx512_bf16") == found
