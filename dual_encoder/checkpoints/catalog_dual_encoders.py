"""The rows of published dual encoders: OpenAI's, LAION's, DataComp's, MetaCLIP's and SigLIP's.

Names and addresses are those of OpenCLIP's own table of pretrained tags
(`open_clip/pretrained.py`, open_clip_torch 3.3.0). OpenAI's weights are taken from where OpenCLIP
takes them, for its own repositories have most of them as files of torch alone. Zero-shot figures
are OpenCLIP's, measured by its authors with the prompt ensembles of the CLIP paper
(`docs/openclip_results.csv`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from dual_encoder.checkpoints.catalog_entry import HALF, OPENAI_MEAN, OPENAI_STD, Checkpoint

OPENCLIP_RESULTS = "open_clip, docs/openclip_results.csv at commit 89fb801"

SETS = [
    "imagenet",
    "imagenetv2",
    "caltech101",
    "cifar10",
    "cifar100",
    "dtd",
    "fgvc_aircraft",
    "food101",
]

SETS += ["oxford_flowers102", "oxford_iiit_pet", "stl10", "sun397", "eurosat", "stanford_cars"]


def _clip(
    repository: str,
    *,
    tag: str,
    figures: str = "",
    parameters: int,
    trained_on: str,
    **options: Any,
) -> Checkpoint:
    """A dual encoder of OpenCLIP's table; `figures` are percents, in the order of `SETS`."""
    percents = map(float, figures.split())
    defaults: dict[str, Any] = dict(
        layout="open_clip",
        licence="MIT",
        image_size=224,
        mean=OPENAI_MEAN,
        std=OPENAI_STD,
        resize="crop",
        interpolation="bicubic",
        embed_dim=512,
        context_length=77,
        tokenizer="CLIP byte pairs",
        pooling="end",
    )
    return Checkpoint(
        "dual-encoder",
        parameters,
        trained_on,
        repository=repository,
        tag=tag,
        zero_shot={
            name: round(value / 100, 4) for name, value in zip(SETS, percents, strict=False)
        },
        source=OPENCLIP_RESULTS if figures else "",
        **{**defaults, **options},
    )


# The same towers with other weights.
RN50 = partial(_clip, parameters=102_007_137, embed_dim=1024, activation="quick_gelu")

RN101 = partial(_clip, parameters=119_688_033, activation="quick_gelu")

VIT_B_32 = partial(_clip, parameters=151_277_313, patch_size=32)

VIT_B_16 = partial(_clip, parameters=149_620_737, patch_size=16)

VIT_L_14 = partial(_clip, parameters=427_616_513, patch_size=14, embed_dim=768)

OPENAI: dict[str, Any] = dict(
    trained_on="400 million pairs of the web (WIT)", activation="quick_gelu"
)

LAION_2B: dict[str, Any] = dict(trained_on="LAION-2B, English")

LAION_400M: dict[str, Any] = dict(trained_on="LAION-400M")

DATACOMP: dict[str, Any] = dict(trained_on="DataComp-1B")

METACLIP: dict[str, Any] = dict(
    trained_on="MetaCLIP, 2.5 billion pairs", activation="quick_gelu", licence="CC-BY-NC-4.0"
)

