"""Tiny checkpoints of every layout with the reference's outputs: the fixtures of the tests.

    python tests/parity/tiny.py             # writes tests/fixtures/pretrained/
    python tests/parity/tiny.py NAME ...    # some of them

Each folder holds what its layout publishes, and `expected.safetensors`: pixels and token ids, and
what `transformers` or `open_clip` makes of them. Needs the extra `parity`.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import ROBERTA
from files import write_tokenizer
from reference import LAYOUTS, scramble, stub_torchvision
from safetensors.torch import load_file, save_file

from dual_encoder import CHECKPOINTS

FIXTURES = Path(__file__).parents[1] / "fixtures" / "pretrained"
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
VOCABULARY, PAD, END, LENGTH = 20, 1, 19, 8
SIZE, LARGER = 16, 24
TEXT = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
VISION = TEXT | dict(image_size=SIZE, patch_size=8)
ROBERTA_TEXT = (
    TEXT
    | dict(vocab_size=VOCABULARY, max_position_embeddings=14)
    | {key: value for key, value in ROBERTA.items() if key != "max_position_embeddings"}
)


@dataclass(frozen=True)
class Tiny:
    """One fixture: a class of the library, its configuration and what else is in its file."""

    make: Callable[[], torch.nn.Module]
    dtype: torch.dtype = torch.float16
    outputs: dict[str, Callable] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    rename: Callable[[str], str] = str
    extra: dict[str, torch.Tensor] = field(default_factory=dict)
    fold: bool = False
    size: int = SIZE
    end: int = END
    pad: int = PAD


def transformers_model(name: str, config: str, **sizes: Any) -> Callable[[], torch.nn.Module]:
    """A maker of a random model of `transformers`."""

    def make() -> torch.nn.Module:
        import transformers

        transformers.logging.set_verbosity_error()
        return getattr(transformers, name)(getattr(transformers, config)(**sizes))

    return make


def open_clip_model(vision: dict, text: dict, **config: Any) -> Callable[[], torch.nn.Module]:
    """A maker of a random model of `open_clip`, with its configuration as an attribute."""

    def make() -> torch.nn.Module:
        from transformers import RobertaConfig, RobertaModel

        assert RobertaModel  # imported before there is a torchvision to find
        stub_torchvision()
        import timm
        from open_clip import hf_model
        from open_clip.coca_model import CoCa
        from open_clip.model import CLIP, CustomTextCLIP

        timm.create_model = tiny_trunk
        tiny = RobertaConfig(**ROBERTA_TEXT)
        hf_model.AutoConfig.from_pretrained = lambda name: tiny
        is_hf = "hf_model_name" in text
        document = dict(embed_dim=8, vision_cfg=vision, text_cfg=text) | config
        given = dict(document)
        if is_hf:
            given["text_cfg"] = text | {"hf_model_pretrained": False}
        custom = given.pop("custom_text", False) or is_hf
        make_one = CoCa if "multimodal_cfg" in given else CustomTextCLIP if custom else CLIP
        model = make_one(**given)
        model.document = document
        return model

    return make


def tiny_trunk(name: str, *, pretrained: bool = False, **options: Any) -> torch.nn.Module:
    """What `timm.create_model` makes, of the names that the tests know and timm does not."""
    from timm.models import convnext, eva, fastvit, vision_transformer

    maker, sizes = TRUNKS[name]
    modules = (vision_transformer, eva, convnext, fastvit)
    make = next(getattr(module, maker) for module in modules if hasattr(module, maker))
    model = make(**sizes | options)
    model.default_cfg = {"pool_size": (1, 1)}
    return model


def _clip_images(model, x):
    return torch.nn.functional.normalize(model.get_image_features(x).pooler_output)


def _clip_texts(model, ids, mask):
    return torch.nn.functional.normalize(model.get_text_features(ids).pooler_output)


def _masked_texts(model, ids, mask):
    found = model.get_text_features(ids, attention_mask=mask).pooler_output
    return torch.nn.functional.normalize(found)


def _larger(model, x):
    found = model.get_image_features(x, interpolate_pos_encoding=True).pooler_output
    return torch.nn.functional.normalize(found)


def _mean(model, ids, mask):
    hidden = model.base_model(ids, attention_mask=mask).last_hidden_state
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def _pooler(model, ids, mask):
    return model.base_model(ids, attention_mask=mask).pooler_output


CLIP = {"image": _clip_images, "text": _clip_texts, "larger": _larger}


def _larger_open_clip(model, x):
    from open_clip.model import CLIP, resize_pos_embed

    vision = model.document["vision_cfg"] | {"image_size": LARGER}
    larger = CLIP(**model.document | {"vision_cfg": vision}).eval()
    weights = model.state_dict()
    resize_pos_embed(weights, larger)
    larger.load_state_dict(weights)
    return larger.encode_image(x, normalize=True)


OPEN_CLIP = {
    "image": lambda model, x: model.encode_image(x, normalize=True),
    "text": lambda model, ids, mask: model.encode_text(ids, normalize=True),
}
OPEN_TEXT = dict(context_length=LENGTH, vocab_size=VOCABULARY, width=8, heads=2, layers=1)
OPEN_VISION = dict(image_size=SIZE, layers=2, width=8, patch_size=8, head_width=4, mlp_ratio=2.0)
POSITION_IDS = {"vision_model.embeddings.position_ids": torch.arange(5)[None]}
CLIP_TEXT = TEXT | dict(vocab_size=VOCABULARY, max_position_embeddings=LENGTH)
OLD_NORM = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


def _old_names(name: str) -> str:
    for new, old in OLD_NORM.items():
        name = name.replace(new, old)
    return name


_TRUNK = dict(img_size=SIZE, patch_size=8, embed_dim=16, depth=1, num_heads=2)
_EVA_02 = dict(
    qkv_fused=False, mlp_ratio=1.5, swiglu_mlp=True, scale_mlp=True, scale_attn_inner=True,
    use_rot_pos_emb=True, ref_feat_shape=(3, 3),
)  # fmt: skip
_PE = dict(
    attn_type="rope", use_pre_transformer_norm=True, use_rot_pos_emb=True, ref_feat_shape=(3, 3),
    rope_grid_offset=1.0, rope_grid_indexing="xy", attn_pool_num_heads=4, attn_pool_mlp_ratio=2.0,
)  # fmt: skip


def _encoding(dim: int, **options: Any) -> torch.nn.Module:
    from timm.models.fastvit import RepConditionalPosEnc

    return RepConditionalPosEnc(dim, spatial_shape=(7, 7), **options)


def _layer_norm(dim: int, **options: Any) -> torch.nn.Module:
    from timm.layers import LayerNorm2d

    return LayerNorm2d(dim, eps=1e-5, **options)


def _nested(**options: Any) -> torch.nn.Module:
    from timm.layers import HybridEmbed
    from timm.models.vision_transformer_hybrid import ConvStem

    steps = (4, 2, 2)
    channels, gelu = (4, 4, 16), torch.nn.GELU
    stem = ConvStem(channels=channels, stride=steps, kernel_size=steps, padding=0, act_layer=gelu)
    return HybridEmbed(stem, proj=False, **options)


_FASTVIT = dict(
    layers=(1, 2, 1), embed_dims=(8, 16, 32), mlp_ratios=(1,) * 3, lkc_use_act=True,
    token_mixers=("repmixer",) * 2 + ("attention",), pos_embs=(None, None, _encoding),
    se_downsamples=(False, False, True),
)  # fmt: skip
_FASTVIT_2 = dict(
    layers=(1, 1), embed_dims=(8, 32), mlp_ratios=(1,) * 2, lkc_use_act=True,
    token_mixers=("repmixer", "attention"), pos_embs=(None, _encoding), norm_layer=_layer_norm,
    se_downsamples=(False,) * 2, downsamples=(False, True), stem_use_scale_branch=False,
)  # fmt: skip
# Class and sizes by name; the tests' `TIMM` has the same in our words.
TRUNKS: dict[str, tuple[str, dict[str, Any]]] = {
    "vit_mini_patch8_siglip_18": (
        "VisionTransformer", _TRUNK | dict(img_size=18, mlp_ratio=2.0, class_token=False)
    ),
    "vit_mini_patch8_clip_16": ("VisionTransformer", _TRUNK | dict(mlp_ratio=2.0, pre_norm=True)),
    "vit_mini_mci_32": (
        "VisionTransformer",
        _TRUNK
        | dict(img_size=32, patch_size=1, mlp_ratio=2.0, embed_layer=_nested, no_embed_class=True),
    ),
    "fastvit_mini": ("FastVit", _FASTVIT),
    "fastvit_mini_layer_norm": ("FastVit", _FASTVIT_2),
    "convnext_mini": ("ConvNeXt", dict(depths=(1, 1, 1, 2), dims=(8, 16, 16, 16))),
    "eva_mini_16": ("Eva", _TRUNK | dict(mlp_ratio=1.5)),
    "eva_mini_post_16": ("Eva", _TRUNK | dict(mlp_ratio=1.5, use_post_norm=True)),
    "eva02_mini_16": ("Eva", _TRUNK | _EVA_02),
    "vit_pe_mini_16": ("Eva", _TRUNK | _PE),
}  # fmt: skip


def _timm(name: str, pool: str, proj: str | None, size: int = SIZE) -> dict[str, Any]:
    made = dict(timm_model_name=name, timm_model_pretrained=False, timm_pool=pool, timm_proj=proj)
    return made | dict(image_size=size)


SIGLIP_TEXT = OPEN_TEXT | dict(
    hf_tokenizer_name="timm/ViT-B-16-SigLIP2", tokenizer_kwargs={"clean": "canonicalize"},
    no_causal_mask=True, proj_bias=True, pool_type="last", norm_kwargs={"eps": 1e-6},
    act_kwargs={"approximate": "tanh"},
)  # fmt: skip
CUSTOM = dict(custom_text=True)


def _timm_tiny(name: str, pool: str, proj: str | None, **more: Any) -> Tiny:
    """With CLIP's text tower."""
    size, fold = more.pop("size", SIZE), more.pop("fold", False)
    make = open_clip_model(_timm(name, pool, proj, size), OPEN_TEXT, **more)
    return Tiny(make, outputs=OPEN_CLIP, size=size, fold=fold)


