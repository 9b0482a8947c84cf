"""The repositories of the table of checkpoints, made tiny: their files, and weights of their names.

What is known of the published ones is in hub_repositories.yaml.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tokenizers
import torch_archives
import yaml
from safetensors.numpy import save

from dual_encoder import CHECKPOINTS, Checkpoint
from dual_encoder.checkpoints.catalog_row_check import describe
from dual_encoder.checkpoints.huggingface import read as huggingface_read
from dual_encoder.checkpoints.open_clip import read as open_clip_read
from dual_encoder.checkpoints.open_clip import weights as open_clip_weights
from dual_encoder.checkpoints.tokenizers import legacy
from dual_encoder.checkpoints.weights.weight_mapping import collect
from dual_encoder.variable_names import named_variables

HERE = Path(__file__).parent
WORDS = HERE / "fixtures" / "tokenizers"
FACTS: Mapping[str, Any] = yaml.safe_load((HERE / "hub_repositories.yaml").read_text("utf-8"))
REPOSITORIES: Mapping[str, Any] = FACTS["repositories"]
FOREIGN = ("tf_model.h5", "flax_model.msgpack")  # nothing of ours
# Sizes of a tiny model, by the names that the configurations of each layout have for them.
TINY_TRANSFORMER = dict(
    hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
)
TINY_VIT = dict(width=8, layers=1, head_width=4, mlp_ratio=2.0)
TINY_RESNET = dict(width=2, layers=[1, 1, 1, 1])
TINY_TEXT = dict(width=8, heads=2, layers=1)
KINDS = {
    "CLIP byte pairs": "clip",
    "BERT word pieces": "bert",
    "RoBERTa byte pairs": "roberta",
    "XLM-R unigrams": "xlm_roberta",
    "T5 unigrams, lower case without punctuation": "siglip",
}


@dataclass(frozen=True)
class Published:
    """One tiny repository: its files, and the row of the table with the tiny model's sizes."""

    files: dict[str, bytes]
    row: Checkpoint
    sizes: dict[str, int]  # of the published weights, where they are known

    @property
    def revision(self) -> str:
        """The commit that the row pins, or the main branch."""
        return self.row.revision or "main"


def published(name: str, folder: Path) -> Published:
    """The repository of a row; `folder` is empty and gets its small files."""
    facts, row = REPOSITORIES[name], CHECKPOINTS[name]
    words = KINDS.get(str(row.tokenizer))
    settings = _settings(facts, row, words)
    for file, content in settings.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(content)
    tensors, model = _tensors(facts, row, folder)
    facts_of_model = describe(model)
    sizes = {key: facts_of_model[key] for key in ("parameters", "embed_dim")}
    files = settings | {
        file: _weights(file, tensors, legacy=facts.get("legacy", False), row=row)
        for file in facts["weights"]
    }
    known = {file: size for file, size in facts["weights"].items() if size}
    return Published(files, replace(row, **sizes), known)


def tiny_texts() -> dict[str, dict[str, Any]]:
    """OpenCLIP's table of the text models that it names, with tiny ones."""
    tiny = dict(width=8, depth=1, heads=2, segments=1, mlp_ratio=2)
    size = {name: _vocabulary_size(name.replace("-base", "").replace("-", "_")) for name in HF}
    return {name: tiny | {"vocabulary_size": size[name]} for name in HF}


HF = ("roberta-base", "xlm-roberta-base")


def _settings(facts: dict, row: Checkpoint, words: str | None) -> dict[str, bytes]:
    """All files but the weights."""
    texts = {"README.md": b"about", "modules.json": b"[]"}
    texts["sentence_bert_config.json"] = b'{"max_seq_length": 256, "do_lower_case": false}'
    texts["1_Pooling/config.json"] = b'{"pooling_mode_mean_tokens": true}'
    texts["special_tokens_map.json"] = b"{}"
    size = _vocabulary_size(words) if words else 0
    config = _shrunk(facts, row, size)
    if row.layout == "open_clip":
        texts["open_clip_config.json"] = _json(config)
        texts["config.json"] = _json({"architecture": "vit", "num_classes": 0})
        texts["preprocessor_config.json"] = b"{}"
    else:
        texts["config.json"] = _json(config)
        texts["preprocessor_config.json"] = _json(facts.get("preprocessor"))
    if words:
        texts |= _tokenizer(words)
    own = {file: texts.get(file, b"something else") for file in facts["files"]}
    return own


