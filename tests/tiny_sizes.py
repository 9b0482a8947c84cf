"""Sizes of the tiny towers that fixtures in OpenCLIP's layout name instead of describing them."""

from dual_encoder.checkpoints.open_clip import text_towers, timm_sizes

TINY_ROBERTA = dict(vocabulary_size=20, width=8, depth=1, heads=2, segments=1, mlp_ratio=2)
MINI = dict(patch_size=8, width=16, depth=1, heads=2)
EVA_02 = dict(activation="silu", gated=True, inner_norms=True, angles={"reference": 3})
PE = dict(
    pre_norm=True, patch_bias=False, pooling="attention", pooling_heads=4, pooling_mlp_dim=32,
    angles={"reference": 3, "offset": 1.0, "order": "xy"},
)  # fmt: skip
TIMM = {
    "SIGLIP": {"mini": dict(width=16, depth=1, heads=2, mlp_ratio=2.0)},
    "PLAIN": {
        "vit_mini_patch8_clip": MINI | dict(mlp_ratio=2.0, pre_norm=True, epsilon=1e-6),
        "vit_mini_mci": MINI | dict(patch_size=16, mlp_ratio=2.0, stem="nested", epsilon=1e-6),
    },
    "FASTVIT": {
        "fastvit_mini": dict(
            depths=(1, 2, 1), widths=(8, 16, 32), mlp_ratio=1, attending=1, squeezed=1
        ),
        "fastvit_mini_layer_norm": dict(
            depths=(1, 1), widths=(8, 32), mlp_ratio=1, attending=1, layer_norm=True
        ),
    },
    "CONVNEXT": {"convnext_mini": dict(depths=(1, 1, 1, 2), widths=(8, 16, 16, 16))},
    "ROTARY": {
        "eva_mini": MINI | dict(mlp_dim=24),
        "eva_mini_post": MINI | dict(mlp_dim=24, norm_first=False),
        "eva02_mini": MINI | dict(mlp_dim=24) | EVA_02,
        "vit_pe_mini": MINI | dict(mlp_dim=64) | PE,
    },
}


def name_tiny_towers(monkeypatch):
    """Add the tiny towers to the tables of those that OpenCLIP's configurations may name."""
    monkeypatch.setitem(text_towers.HF_TEXT, "tiny", TINY_ROBERTA)
    monkeypatch.setattr(text_towers, "ROBERTA_POSITIONS", 14)
    for table, sizes in TIMM.items():
        for name, each in sizes.items():
            monkeypatch.setitem(getattr(timm_sizes, table), name, each)
