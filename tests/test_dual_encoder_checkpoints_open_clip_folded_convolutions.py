"""Folding branches of timm's blocks into one convolution, against the branches themselves."""

import numpy as np
import pytest
from scipy.ndimage import correlate

from dual_encoder.checkpoints.open_clip import folded_convolutions as folded

CHANNELS = 4


def made(shapes, seed=0):
    """Tensors of those shapes; variances are positive."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.uniform(0.5, 2, shape) if name.endswith("var") else rng.normal(size=shape)
        for name, shape in shapes.items()
    }


def norm(name):
    return {f"{name}.{part}": (CHANNELS,) for part in folded.NORM}


def branch(name, size, group=1):
    kernel = {f"{name}.conv.weight": (CHANNELS, group, size, size)}
    return kernel | norm(f"{name}.bn")


def normed(x, tensors, name):
    """Batch norm of [channels, h, w] by its definition."""
    gamma, beta, mean, variance = (tensors[f"{name}.{part}"][:, None, None] for part in folded.NORM)
    return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta


def depthwise(x, kernel):
    """Zero beyond the edges, as PyTorch pads."""
    pairs = zip(x, kernel, strict=True)
    return np.stack([correlate(each, k[0], mode="constant") for each, k in pairs])


def convolved(x, tensors, name):
    return normed(depthwise(x, tensors[f"{name}.conv.weight"]), tensors, f"{name}.bn")


def applied(convolution, tensors, x):
    """The one convolution that the tensors become."""
    kernel, bias = convolution.fold([tensors[name] for name in convolution.tensors])
    return depthwise(x, kernel) + bias[:, None, None]


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(CHANNELS, 6, 5))


def test_branches_and_the_input_itself_are_summed(x):
    names = branch("b.conv_kxk.0", 3) | branch("b.conv_scale", 1) | norm("b.identity")
    tensors = made(names)
    wanted = convolved(x, tensors, "b.conv_kxk.0") + convolved(x, tensors, "b.conv_scale")
    wanted = wanted + normed(x, tensors, "b.identity")
    found = applied(folded.branched("b", tensors), tensors, x)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert set(folded.branched("b", tensors).tensors) == set(tensors)


def test_a_small_kernel_lies_in_the_middle_of_the_large_one(x):
    tensors = made(branch("b.small_conv", 3) | branch("b.large_conv", 7))
    wanted = convolved(x, tensors, "b.large_conv") + convolved(x, tensors, "b.small_conv")
    found = applied(folded.branched("b", tensors), tensors, x)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_the_input_of_a_block_across_channels_passes_each_channel_alone(x):
    tensors = made(branch("b.conv_kxk.0", 1, group=CHANNELS) | norm("b.identity"))
    mixed = np.einsum("oi,ihw->ohw", tensors["b.conv_kxk.0.conv.weight"][:, :, 0, 0], x)
    wanted = normed(mixed, tensors, "b.conv_kxk.0.bn") + normed(x, tensors, "b.identity")
    block = folded.branched("b", tensors)
    kernel, bias = block.fold([tensors[name] for name in block.tensors])
    found = np.einsum("oi,ihw->ohw", kernel[:, :, 0, 0], x) + bias[:, None, None]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_mixer_adds_what_differs_from_its_norm(x):
    block = branch("m.mixer.conv_kxk.0", 3) | branch("m.mixer.conv_scale", 1)
    names = {"m.layer_scale.gamma": (CHANNELS, 1, 1)} | norm("m.norm.identity")
    tensors = made(block | norm("m.mixer.identity") | names)
    mixed = sum(convolved(x, tensors, f"m.mixer.{each}") for each in ("conv_kxk.0", "conv_scale"))
    mixed = mixed + normed(x, tensors, "m.mixer.identity") - normed(x, tensors, "m.norm.identity")
    found = applied(folded.mixer("m", tensors), tensors, x)
    np.testing.assert_allclose(found, x + tensors["m.layer_scale.gamma"] * mixed, atol=1e-12)


def test_positions_are_added_to_the_input(x):
    tensors = made({"p.pos_enc.weight": (CHANNELS, 1, 7, 7), "p.pos_enc.bias": (CHANNELS,)})
    wanted = x + depthwise(x, tensors["p.pos_enc.weight"])
    wanted = wanted + tensors["p.pos_enc.bias"][:, None, None]
    found = applied(folded.positions("p", tensors), tensors, x)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("kind", [folded.branched, folded.mixer, folded.positions])
def test_what_is_folded_already_is_read_as_it_is(kind):
    tensors = made({"b.reparam_conv.weight": (CHANNELS, 1, 3, 3), "b.reparam_conv.bias": (4,)})
    convolution = kind("b", tensors)
    assert convolution.tensors == tuple(tensors)
    kernel, bias = convolution.fold(list(tensors.values()))
    assert kernel is tensors["b.reparam_conv.weight"] and bias is tensors["b.reparam_conv.bias"]


def test_a_norm_before_a_linear_layer_becomes_its_weights_and_a_bias(x):
    tensors = made(norm("n") | {"qkv.weight": (3 * CHANNELS, CHANNELS)})
    kernel, bias = (
        entry.codec.read([tensors[name] for name in entry.tensors])
        for entry in folded.normed_linear("ours", "qkv", "n")
    )
    wanted = np.einsum("oi,ihw->hwo", tensors["qkv.weight"], normed(x, tensors, "n"))
    found = np.einsum("ihw,io->hwo", x, kernel) + bias
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_wider_depthwise_kernel_keeps_the_order_of_its_channels():
    kernel = np.arange(6 * 9).reshape(6, 1, 3, 3)
    found = folded.depthwise(2)(kernel)
    assert found.shape == (3, 3, 3, 2)
    np.testing.assert_array_equal(found[:, :, 1, 1], kernel[3, 0])