TINY: dict[str, Tiny] = {
    "clip_quick_gelu_legacy_eos": Tiny(
        transformers_model(
            "CLIPModel",
            "CLIPConfig",
            text_config=CLIP_TEXT | dict(eos_token_id=2, num_hidden_layers=2),
            vision_config=VISION | dict(num_hidden_layers=2),
            projection_dim=8,
        ),
        outputs=CLIP,
        extra=POSITION_IDS,
    ),
    "clip_gelu_bfloat16": Tiny(
        transformers_model(
            "CLIPModel",
            "CLIPConfig",
            text_config=CLIP_TEXT | dict(eos_token_id=5, hidden_act="gelu"),
            vision_config=VISION | dict(hidden_act="gelu"),
            projection_dim=8,
        ),
        dtype=torch.bfloat16,
        outputs=CLIP,
        end=5,
    ),
    "siglip": Tiny(
        transformers_model(
            "SiglipModel", "SiglipConfig", text_config=CLIP_TEXT, vision_config=VISION
        ),
        outputs={"image": _clip_images, "text": _clip_texts, "larger": _larger},
    ),
    "vit_classifier": Tiny(
        transformers_model("ViTForImageClassification", "ViTConfig", num_labels=3, **VISION),
        outputs={"image": lambda model, x: model(x).logits},
    ),
    "vit_pooler": Tiny(
        transformers_model("ViTModel", "ViTConfig", **VISION),
        outputs={"image": lambda model, x: model(x).pooler_output},
    ),
    "bert_of_2018": Tiny(
        transformers_model(
            "BertForPreTraining",
            "BertConfig",
            vocab_size=VOCABULARY,
            max_position_embeddings=LENGTH,
            **TEXT,
        ),
        outputs={"text": _pooler},
        rename=_old_names,
        pad=0,
    ),
    "bert_mean": Tiny(
        transformers_model(
            "BertModel",
            "BertConfig",
            vocab_size=VOCABULARY,
            max_position_embeddings=LENGTH,
            **TEXT,
        ),
        outputs={"text": _mean},
        settings={"1_Pooling/config.json": {"pooling_mode_mean_tokens": True}},
        pad=0,
    ),
    "roberta": Tiny(
        transformers_model("RobertaForMaskedLM", "RobertaConfig", **ROBERTA_TEXT),
        outputs={"text": _mean},
    ),
    "xlm_roberta": Tiny(
        transformers_model("XLMRobertaModel", "XLMRobertaConfig", **ROBERTA_TEXT),
        outputs={"text": _pooler},
    ),
    "open_clip_vit": Tiny(
        open_clip_model(OPEN_VISION, OPEN_TEXT),
        outputs=OPEN_CLIP | {"larger": _larger_open_clip},
    ),
    "open_clip_resnet": Tiny(
        open_clip_model(
            dict(image_size=32, layers=[1, 1, 1, 1], width=2, patch_size=None, head_width=16),
            OPEN_TEXT,
            quick_gelu=True,
        ),
        outputs=OPEN_CLIP,
        size=32,
    ),
    "open_clip_roberta": Tiny(
        open_clip_model(
            OPEN_VISION | dict(layers=1),
            dict(hf_model_name="tiny", hf_pooler_type="mean_pooler", context_length=LENGTH),
        ),
        outputs=OPEN_CLIP,
    ),
}

