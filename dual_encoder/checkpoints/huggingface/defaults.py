"""Default values of the keys that a `transformers` configuration may leave out."""

from typing import Any

Config = dict[str, Any]

# The only values of keys that are understood, in every family and part.
ONLY: Config = dict(
    qkv_bias=True, use_absolute_embeddings=False, query_bias=True, key_bias=False, value_bias=True,
    proj_bias=True, mlp_bias=True, num_channels=3, is_decoder=False, add_cross_attention=False,
    pooler_act="tanh", vision_use_head=True, position_embedding_type="absolute",
)  # fmt: skip

VISION: Config = dict(
    hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
    image_size=224, num_channels=3,
)  # fmt: skip

CLIP_TEXT: Config = dict(
    vocab_size=49408, hidden_size=512, intermediate_size=2048, num_hidden_layers=12,
    num_attention_heads=8, max_position_embeddings=77, hidden_act="quick_gelu",
    layer_norm_eps=1e-5, eos_token_id=49407,
)  # fmt: skip

CLIP_VISION = VISION | dict(patch_size=32, hidden_act="quick_gelu", layer_norm_eps=1e-5)

SIGLIP_TEXT: Config = dict(
    vocab_size=32000, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
    num_attention_heads=12, max_position_embeddings=64, hidden_act="gelu_pytorch_tanh",
    layer_norm_eps=1e-6, projection_size=None,
)  # fmt: skip

SIGLIP_VISION = VISION | dict(patch_size=16, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6)

VIT = VISION | dict(patch_size=16, hidden_act="gelu", layer_norm_eps=1e-12)

BERT: Config = dict(
    vocab_size=30522, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
    num_attention_heads=12, max_position_embeddings=512, type_vocab_size=2, hidden_act="gelu",
    layer_norm_eps=1e-12, pad_token_id=0, hidden_dropout_prob=0.1,
)  # fmt: skip

XLM_ROBERTA = BERT | dict(pad_token_id=1)

ROBERTA = XLM_ROBERTA | dict(vocab_size=50265)
