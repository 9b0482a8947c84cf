"""The configuration of every published checkpoint, as its own files have it.

The reference models are built from these, and so are ours: a row of the table of checkpoints needs
one here. Sizes are those of `open_clip/model_configs` and of the configurations on the hub.
"""

from typing import Any

Config = dict[str, Any]


def _vision(width: int, heads: int, depth: int, patch: int, **more: Any) -> Config:
    """Of a transformer in the words of `transformers`; its mlp is four times as wide."""
    sizes = dict(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=depth,
        num_attention_heads=heads, patch_size=patch, image_size=224,
    )  # fmt: skip
    return sizes | more


def _text(width: int, heads: int, depth: int = 12, **more: Any) -> Config:
    sizes = dict(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=depth,
        num_attention_heads=heads,
    )  # fmt: skip
    return sizes | more


def _clip(vision: Config, text: Config, embed_dim: int) -> Config:
    return dict(model_type="clip", vision_config=vision, text_config=text, projection_dim=embed_dim)


def _open_clip(embed_dim: int, vision: Config, text: Config, **more: Any) -> Config:
    return dict(embed_dim=embed_dim, vision_cfg=vision, text_cfg=text) | more


def _open_clip_text(width: int, heads: int, depth: int = 12) -> Config:
    return dict(context_length=77, vocab_size=49_408, width=width, heads=heads, layers=depth)


def _open_clip_vit(width: int, depth: int, patch: int, **more: Any) -> Config:
    return dict(image_size=224, layers=depth, width=width, patch_size=patch) | more


def _residual(layers: list[int]) -> Config:
    return dict(image_size=224, layers=layers, width=64, patch_size=None)


def _hugging_face_text(name: str) -> Config:
    return dict(hf_model_name=name, hf_tokenizer_name=name, hf_pooler_type="mean_pooler")


LARGE_TEXT = _text(768, 12)
ROBERTA = dict(pad_token_id=1, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5)
IMAGENET = dict(model_type="vit", id2label={str(i): f"class {i}" for i in range(1000)})
B_32, B_16 = _open_clip_vit(768, 12, 32), _open_clip_vit(768, 12, 16)
L_14, H_14 = _open_clip_vit(1024, 24, 14), _open_clip_vit(1280, 32, 14, head_width=80)
SMALL_TEXT, MIDDLE_TEXT = _open_clip_text(512, 8), _open_clip_text(768, 12)
QUICK = dict(quick_gelu=True)

CASES: dict[str, Config] = {
    "clip-rn50": _open_clip(1024, _residual([3, 4, 6, 3]), SMALL_TEXT, **QUICK),
    "clip-rn101": _open_clip(512, _residual([3, 4, 23, 3]), SMALL_TEXT, **QUICK),
    "clip-vit-base-patch32": _open_clip(512, B_32, SMALL_TEXT, **QUICK),
    "clip-vit-base-patch16": _open_clip(512, B_16, SMALL_TEXT, **QUICK),
    "clip-vit-large-patch14": _clip(_vision(1024, 16, 24, 14), LARGE_TEXT, 768),
    "clip-vit-large-patch14-336": _open_clip(
        768, L_14 | dict(image_size=336), MIDDLE_TEXT, **QUICK
    ),
    "clip-vit-base-patch32-laion2b": _open_clip(512, B_32, SMALL_TEXT),
    "clip-vit-base-patch32-laion400m": _open_clip(512, B_32, SMALL_TEXT, **QUICK),
    "clip-vit-base-patch32-metaclip": _open_clip(512, B_32, SMALL_TEXT, **QUICK),
    "clip-vit-base-patch16-laion2b": _open_clip(512, B_16, SMALL_TEXT),
    "clip-vit-base-patch16-laion400m": _open_clip(512, B_16, SMALL_TEXT),
    "clip-vit-base-patch16-datacomp": _open_clip(512, B_16, SMALL_TEXT),
    "clip-vit-base-patch16-metaclip": _open_clip(512, B_16, SMALL_TEXT, **QUICK),
    "clip-vit-large-patch14-laion2b": _open_clip(768, L_14, MIDDLE_TEXT),
    "clip-vit-large-patch14-datacomp": _open_clip(768, L_14, MIDDLE_TEXT),
    "clip-vit-huge-patch14-laion2b": _open_clip(1024, H_14, _open_clip_text(1024, 16, 24)),
    "clip-roberta-vit-base-patch32": _open_clip(
        512, B_32, _hugging_face_text("roberta-base"), **QUICK
    ),
    "clip-xlm-roberta-vit-base-patch32": _open_clip(
        512, B_32, _hugging_face_text("xlm-roberta-base")
    ),
    "siglip-base-patch16-224": dict(
        model_type="siglip", vision_config=_vision(768, 12, 12, 16), text_config=LARGE_TEXT
    ),
    "vit-base-patch16-224": IMAGENET | _vision(768, 12, 12, 16),
    "vit-base-patch16-224-in21k": dict(model_type="vit") | _vision(768, 12, 12, 16),
    "vit-base-patch32-224-in21k": dict(model_type="vit") | _vision(768, 12, 12, 32),
    "vit-large-patch16-224": IMAGENET | _vision(1024, 16, 24, 16),
    "bert-base-uncased": dict(model_type="bert") | LARGE_TEXT,
    "bert-small-uncased": dict(model_type="bert") | _text(512, 8, 4),
    "roberta-base": dict(model_type="roberta", vocab_size=50_265) | LARGE_TEXT | ROBERTA,
    "xlm-roberta-base": dict(model_type="xlm-roberta", vocab_size=250_002) | LARGE_TEXT | ROBERTA,
    "minilm-l6": dict(model_type="bert") | _text(384, 12, 6),
}
