"""The table of checkpoints: every name that `dual_encoder.load` takes.

Names and addresses of single towers are those of the documentation of `transformers`; a revision is
pinned where its hash is known.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from dual_encoder.checkpoints.catalog_dual_encoders import DUAL_ENCODERS
from dual_encoder.checkpoints.catalog_entry import HALF, Checkpoint

HERE = Path(__file__).parent

VIT = partial(
    Checkpoint,
    "image-encoder",
    licence="Apache-2.0",
    image_size=224,
    mean=HALF,
    std=HALF,
    resize="squash",
    interpolation="bilinear",
)

BERT = partial(
    Checkpoint,
    "text-encoder",
    licence="Apache-2.0",
    context_length=512,
    tokenizer="BERT word pieces",
    pooling="pooler",
)

CHECKPOINTS: Mapping[str, Checkpoint] = {
    "shapes-tiny": Checkpoint(
        "dual-encoder",
        655_137,
        "the captions of `shapes`, the miniature world (recipe shapes_tiny)",
        "Apache-2.0",
        layout="packed",
        file=HERE / "shapes-tiny.safetensors",
        image_size=64,
        patch_size=8,
        mean=HALF,
        std=HALF,
        resize="crop",
        interpolation="bicubic",
        embed_dim=128,
        context_length=32,
        tokenizer="byte pairs",
        pooling="end",
        zero_shot={"shapes": 0.988, "shapes-wild": 0.818},
        source="docs/results.md",
    ),
    **DUAL_ENCODERS,
    "vit-base-patch16-224": VIT(
        parameters=86_567_656,
        trained_on="ImageNet-21k, then ImageNet",
        repository="google/vit-base-patch16-224",
        patch_size=16,
        embed_dim=768,
    ),
    "vit-base-patch16-224-in21k": VIT(
        parameters=86_389_248,
        trained_on="ImageNet-21k",
        repository="google/vit-base-patch16-224-in21k",
        patch_size=16,
        embed_dim=768,
    ),
    "vit-base-patch32-224-in21k": VIT(
        parameters=88_045_824,
        trained_on="ImageNet-21k",
        repository="google/vit-base-patch32-224-in21k",
        patch_size=32,
        embed_dim=768,
    ),
    "vit-large-patch16-224": VIT(
        parameters=304_326_632,
        trained_on="ImageNet-21k, then ImageNet",
        repository="google/vit-large-patch16-224",
        patch_size=16,
        embed_dim=1024,
    ),
    "bert-base-uncased": BERT(
        parameters=109_482_240,
        trained_on="BooksCorpus and Wikipedia, English",
        repository="google-bert/bert-base-uncased",
        embed_dim=768,
    ),
    "bert-small-uncased": BERT(
        parameters=28_763_648,
        trained_on="BooksCorpus and Wikipedia, English",
        repository="google/bert_uncased_L-4_H-512_A-8",
        embed_dim=512,
    ),
    "roberta-base": BERT(
        parameters=124_055_040,
        trained_on="five corpora of 160 GB, English",
        repository="FacebookAI/roberta-base",
        licence="MIT",
        embed_dim=768,
        tokenizer="RoBERTa byte pairs",
        pooling="mean",
    ),
    "xlm-roberta-base": BERT(
        parameters=277_453_056,
        trained_on="CommonCrawl in 100 languages",
        repository="FacebookAI/xlm-roberta-base",
        licence="MIT",
        embed_dim=768,
        tokenizer="XLM-R unigrams",
        pooling="mean",
    ),
    "minilm-l6": BERT(
        parameters=22_565_376,
        trained_on="a billion pairs of sentences, English",
        repository="sentence-transformers/all-MiniLM-L6-v2",
        context_length=256,
        embed_dim=384,
        pooling="mean",
    ),
}