TINY |= {
    "open_clip_siglip2": Tiny(
        open_clip_model(
            _timm("vit_mini_patch8_siglip_18", "map", "none", 18),
            SIGLIP_TEXT | dict(width=16),
            init_logit_bias=-10,
            custom_text=True,
            embed_dim=16,
        ),
        outputs=OPEN_CLIP,
        size=18,
    ),
    "open_clip_clipa": Tiny(
        open_clip_model(
            OPEN_VISION | dict(no_ln_pre=True, pool_type="avg", final_ln_after_pool=True),
            OPEN_TEXT
            | dict(
                hf_tokenizer_name="bert-base-uncased", tokenizer_kwargs={"strip_sep_token": True}
            )
            | dict(pool_type="last", no_causal_mask=True),
        ),
        outputs=OPEN_CLIP | {"larger": _larger_open_clip},
    ),
    "open_clip_metaclip2": Tiny(
        open_clip_model(
            OPEN_VISION,
            OPEN_TEXT | dict(hf_tokenizer_name="xlm-v-base", pool_type="eos", eos_id=5),
        ),
        outputs=OPEN_CLIP,
        end=5,
    ),
    "open_clip_coca": Tiny(
        open_clip_model(
            OPEN_VISION
            | dict(width=16, attentional_pool=True, attn_pooler_heads=2, attn_pooler_queries=3)
            | dict(output_tokens=True),
            OPEN_TEXT | dict(embed_cls=True, output_tokens=True),
            multimodal_cfg=OPEN_TEXT | dict(attn_pooler_heads=2),
            custom_text=True,
        ),
        outputs={
            "image": lambda model, x: model.encode_image(x),
            "text": lambda model, ids, mask: model.encode_text(ids),
        },
        pad=0,
    ),
    "open_clip_convnext": _timm_tiny("convnext_mini", "", "linear", size=32),
    "open_clip_convnext_mlp": _timm_tiny("convnext_mini", "", "mlp", size=32),
    "open_clip_timm_vit": _timm_tiny("vit_mini_patch8_clip_16", "token", None, **CUSTOM),
    "open_clip_eva01": _timm_tiny("eva_mini_16", "token", None, **CUSTOM),
    "open_clip_eva02": _timm_tiny("eva02_mini_16", "token", None, **CUSTOM),
    "open_clip_eva02_post": _timm_tiny("eva_mini_post_16", "token", None, **CUSTOM),
    "open_clip_pe": _timm_tiny("vit_pe_mini_16", "map", None, **CUSTOM),
    "open_clip_vit_mci": _timm_tiny("vit_mini_mci_32", "token", None, size=32, **CUSTOM),
    "open_clip_fastvit": _timm_tiny("fastvit_mini", "avg", None, size=32, **CUSTOM),
    "open_clip_fastvit_folded": _timm_tiny(
        "fastvit_mini", "avg", None, size=32, fold=True, **CUSTOM
    ),
    "open_clip_fastvit_layer_norm": _timm_tiny(
        "fastvit_mini_layer_norm", "avg", None, size=32, **CUSTOM
    ),
}