def _shrunk(facts: dict, row: Checkpoint, vocabulary: int) -> dict[str, Any]:
    """The text of a configuration with tiny layers and a small vocabulary."""
    config = json.loads(json.dumps(facts["config"]))
    if row.layout == "open_clip":
        model = config["model_cfg"]
        model["embed_dim"] = 8
        vision, text = model["vision_cfg"], model["text_cfg"]
        vision |= TINY_RESNET if isinstance(vision["layers"], list) else TINY_VIT
        if "hf_model_name" not in text:
            text |= TINY_TEXT | {"vocab_size": vocabulary}
        return config
    parts = [config[part] for part in ("vision_config", "text_config") if part in config]
    for part in parts or [config]:
        part |= TINY_TRANSFORMER
    for part in ("vision_config_dict", "text_config_dict"):
        if part in config:
            config[part] |= TINY_TRANSFORMER
    if "text_config_dict" in config:  # the default of what it leaves out is the whole vocabulary's
        config["text_config_dict"] |= {"vocab_size": vocabulary, "eos_token_id": 2}
    if "text_config" in config:
        config["text_config"]["vocab_size"] = vocabulary
    elif vocabulary:
        config["vocab_size"] = vocabulary
    if "projection_dim" in config:
        config["projection_dim"] = 8
    if "classes" in facts:
        config["id2label"] = {str(i): f"class {i}" for i in range(facts["classes"])}
    return config


def _tokenizer(words: str) -> dict[str, bytes]:
    """Every form in which a vocabulary is published."""
    folder = WORDS / words
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    if "tokenizer.json" not in files:
        make = legacy.word_pieces if "vocab.txt" in files else legacy.byte_pairs
        files["tokenizer.json"] = make(folder, {}).to_str().encode()
    padding = {"clip": "<|endoftext|>", "bert": "[PAD]"}.get(words, "<pad>")
    files.setdefault("tokenizer_config.json", _json({"pad_token": padding}))
    return files


def _vocabulary_size(words: str) -> int:
    made = tokenizers.Tokenizer.from_str(_tokenizer(words)["tokenizer.json"].decode())
    return made.get_vocab_size()


def _tensors(
    facts: dict, row: Checkpoint, folder: Path
) -> tuple[dict[str, np.ndarray], keras.Model]:
    """Random weights by their published names, with those that nothing needs, and their model."""
    if row.layout == "open_clip":
        model = open_clip_read.build(folder)
        entries = open_clip_weights.entries(model, {})
    else:
        named = {name: np.zeros(()) for name in facts.get("also", ())}
        if "classes" in facts:
            named["classifier.weight"] = np.zeros((facts["classes"], 8))
            named["vit.layernorm.weight"] = np.zeros(8)
        elif row.kind == "image-encoder" or row.pooling == "pooler":
            named["pooler.dense.weight"] = np.zeros((8, 8))
        family, model = huggingface_read.build(folder, named)
        entries = family.entries(model, named)
    found = collect(named_variables(model), entries)
    also = {name: np.zeros((2, 2), "float32") for name in facts.get("also", ())}
    return found | also, model


def _weights(file: str, tensors: dict[str, np.ndarray], *, legacy: bool, row: Checkpoint) -> bytes:
    """A file of weights; what is not of the row's layout has names that it does not know."""
    if file in FOREIGN:
        return b"of another framework"
    if row.layout == "open_clip" and not file.startswith("open_clip"):
        tensors = {f"vision_model.{name}": array for name, array in tensors.items()}
    if file.endswith(".safetensors"):
        return save({name: np.asarray(array, order="C") for name, array in tensors.items()})
    state = {name: torch_archives.tensor(array) for name, array in tensors.items()}
    return (torch_archives.legacy if legacy else torch_archives.archive)(state)


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()
