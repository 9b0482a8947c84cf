"""Half precision, and another backend, on the fixtures of published layouts."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

import dual_encoder
from dual_encoder import ModifiedResNet
from dual_encoder.towers.convnext import ConvNeXt, ConvNeXtBlock
from dual_encoder.towers.fastvit import FastViT
from dual_encoder.training.replica_train_step import ExactTraining

pytestmark = pytest.mark.usefixtures("as_for_users")  # fused operations keep more digits
ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures" / "pretrained"
FASTVIT = dict(depths=(1, 1), widths=(8, 32), mlp_ratio=2, squeezed=1)
NAMES = ["clip_quick_gelu_legacy_eos", "siglip", "open_clip_resnet"]
ON_JAX = """
import sys
for name in ("tensorflow", "tensorflow_text", "tensorflow_datasets"):
    sys.modules[name] = None  # whoever imports it gets an ImportError
import keras
import numpy as np
from safetensors.numpy import load_file
import dual_encoder
for folder in sys.argv[1:]:
    model, wanted = dual_encoder.load(folder), load_file(f"{folder}/expected.safetensors")
    image = np.array(model.encode_image(wanted["image_pixels"]))
    text = np.array(model.encode_text(wanted["token_ids"]))
    worst = max(np.abs(image - wanted["image"]).max(), np.abs(text - wanted["text"]).max())
    assert worst < 1e-5, (folder, worst)
    try:
        model.encode_text(keras.ops.convert_to_tensor(wanted["token_ids"] + 1000))  # would be NaN
    except ValueError as error:
        assert "expected token ids 0 to " in str(error)
    else:
        raise AssertionError("ids of no token were encoded")
