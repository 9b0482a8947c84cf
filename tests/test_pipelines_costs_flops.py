"""FLOPs: the profiler's figure and the count from layer shapes, on towers of every kind."""

import keras
import numpy as np
import pytest

import classifiers
import dual_encoder
from dual_encoder.towers.fastvit import FastViT
from duet import keras_private_api
from pipelines.costs import flops

NAMES = ["star", "ring", "square"]


def transformer(pooling="token"):
    return dual_encoder.VisionTransformer(
        64, 8, width=192, depth=2, heads=3, patch_bias=True, pooling=pooling
    )


def convolutions():
    return dual_encoder.ModifiedResNet(64, depths=(1, 1, 1, 1), width=64, heads=4, output_dim=64)


class Mixed(dual_encoder.ImageTower):
    """What KerasHub's towers are made of."""

    output_dim = 64

    def build(self, input_shape=None):
        layers = keras.layers
        self.parts = [
            layers.Conv2D(256, 3, strides=2, padding="same"),
            layers.DepthwiseConv2D(5, padding="same"),
            layers.Reshape((64, 256)),
            layers.MultiHeadAttention(4, 64),
            layers.EinsumDense("abc,cd->abd", (None, 128)),
            layers.EinsumDense("abc,cde->abde", (None, 4, 16)),
        ]
        self.built = True

    def call(self, image, training=None):
        x = self.normalize(image)
        for part in self.parts:
            x = part(x, x) if isinstance(part, keras.layers.MultiHeadAttention) else part(x)
        return keras.ops.reshape(keras.ops.mean(x, axis=1), (-1, 64))


def test_a_transformer_counted_by_hand():
    """n tokens, d wide: 24 n d² of products and 4 n² d of attention in a block."""
    d, n, patches, heads = 192, 65, 64, 3
    block = 24 * n * d * d + 4 * n * n * d
    last = 24 * d * d + 4 * heads * n * d  # the class token alone asks, and no other is projected
    expected = 2 * patches * 8 * 8 * 3 * d + block + last + 2 * d * 3
    model = classifiers.from_model(transformer(), classes=3)
    assert flops.counted(model) == expected


def profiled(model):
    """Returns FLOPs by TensorFlow's profiler, for the graph from one image to logits.

    Matmuls, convolutions, and elementwise sums, products and softmax.
    """
    import tensorflow as tf

    side = model.preprocessing["image_size"]
    image = tf.TensorSpec([1, side, side, 3], tf.float32)
    call = tf.function(lambda x: model(x, training=False), autograph=False)
    graph = call.get_concrete_function(image).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    found = profiler.profile(graph, options=options.with_empty_output().build())
    return int(found.total_float_ops) + _einsums(graph)


def _einsums(graph):
    """Returns the FLOPs of einsums, which the profiler does not count."""
    total = 0
    for operation in graph.get_operations():
        if operation.type == "Einsum":
            inputs = operation.get_attr("equation").decode().split("->")[0].split(",")
            shapes = (tensor.shape.as_list() for tensor in operation.inputs)
            pairs = zip(inputs, shapes, strict=True)
            sizes = {axis: n for axes, shape in pairs for axis, n in zip(axes, shape, strict=True)}
            total += 2 * np.prod(list(sizes.values()))
    return total


@pytest.mark.parametrize(
    "tower",
    [
        transformer,
        lambda: transformer("attention"),
        lambda: convolutions(),
        lambda: FastViT(32, depths=(1, 2), widths=(32, 64), mlp_ratio=3, squeezed=1),
        lambda: Mixed(16),
        lambda: dual_encoder.image_tower("xception", image_size=72, weights=None),
    ],
    ids=["token", "attention", "modified-resnet", "fastvit", "keras layers", "xception"],
)
def test_profiler_and_shapes_agree(tower):
    model = classifiers.from_model(tower(), classes=3)
    assert flops.counted(model) == pytest.approx(profiled(model), rel=0.04)


def test_prompts_of_each_image_are_counted():
    """The text tower reads all class names anew for it."""
    prompts = dual_encoder.CoCoOp(dual_encoder.load("shapes-tiny"), NAMES, words=None, n_ctx=2)
    model = prompts.classifier()
    assert flops.counted(model) == pytest.approx(profiled(model), rel=0.04)


def test_heads_count():
    tower = transformer()
    head = keras.layers.Dense(7, name="head")
    model = dual_encoder.ZeroShotClassifier(
        tower, head, class_names=NAMES, templates=["{}"], embed_dim=7
    )
    model.build()
    linear = classifiers.from_model(tower, classes=3)
    assert flops.counted(model) == flops.counted(linear) - 2 * 192 * 3 + 2 * 192 * 7 + 2 * 7 * 3
    assert not any(
        "call" in vars(layer) for layer in keras_private_api.layers_of(model)
    )  # none is watched any more