def encoder(name: str, config: str, size: int = SIZE, cut: int | None = None, **sizes: Any) -> Tiny:
    """An image encoder of `transformers`, shown squares of this size, cut out of larger ones."""
    sides = {"image_mean": MEAN, "image_std": STD, "resample": 3}
    sides["size"] = {"height": cut or size, "width": cut or size}
    sides["do_center_crop"] = bool(cut)
    if cut:
        sides["crop_size"] = {"height": size, "width": size}
    if name.startswith("ConvNext"):
        sides |= {"size": {"shortest_edge": size}, "crop_pct": 0.875}

    def features(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        out = model(x)
        for key in ("logits", "image_embeds", "pooler_output"):
            if getattr(out, key, None) is not None:
                return getattr(out, key)
        return out.last_hidden_state[:, 0]

    return Tiny(
        transformers_model(name, config, **sizes),
        outputs={"image": features},
        settings={"preprocessor_config.json": sides},
        size=size,
    )


MAPS = dict(hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], num_labels=3)
WINDOWS = dict(
    image_size=32, patch_size=4, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4,
    num_labels=3,
)  # fmt: skip
TINY |= {
    # Positions of 5 x 5 patches, for images of 2 x 2.
    "dinov2": encoder("Dinov2Model", "Dinov2Config", **VISION | dict(image_size=40)),
    "dinov2_gated": encoder("Dinov2Model", "Dinov2Config", **VISION, use_swiglu_ffn=True),
    "dinov2_registers": encoder(
        "Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", **VISION | dict(image_size=40)
    ),
    "dinov3": encoder("DINOv3ViTModel", "DINOv3ViTConfig", **VISION, num_register_tokens=2),
    "dinov3_gated": encoder(
        "DINOv3ViTModel", "DINOv3ViTConfig", **VISION, use_gated_mlp=True, hidden_act="silu"
    ),
    "vit_mae": encoder("ViTMAEModel", "ViTMAEConfig", **VISION, mask_ratio=0.0),
    "deit": encoder("DeiTForImageClassification", "DeiTConfig", cut=18, **VISION, num_labels=3),
    "convnext": encoder("ConvNextForImageClassification", "ConvNextConfig", size=32, **MAPS),
    "convnextv2": encoder("ConvNextV2Model", "ConvNextV2Config", size=32, **MAPS),
    "swin": encoder("SwinForImageClassification", "SwinConfig", size=32, **WINDOWS),
    "clip_vision": encoder(
        "CLIPVisionModelWithProjection", "CLIPVisionConfig", **VISION, projection_dim=4
    ),
    "siglip_vision": encoder("SiglipVisionModel", "SiglipVisionConfig", **VISION),
    "clip_text": Tiny(
        transformers_model("CLIPTextModel", "CLIPTextConfig", **CLIP_TEXT, eos_token_id=5),
        outputs={"text": lambda model, ids, mask: model(ids).pooler_output},
        end=5,
    ),
    "metaclip2": Tiny(
        transformers_model(
            "MetaClip2Model",
            "MetaClip2Config",
            text_config=CLIP_TEXT | dict(eos_token_id=2, hidden_act="gelu"),
            vision_config=VISION | dict(hidden_act="gelu"),
            projection_dim=8,
        ),
        outputs=CLIP,
        end=2,
    ),
    "chinese_clip": Tiny(
        transformers_model(
            "ChineseCLIPModel",
            "ChineseCLIPConfig",
            text_config=TEXT | dict(vocab_size=VOCABULARY, max_position_embeddings=LENGTH),
            vision_config=VISION,
            projection_dim=8,
        ),
        outputs={"image": _clip_images, "text": _masked_texts},
        pad=0,
    ),
}


