"""Tiny checkpoints of every layout with the reference's outputs: the fixtures of the tests.

    python tests/parity/tiny.py     # writes tests/fixtures/pretrained/

Each folder holds what its layout publishes, and `expected.safetensors`: pixels and token ids, and
what `transformers` or `open_clip` makes of them. Needs the extra `parity`.
"""

import json
import shutil
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
        from open_clip import hf_model
        from open_clip.model import CLIP, CustomTextCLIP

        tiny = RobertaConfig(**ROBERTA_TEXT)
        hf_model.AutoConfig.from_pretrained = lambda name: tiny
        is_hf = "hf_model_name" in text
        document = dict(embed_dim=8, vision_cfg=vision, text_cfg=text) | config
        given = (
            document | {"text_cfg": text | {"hf_model_pretrained": False}} if is_hf else document
        )
        model = (CustomTextCLIP if is_hf else CLIP)(**given)
        model.document = document
        return model

    return make


def _clip_images(model, x):
    return torch.nn.functional.normalize(model.get_image_features(x).pooler_output)


def _clip_texts(model, ids, mask):
    return torch.nn.functional.normalize(model.get_text_features(ids).pooler_output)


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


def write(name: str, folder: Path) -> None:
    """One fixture."""
    torch.manual_seed(0)
    tiny = TINY[name]
    model = scramble(tiny.make()).to(tiny.dtype).float()
    folder.mkdir(parents=True)
    is_open_clip = hasattr(model, "document")
    row = CHECKPOINTS["clip-rn50" if is_open_clip else "clip-vit-large-patch14"]
    LAYOUTS["open_clip" if is_open_clip else "transformers"][1](model, row, folder)
    weights = next(folder.glob("*.safetensors"))
    tensors = {tiny.rename(key): value for key, value in load_file(weights).items()}
    kept = {k: v.to(tiny.dtype) if v.is_floating_point() else v for k, v in tensors.items()}
    save_file({**kept, **tiny.extra}, weights)
    pixels = {"mean": MEAN, "std": STD}
    if is_open_clip:
        document = {"model_cfg": model.document, "preprocess_cfg": pixels}
        _write(folder / "open_clip_config.json", document)
    elif "image" in tiny.outputs:
        sides = {"image_mean": MEAN, "image_std": STD, "resample": 3}
        size = {"shortest_edge": tiny.size}
        _write(folder / "preprocessor_config.json", {**sides, "size": size})
    if "text" in tiny.outputs:
        write_tokenizer(row, folder, end_id=tiny.end)
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
    shutil.rmtree(FIXTURES, ignore_errors=True)
    for each in TINY:
        write(each, FIXTURES / each)
    size = sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file())
    print(f"{len(TINY)} checkpoints, {size:,} bytes")