"""


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def precision(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_stays_close(name, precision):
    wanted = load_file(FIXTURES / name / "expected.safetensors")
    model = dual_encoder.load(FIXTURES / name)
    assert model.image_tower.compute_dtype == precision.removeprefix("mixed_")
    image = np.array(model.encode_image(wanted["image_pixels"]))
    text = np.array(model.encode_text(wanted["token_ids"]))
    assert image.dtype == text.dtype == "float32"
    for found, exact in ((image, wanted["image"]), (text, wanted["text"])):
        cosines = (found * exact).sum(axis=1)  # of eight numbers each is large, and so its error
        np.testing.assert_allclose(cosines, 1, atol=3e-3)
    assert np.abs(image - wanted["image"]).max() > 1e-6  # it did compute in half precision


@pytest.mark.parametrize("name", NAMES)
def test_extreme_inputs_give_numbers(name, precision):
    model = dual_encoder.load(FIXTURES / name)
    size = model.image_size
    flat = np.stack([np.full((size, size, 3), value, "uint8") for value in (0, 255)])
    ids = np.full((2, model.context_length), model.tokenizer.pad_id, "int32")
    ids[0] = model.tokenizer.end_id
    ids[1, 0] = model.tokenizer.end_id
    logits = np.array(model.encode_image(flat)) @ np.array(model.encode_text(ids)).T
    assert np.isfinite(logits * np.array(model.logit_scale)).all()


def test_padding_alone_and_large_responses_give_numbers(precision):
    words = {"width": 8, "depth": 2, "heads": 2}
    for tower in (
        dual_encoder.Bert(9, 6, pad_id=0, **words),
        dual_encoder.TextTransformer(9, 6, end_id=1, pooling="class", **words),
    ):
        assert np.isfinite(np.array(tower(np.zeros((1, 6), "int32")), "float32")).all()
    block = ConvNeXtBlock(4, responses=True)
    block.build()
    block.response_gamma.assign(np.ones(16))
    block.mlp_hidden.kernel.assign(np.full((4, 16), 10.0))
    places = np.random.default_rng(0).normal(size=(1, 64, 64, 4)).astype("float32")
    assert np.isfinite(np.array(block(places), "float32")).all()


def test_the_mean_over_the_tokens_of_a_text_is_taken_in_float32(precision):
    tower = dual_encoder.Bert(9, 6, pad_id=0, pooling="mean", width=8, depth=1, heads=2)
    found = tower(np.array([[1, 2, 3, 0, 0, 0]], "int32"))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert tower.blocks[0].compute_dtype == precision.removeprefix("mixed_")


class Scaled(ExactTraining, keras.Model):
    """Two weights under a loss of 1e-8 times their sum, in float16, which ends at 6e-8."""

    def build(self, input_shape=None):
        self.pair = self.add_weight((2,), "zeros", name="pair", dtype="float32")
        self.built = True

    def call(self, x, training=None):
        return x * self.pair  # in half precision

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 1e-8 * keras.ops.sum(keras.ops.cast(y_pred, "float32"))


def stepped(x, *, micro_batch=None, **options):
    """The model after a step of SGD at rate 1."""
    model = Scaled(dtype="mixed_float16")
    sgd = keras.optimizers.SGD(1.0, **options)
    model.compile(sgd, micro_batch=micro_batch, jit_compile=False)
    model.train_on_batch(np.array(x, "float16"))
    return model


def test_a_loss_in_float16_is_scaled_so_that_small_gradients_count():
    model = stepped([[3.0, 4.0]])
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    np.testing.assert_allclose(model.pair.numpy(), [-3e-8, -4e-8], rtol=2e-3)


def test_the_gradient_is_clipped_by_its_norm_without_the_scale():
    model = stepped([[3.0, 4.0]], global_clipnorm=1e-8)
    np.testing.assert_allclose(model.pair.numpy(), [-0.6e-8, -0.8e-8], rtol=2e-3)
    model = stepped([[3.0, 4.0]], global_clipnorm=1e-6)  # clips nothing
    np.testing.assert_allclose(model.pair.numpy(), [-3e-8, -4e-8], rtol=2e-3)


def test_a_step_that_overflows_is_skipped_and_halves_the_scale():
    model = stepped([[np.inf, 4.0]], global_clipnorm=1.0)
    assert not model.pair.numpy().any() and int(model.optimizer.iterations) == 0
    assert float(model.optimizer.dynamic_scale) == 2.0**14
    model.train_on_batch(np.array([[3.0, 4.0]], "float16"))
    np.testing.assert_allclose(model.pair.numpy(), [-3e-8, -4e-8], rtol=2e-3)


def test_a_float16_step_of_a_few_rows_at_a_time_is_that_of_all_rows():
    for micro in (None, 1):
        model = stepped([[3.0, 4.0], [1.0, 2.0]], micro_batch=micro, global_clipnorm=1.0)
        np.testing.assert_allclose(model.pair.numpy(), [-4e-8, -6e-8], rtol=2e-3)


def test_two_architectures_on_jax_without_tensorflow():
    if importlib.util.find_spec("jax") is None:  # importing it here would set the log level
        pytest.skip("the extra jax is not installed")
    folders = [str(FIXTURES / name) for name in ("clip_quick_gelu_legacy_eos", "open_clip_resnet")]
    hasty = "--xla_backend_optimization_level=0"  # it runs once what it compiles
    environment = {**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": hasty}
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, *folders],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


TOWERS = {
    "convolutional": lambda: dual_encoder.ConvolutionalTower(32, widths=(8, 16)),
    "convnext": lambda: ConvNeXt(32, depths=(1, 1), widths=(8, 16)),
    "fastvit": lambda: FastViT(32, **FASTVIT),
    "resnet": lambda: ModifiedResNet(32, depths=[1] * 4, width=8, heads=2, output_dim=16),
    "application": lambda: dual_encoder.image_tower("mobilenet-v3-small", image_size=32),
}


@pytest.mark.parametrize("make", TOWERS.values(), ids=TOWERS)
def test_images_have_channels_last_whatever_keras_is_set_to(make, channels_first, eagerly):
    """Towers take [b, s, s, 3] as it is read, also where people set Keras for other models."""
    tower = make()
    pixels = np.random.default_rng(0).integers(256, size=(2, 32, 32, 3), dtype=np.uint8)
    assert tower(pixels).shape == (2, tower.output_dim)
    assert keras.config.image_data_format() == "channels_first"


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.fixture(params=["float16", "bfloat16", "float64"])
def floatx(request):
    policy = keras.config.dtype_policy()
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("name", ["shapes-tiny", FIXTURES / "bert_mean"])
def test_every_number_may_have_another_precision(name, floatx):
    model = dual_encoder.load(name)
    model.encode_text(["a red star", "a blue ring"])
    if name == "shapes-tiny":
        prompts = dual_encoder.CoOp(model, ["red star", "blue ring"], words="a")
        assert np.isfinite(prompts.logits(np.eye(2, model.embed_dim))).all()
        contrast = model.compute_loss(
            y_pred={name: np.eye(2, 4, dtype="float32") for name in ("image", "text")}
        )
        assert np.isfinite(float(contrast))


@pytest.mark.parametrize("kind", [dual_encoder.CoOp, dual_encoder.CoCoOp])
def test_prompts_are_learnt_in_half_precision(kind, precision, eagerly):
    model = dual_encoder.load("shapes-tiny")
    prompts = kind(model, ["red star", "blue ring"], words="a")
    embeddings = np.eye(2, model.embed_dim, dtype="float32")
    before = prompts.logits(embeddings)
    prompts.compile("sgd")
    assert np.isfinite(prompts.fit(embeddings, np.arange(2), verbose=0).history["loss"]).all()
    np.testing.assert_allclose(prompts.predict(embeddings, verbose=0), before, atol=0.1, rtol=0.1)