def write(tiny: Tiny, folder: Path) -> None:
    """One fixture."""
    torch.manual_seed(0)
    model = scramble(tiny.make())
    if tiny.fold:
        from timm.utils import reparameterize_model

        model = reparameterize_model(model)
    model = model.to(tiny.dtype).float()
    folder.mkdir(parents=True)
    is_open_clip = hasattr(model, "document")
    row = CHECKPOINTS["clip-rn50" if is_open_clip else "clip-vit-large-patch14"]
    LAYOUTS["open_clip" if is_open_clip else "transformers"][1](model, row, folder)
    weights = next(folder.glob("*.safetensors"))
    tensors = {tiny.rename(key): value for key, value in load_file(weights).items()}
    kept = {k: v.to(tiny.dtype) if v.is_floating_point() else v for k, v in tensors.items()}
    decoder = [key for key in kept if key.startswith("text_decoder.")]  # nobody reads it
    for key in decoder[1:]:
        del kept[key]
    save_file({**kept, **tiny.extra}, weights)
    pixels = {"mean": MEAN, "std": STD}
    if is_open_clip:
        document = {"model_cfg": model.document, "preprocess_cfg": pixels}
        _write(folder / "open_clip_config.json", document)
    elif "image" in tiny.outputs:
        sides = {"image_mean": MEAN, "image_std": STD, "resample": 3}
        kind = str(model.config.model_type)
        square = {"height": tiny.size, "width": tiny.size}
        size = square if kind in ("siglip", "vit") else {"shortest_edge": tiny.size}
        _write(folder / "preprocessor_config.json", {**sides, "size": size})
    if "text" in tiny.outputs:
        write_tokenizer(row, folder, end_id=tiny.end, pad_id=tiny.pad)
    for path, document in tiny.settings.items():
        _write(folder / path, document)
    save_file(expected(model, tiny), folder / "expected.safetensors")


