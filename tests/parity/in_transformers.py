"""Folders as `transformers` reads them: the outputs of each go beside it, into FOLDER.npz.

    python tests/parity/in_transformers.py PIXELS.npz TEXTS FOLDER ...

TEXTS are a list in JSON. A test runs it: PyTorch beside TensorFlow in one process takes much
memory. Needs the extra `parity`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

LENGTH = 12


def outputs(folder: Path, pixels: np.ndarray, texts: list[str]) -> dict[str, Any]:
    """Of pixels 0-255 [b, s, s, 3] and of texts, by the model and the processors of a folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    architecture = getattr(transformers, config["architectures"][0])
    model, loading = architecture.from_pretrained(folder, output_loading_info=True)
    model.eval().requires_grad_(False)
    missing = [key for key in loading["missing_keys"] if "pooler" not in key]
    unfit = missing or loading["unexpected_keys"] or loading["mismatched_keys"]
    assert not unfit, f"{folder}: {unfit}"
    found: dict[str, Any] = {}
    images, rows = None, {}
    if (folder / "preprocessor_config.json").is_file():
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        images = processor(list(pixels), return_tensors="pt")["pixel_values"]
    if (folder / "tokenizer.json").is_file():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        options = {"padding": "max_length", "max_length": LENGTH, "truncation": True}
        rows = dict(tokenizer(texts, **options, return_tensors="pt"))
        found["ids"] = rows["input_ids"]
    with torch.inference_mode():
        if hasattr(model, "logit_scale"):
            return found | _of_both(model, images, rows)
        return found | _of_one(model, images, rows)


def _of_both(model: Any, images: torch.Tensor, rows: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Of CLIP and SigLIP."""
    image, text = model.get_image_features(images), model.get_text_features(**rows)
    unit = torch.nn.functional.normalize
    found = {
        "image": unit(getattr(image, "pooler_output", image)),
        "text": unit(getattr(text, "pooler_output", text)),
        "scale": model.logit_scale.exp().squeeze(),
    }
    if hasattr(model, "logit_bias"):
        found["bias"] = model.logit_bias.squeeze()
    return found


def _of_one(model: Any, images: Any, rows: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Of ViT and BERT, in every way of pooling."""
    out = model(**rows) if rows else model(images)
    if "logits" in out:
        return {"logits": out.logits}
    states = out.last_hidden_state
    found = {"first": states[:, 0], "pooler": out.pooler_output}
    if rows:
        mask = rows["attention_mask"][..., None]
        found["mean"] = (states * mask).sum(1) / mask.sum(1)
    return found


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    given = np.load(sys.argv[1])["pixels"]
    for each in map(Path, sys.argv[3:]):
        np.savez(each.parent / f"{each.name}.npz", **outputs(each, given, json.loads(sys.argv[2])))