DUAL_ENCODERS: Mapping[str, Checkpoint] = {
    "clip-rn50": RN50(
        "timm/resnet50_clip.openai",
        revision="ec3d92cf63a5f9d591f0d611b736895966c73076",
        tag="RN50/openai",
        figures="59.82 52.84 83.29 71.57 40.30 41.54 17.03 80.80 65.22 85.29 94.19 59.94 40.81 "
        "54.53",
        **OPENAI | {"activation": "quick_gelu"},
    ),
    "clip-rn101": RN101(
        "timm/resnet101_clip.openai",
        tag="RN101/openai",
        figures="62.28 56.12 85.27 80.78 47.64 43.35 18.53 83.67 65.32 86.52 96.80 58.03 31.31 "
        "61.00",
        **OPENAI,
    ),
    "clip-vit-base-patch32": VIT_B_32(
        "timm/vit_base_patch32_clip_224.openai",
        revision="a6f597a30f7b82c51704746581f9a4e41421e878",
        tag="ViT-B-32/openai",
        figures="63.32 55.92 87.58 89.83 64.23 44.36 19.53 84.00 66.70 87.00 97.13 62.48 50.44 "
        "59.63",
        **OPENAI,
    ),
    "clip-vit-base-patch16": VIT_B_16(
        "timm/vit_base_patch16_clip_224.openai",
        revision="977e3dd0ec55ab8da155f2fbeb6b5f54948b6e3d",
        tag="ViT-B-16/openai",
        figures="68.34 61.88 89.01 90.77 66.95 44.95 24.21 88.72 69.07 88.86 98.25 64.35 55.94 "
        "64.77",
        **OPENAI,
    ),
    "clip-vit-large-patch14": VIT_L_14(
        "openai/clip-vit-large-patch14",
        layout="transformers",
        tag="ViT-L-14/openai",
        figures="75.54 69.83 92.49 95.59 75.82 55.37 31.81 93.05 79.23 93.23 99.36 67.56 62.63 "
        "77.88",
        **OPENAI,
    ),
    "clip-vit-large-patch14-336": VIT_L_14(
        "timm/vit_large_patch14_clip_336.openai",
        revision="81e38efc4637de5023b10e75a7f9bd1c6fa6b010",
        tag="ViT-L-14-336/openai",
        image_size=336,
        parameters=427_944_193,
        figures="76.56 70.89 92.25 94.93 74.36 55.59 33.46 93.86 78.52 93.69 99.43 68.65 61.44 "
        "79.32",
        **OPENAI,
    ),
    "clip-vit-base-patch32-laion2b": VIT_B_32(
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        tag="ViT-B-32/laion2b_s34b_b79k",
        figures="66.56 58.14 91.05 93.58 75.55 55.69 24.53 82.69 70.24 90.76 96.56 68.72 48.06 "
        "86.07",
        **LAION_2B,
    ),
    "clip-vit-base-patch32-laion400m": VIT_B_32(
        "timm/vit_base_patch32_clip_224.laion400m_e32",
        tag="ViT-B-32/laion400m_e32",
        activation="quick_gelu",
        figures="62.93 55.06 91.18 90.74 70.29 54.57 16.58 80.86 66.20 86.71 95.60 67.00 51.43 "
        "79.26",
        **LAION_400M,
    ),
    "clip-vit-base-patch32-metaclip": VIT_B_32(
        "timm/vit_base_patch32_clip_224.metaclip_2pt5b",
        tag="ViT-B-32/metaclip_fullcc",
        **METACLIP,
    ),
    "clip-vit-base-patch16-laion2b": VIT_B_16(
        "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
        tag="ViT-B-16/laion2b_s34b_b88k",
        figures="70.23 62.28 92.87 94.94 76.84 56.33 26.95 86.63 70.84 90.48 97.86 70.85 53.46 "
        "88.48",
        **LAION_2B,
    ),
    "clip-vit-base-patch16-laion400m": VIT_B_16(
        "timm/vit_base_patch16_clip_224.laion400m_e32",
        tag="ViT-B-16/laion400m_e32",
        figures="67.05 59.63 91.31 91.72 71.16 51.33 17.65 86.13 66.91 89.17 96.98 69.61 50.19 "
        "83.73",
        **LAION_400M,
    ),
    "clip-vit-base-patch16-datacomp": VIT_B_16(
        "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
        # refs/pr/2, where the hub's own bot wrote the .bin of main as safetensors.
        revision="05fa70d888b3dcddcaeb5906c71e35e736bc8d42",
        tag="ViT-B-16/datacomp_xl_s13b_b90k",
        **DATACOMP,
    ),
    "clip-vit-base-patch16-metaclip": VIT_B_16(
        "timm/vit_base_patch16_clip_224.metaclip_2pt5b",
        tag="ViT-B-16/metaclip_fullcc",
        **METACLIP,
    ),
    "clip-vit-large-patch14-laion2b": VIT_L_14(
        "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
        tag="ViT-L-14/laion2b_s32b_b82k",
        mean=HALF,
        std=HALF,
        **LAION_2B,
    ),
    "clip-vit-large-patch14-datacomp": VIT_L_14(
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        tag="ViT-L-14/datacomp_xl_s13b_b90k",
        **DATACOMP,
    ),
    "clip-vit-huge-patch14-laion2b": _clip(
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        tag="ViT-H-14/laion2b_s32b_b79k",
        parameters=986_109_441,
        patch_size=14,
        embed_dim=1024,
        **LAION_2B,
    ),
    "clip-roberta-vit-base-patch32": _clip(
        "laion/CLIP-ViT-B-32-roberta-base-laion2B-s12B-b32k",
        tag="roberta-ViT-B-32/laion2b_s12b_b32k",
        parameters=212_723_457,
        patch_size=32,
        activation="quick_gelu",  # as its configuration says
        tokenizer="RoBERTa byte pairs",
        pooling="mean",
        figures="61.71 53.31 90.39 93.25 75.05 59.20 17.25 78.12 58.93 86.70 95.64 66.27 52.15 "
        "83.15",
        **LAION_2B,
    ),
    "clip-xlm-roberta-vit-base-patch32": _clip(
        "laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k",
        tag="xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k",
        parameters=366_121_473,
        patch_size=32,
        tokenizer="XLM-R unigrams",
        pooling="mean",
        trained_on="LAION-5B",
        figures="62.36 54.25 90.79 93.66 76.54 60.37 26.92 80.10 62.35 86.90 96.68 67.85 60.06 "
        "85.56",
    ),
    "siglip-base-patch16-224": _clip(
        "google/siglip-base-patch16-224",
        layout="transformers",
        tag="ViT-B-16-SigLIP/webli",
        parameters=203_155_970,
        patch_size=16,
        embed_dim=768,
        context_length=64,
        mean=HALF,
        std=HALF,
        resize="squash",
        activation="gelu_tanh",
        tokenizer="T5 unigrams, lower case without punctuation",
        pooling="last",
        licence="Apache-2.0",
        trained_on="WebLI, English",
        figures="76.04 68.93 95.18 92.34 72.23 64.68 43.77 91.62 85.49 94.20 98.21 70.01 44.28 "
        "90.81",
    ),
}
