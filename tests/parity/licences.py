"""The licence of each of OpenCLIP's published weights, by their repository, and who says so."""

import re

TIMM = "the licence of the pretrained configuration in timm 1.0.31"
# LAION's cards come from that script, which writes MIT unless it is told otherwise; nine that were
# seen say so.
LAION = "open_clip 3.3.0's push_to_hf_hub.py, which made the cards"
CARD = "the card of the repository, or of its sister"

#: Pattern of a repository, licence, source. What no pattern fits is stated nowhere that was seen.
LICENCES = (
    (r"timm/(resnet|vit_).*\.openai", "MIT", "the repository openai/CLIP"),
    (r"timm/resnet.*\.(cc12m|yfcc15m)", "MIT", TIMM),
    (r"timm/vit_.*\.laion400m_e3[12]", "MIT", TIMM),
    (r"timm/vit_.*\.metaclip.*", "CC-BY-NC-4.0", TIMM),
    (r"timm/ViT-.*-SigLIP2?(-.*)?", "Apache-2.0", "the cards of google/siglip and siglip2"),
    (r"timm/PE-Core-.*", "Apache-2.0", TIMM),
    (r"timm/eva(02)?_.*", "MIT", TIMM),
    (r"(timm/MobileCLIP2|apple/MobileCLIP)-.*", "Apple-AMLR (research)", TIMM),
    (r"apple/DFN.*", "Apple-Sample-Code", CARD),
    (r"jienengchen/ViTamin-.*", "MIT", TIMM),
    (r"laion/(mscoco_finetuned_)?(CLIP|CoCa)-.*", "MIT", LAION),
    (r"visheratin/nllb-clip-.*", "CC-BY-NC-4.0", CARD),
)


def licence(repository: str) -> str:
    """Of the weights in a repository; nothing where no source is known."""
    for pattern, name, _ in LICENCES:
        if re.fullmatch(pattern, repository):
            return name
    return ""
