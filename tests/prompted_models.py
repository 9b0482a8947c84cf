"""Tiny dual encoders with every kind of text tower, and with tokenizers that tell words apart."""

import json

import keras
import tokenizers
from tiny_models import FIXTURES, SIZES, clip, scrambled, tokenizer, vision
from tiny_sizes import name_tiny_towers

import dual_encoder
from dual_encoder import Bert, DualEncoder, TextTransformer, Tokenizer

PRETRAINED = FIXTURES.parent / "pretrained"
LENGTH = 32


def of_bert(kind, **options):
    words = tokenizer(kind, LENGTH)
    first = 0 if kind == "bert" else words.pad_id + 1
    own = {**SIZES, "first_position": first, "positions": LENGTH + first, **options}
    tower = Bert(words.vocabulary_size, LENGTH, pad_id=words.pad_id, **own)
    return DualEncoder(vision(), tower, embed_dim=6, tokenizer=words)


def of_siglip():
    words = tokenizer("siglip", LENGTH, cleaning="siglip")
    tower = TextTransformer(
        words.vocabulary_size, LENGTH, end_id=1, causal=False, pooling="last", **SIZES
    )
    return DualEncoder(vision(), tower, embed_dim=6, tokenizer=words, loss_name="sigmoid")


FAMILIES = {
    "clip": lambda: clip(tokenizer("clip", LENGTH, cleaning="openai")),
    "siglip": of_siglip,
    "bert": lambda: of_bert("bert", pooling="first"),
    "roberta": lambda: of_bert("roberta", segments=1, pooling="mean"),
    "xlm_roberta": lambda: of_bert("xlm_roberta", segments=1, pooling="mean", epsilon=1e-5),
}
LAYOUTS = sorted(
    path.name
    for path in PRETRAINED.iterdir()
    if (path / "open_clip_config.json").exists()
    or "text_config" in json.loads((path / "config.json").read_text())
)


def model_of(family):
    """A tiny dual encoder with random weights."""
    keras.utils.set_random_seed(0)
    return scrambled(FAMILIES[family]())


def loaded(layout, monkeypatch):
    """A fixture of `tests/parity/tiny.py`, with a tokenizer of the few ids that it has."""
    name_tiny_towers(monkeypatch)
    model = dual_encoder.load(PRETRAINED / layout)
    tower = model.text_tower
    end = getattr(tower, "end_id", 2)
    pad = getattr(tower, "pad_id", model.tokenizer.pad_id)
    free = [i for i in range(20) if i not in (end, pad)]
    names = ["<unknown>", "a", "photo", "of", "cat", "dog", "red", ".", "zq"]
    words = dict(zip(names, free, strict=False)) | {"<end>": end, "<pad>": pad}
    learned = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unknown>"))
    learned.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    learned.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", end)]
    )
    model.tokenizer = Tokenizer(
        learned.to_str(),
        context_length=model.context_length,
        pad_id=pad,
        end_id=end,
        pad_to_context=not tower.trims_exactly,
    )
    return model
