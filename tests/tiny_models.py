"""Tiny models of every architecture that `transformers` has, and their outputs."""

from pathlib import Path

import keras
import numpy as np

import dual_encoder
from dual_encoder import Bert, DualEncoder, ImageEncoder, TextEncoder, TextTransformer
from dual_encoder.checkpoints.tokenizers.read import read_tokenizer
from dual_encoder.towers.transformer import gelu_tanh, quick_gelu

FIXTURES = Path(__file__).parent / "fixtures" / "tokenizers"
TEXTS = ["a red cat", "A photo of the café, 2021!", "x"]
PIXELS = np.random.default_rng(0).integers(256, size=(3, 16, 16, 3), dtype=np.uint8)
SIZES = {"width": 8, "depth": 2, "heads": 2, "mlp_ratio": 2}
STATISTICS = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}


def tokenizer(name, length=12, **options):
    return read_tokenizer(FIXTURES / name, context_length=length, **options)


def vision(**options):
    return dual_encoder.VisionTransformer(16, 8, **{**SIZES, **STATISTICS, **options})


def clip(words=None, *, image=None, text=None, **options):
    words = words or tokenizer("clip")
    tower = TextTransformer(
        words.vocabulary_size,
        words.context_length,
        end_id=words.end_id,
        **{**SIZES, "width": 12, "activation": quick_gelu, **(text or {})},
    )
    usual = {"pre_norm": True, "activation": quick_gelu, "epsilon": 1e-6}
    image = vision(**{**usual, **(image or {})})
    return DualEncoder(image, tower, tokenizer=words, **{"embed_dim": 6, **options})


def siglip(**options):
    words = tokenizer("siglip", cleaning="siglip")
    own = {**SIZES, "activation": gelu_tanh, "epsilon": 1e-6}
    image = vision(pooling="attention", patch_bias=True, resize="squash", **own)
    tower = TextTransformer(
        words.vocabulary_size, 12, end_id=1, causal=False, pooling="last", **own
    )
    options = {"text_projection": keras.layers.Dense(8), "embed_dim": 8, **options}
    heads = {"image_projection": keras.layers.Identity(), "loss_name": "sigmoid"}
    return DualEncoder(image, tower, tokenizer=words, **{**heads, **options})


def vit(head=None, **options):
    image = vision(patch_bias=True, epsilon=1e-12, resize="squash", interpolation="bilinear")
    return ImageEncoder(image, head=head, **options)


def bert(kind="bert", **options):
    words = tokenizer(kind)
    first = 0 if kind == "bert" else words.pad_id + 1
    own = {**SIZES, "first_position": first, "positions": 12 + first, **options}
    tower = Bert(words.vocabulary_size, 12, pad_id=words.pad_id, **own)
    return TextEncoder(tower, tokenizer=words)


FAMILIES = {
    "clip": clip,
    "clip of open_clip": lambda: clip(
        tokenizer("clip", cleaning="openai"), image={"activation": "gelu", "resize": "squash"}
    ),
    "siglip": siglip,
    "vit with a classifier": lambda: vit(keras.layers.Dense(3), class_names=["a", "b|c", "ä"]),
    "vit without names": lambda: vit(keras.layers.Dense(3)),
    "vit with a pooler": lambda: vit(keras.layers.Dense(8, activation="tanh")),
    "vit": vit,
    "bert": bert,
    "bert of means": lambda: bert(pooling="mean"),
    "bert of first tokens": lambda: bert(pooling="first"),
    "roberta": lambda: bert("roberta", segments=1),
    "roberta without segments": lambda: bert("roberta", segments=0, pooling="mean"),
    "xlm_roberta": lambda: bert("xlm_roberta", segments=1, pooling="mean", epsilon=1e-5),
}


def scrambled(model):
    """With weights that are not 0 and 1, so that each one counts."""
    model.build()
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign_add(0.2 * rng.standard_normal(weight.shape))
    return model


def outputs(model):
    """Embeddings, features or logits, by what goes in."""
    found = {}
    if hasattr(model, "image_tower"):
        has_head = getattr(model, "head", None) is not None
        found["image"] = np.array(model(PIXELS) if has_head else model.encode_image(PIXELS))
    if hasattr(model, "text_tower"):
        encode = getattr(model, "encode_text", model)
        found["text"] = np.array(encode(model.tokenizer(TEXTS)))
    if hasattr(model, "logit_scale"):
        found["scale"] = np.array(model.logit_scale)
    if hasattr(model, "logit_bias"):
        found["bias"] = np.array(model.logit_bias)
    return found


def assert_same(found, expected, tolerance=1e-6):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=tolerance, rtol=tolerance, err_msg=key)