def expected(model: torch.nn.Module, tiny: Tiny) -> dict[str, torch.Tensor]:
    """Inputs and outputs of the reference."""
    rng = np.random.default_rng(0)
    found: dict[str, torch.Tensor] = {}
    for name, compute in tiny.outputs.items():
        if name == "text":
            ids = torch.from_numpy(rng.integers(6, END, (3, LENGTH)))
            for row, length in enumerate((LENGTH, 5, 3)):
                ids[row, length - 1] = tiny.end
                ids[row, length:] = tiny.pad
            inputs = (ids, (ids != tiny.pad).long())
            found["token_ids"] = ids.int()
        else:
            size = LARGER if name == "larger" else tiny.size
            count = 2 if name == "image" and "larger" in tiny.outputs else 1
            pixels = rng.integers(256, size=(count, size, size, 3), dtype="uint8")
            found[f"{name}_pixels"] = torch.from_numpy(pixels)
            x = (pixels / 255 - np.array(MEAN)) / np.array(STD)
            inputs = (torch.from_numpy(x.transpose(0, 3, 1, 2).astype("float32")),)
        with torch.inference_mode():
            found[name] = compute(model, *inputs).clone().contiguous()
    return found


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    for each in sys.argv[1:] or TINY:
        shutil.rmtree(FIXTURES / each, ignore_errors=True)
        write(TINY[each], FIXTURES / each)
    size = sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file())
    print(f"{len(TINY)} checkpoints, {size:,} bytes")
