"""The table of OpenCLIP's published weights, made of OpenCLIP's own configurations and results.

    python tests/parity/open_clip_tags.py openclip_results.csv

Writes dual_encoder/checkpoints/open_clip/tags.csv: a row for each of `open_clip.list_pretrained()`
with where the weights lie, what the model takes, whether Duet reads its configuration, and what
OpenCLIP's authors measured (docs/openclip_results.csv of their repository). A cell without a source
stays empty. Needs the extra `parity`.
"""

import csv
import inspect
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from files import write_tokenizer
from licences import licence
from reference import stub_torchvision
from transformers import RobertaConfig, RobertaModel, XLMRobertaConfig, XLMRobertaModel

from dual_encoder import CHECKPOINTS
from dual_encoder.checkpoints.open_clip import read, tags, text_towers, timm_sizes

assert RobertaModel and XLMRobertaModel  # imported before there is a torchvision to find
stub_torchvision()

from open_clip import get_model_config, hf_model, list_pretrained, pretrained  # noqa: E402
from open_clip.coca_model import CoCa  # noqa: E402
from open_clip.model import CLIP, CustomTextCLIP  # noqa: E402

BERT = dict(max_position_embeddings=514, type_vocab_size=1, pad_token_id=1)
LARGE = dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16)
TEXTS = {
    "roberta-base": RobertaConfig(vocab_size=50_265, **BERT),
    "xlm-roberta-base": XLMRobertaConfig(vocab_size=250_002, **BERT),
    "xlm-roberta-large": XLMRobertaConfig(
        vocab_size=250_002, **BERT, **LARGE, intermediate_size=4096
    ),
}
FIGURES = {"average": "Average perf. on 38 datasets", "imagenet": "ImageNet 1k"}


def parameters(config: dict[str, Any]) -> int | None:
    """Of the reference model, which takes no memory; None where its text model is not described."""
    config = json.loads(json.dumps(config))
    named = config["text_cfg"].get("hf_model_name")
    if named is not None and named not in TEXTS:
        return None
    hf_model.AutoConfig.from_pretrained = TEXTS.__getitem__
    config["text_cfg"]["hf_model_pretrained"] = False
    custom = config.pop("custom_text", False) or named is not None
    make = CoCa if "multimodal_cfg" in config else CustomTextCLIP if custom else CLIP
    if named is None:
        del config["text_cfg"]["hf_model_pretrained"]
    known = set(inspect.signature(make).parameters)
    with torch.device("meta"):
        model = make(**{key: value for key, value in config.items() if key in known})
    return sum(each.numel() for each in model.parameters())


def shorten() -> None:
    """One block in each named tower: whether it is known does not depend on how many there are."""
    named = (timm_sizes.SIGLIP, timm_sizes.PLAIN, timm_sizes.ROTARY, text_towers.HF_TEXT)
    for sizes in (each for table in named for each in table.values()):
        sizes["depth"] = 1
    for sizes in (*timm_sizes.CONVNEXT.values(), *timm_sizes.FASTVIT.values()):
        sizes["depths"] = (1,) * len(sizes["widths"])


def refusal(config: dict[str, Any]) -> str:
    """Why Duet does not read the configuration; nothing where it does."""
    config = json.loads(json.dumps(config))
    for part in ("vision_cfg", "text_cfg"):
        if isinstance(config[part].get("layers"), int):
            config[part]["layers"] = 1
    row = CHECKPOINTS["clip-rn50"]
    pixels = {"mean": row.mean, "std": row.std}
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(row, Path(folder))
        document = {"model_cfg": config, "preprocess_cfg": pixels}
        (Path(folder) / read.CONFIG).write_text(json.dumps(document))
        try:
            read.unbuilt(Path(folder))
        except ValueError as error:
            return str(error).removeprefix(f"{folder}: ").removeprefix(f"{read.CONFIG}: ")
    return ""


def other_name(model: str) -> str:
    """The same weights are listed with and without this ending, and measured under one of both."""
    ending = "-quickgelu"
    return model.removesuffix(ending) if model.endswith(ending) else model + ending


def main(results: Path) -> None:
    """Writes the table and says how many of its rows Duet loads."""
    with open(results, newline="", encoding="utf-8") as file:
        figures = {(row["name"], row["pretrained"]): row for row in csv.DictReader(file)}
    shorten()
    facts: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for model, tag in list_pretrained():
        config = get_model_config(model)
        if model not in facts:
            facts[model] = parameters(config), refusal(config)
        count, why = facts[model]
        settings = pretrained.get_pretrained_cfg(model, tag)
        measured = figures.get((model, tag)) or figures.get((other_name(model), tag), {})
        repository = settings["hf_hub"].rstrip("/")
        rows.append(
            {
                "model": model,
                "tag": tag,
                "repository": repository,
                "parameters": count,
                "image_size": config["vision_cfg"]["image_size"],
                "embed_dim": config["embed_dim"],
                "licence": licence(repository.removesuffix("/pytorch_model.bin")),
                "refusal": why,
                **{key: measured.get(column, "") for key, column in FIGURES.items()},
            }
        )
    with open(tags.FILE, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    loads = sum(not row["refusal"] for row in rows)
    print(
        f"{loads} of {len(rows)} tags load; {sum(bool(r['imagenet']) for r in rows)} have figures"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
