"""OpenCLIP's other families at their real width: the library's outputs against ours.

    python tests/parity/open_clip_families.py              # one model of each family, two blocks
    python tests/parity/open_clip_families.py NAME ...     # models of open_clip's configurations
    python tests/parity/open_clip_families.py --whole NAME ...

Random weights in float32. Towers are cut to two blocks, one of four in ConvNeXt's stages, and large
vocabularies to CLIP's size, unless `--whole`. Needs the extra `parity`.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["DUET_CACHE"] = ""  # every model is read once

import numpy as np
import torch
from files import write_tokenizer
from reference import scramble, stub_torchvision
from transformers import RobertaModel

assert RobertaModel  # imported before there is a torchvision to find
stub_torchvision()

import timm  # noqa: E402
from open_clip import get_model_config  # noqa: E402
from open_clip.coca_model import CoCa  # noqa: E402
from open_clip.model import CLIP, CustomTextCLIP  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import dual_encoder  # noqa: E402
from dual_encoder.checkpoints.open_clip import timm_sizes  # noqa: E402

FAMILIES = (
    "ViT-B-16-SigLIP", "ViT-SO400M-14-SigLIP-384", "ViT-SO400M-16-SigLIP2-256", "ViT-L-14-CLIPA",
    "ViT-H-14-worldwide", "convnext_base", "convnext_large_d", "convnext_xxlarge", "coca_ViT-B-32",
    "EVA01-g-14", "EVA02-B-16", "EVA02-L-14-336", "EVA02-E-14", "PE-Core-B-16",
    "PE-Core-bigG-14-448", "MobileCLIP2-L-14", "MobileCLIP2-S0", "MobileCLIP2-B", "MobileCLIP2-S3",
)  # fmt: skip
BLOCKS, STAGES, VOCABULARY = 2, (1, 1, 2, 1), 49_408
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
TOLERANCE = 3e-6  # of embeddings


def cut_towers() -> None:
    """Timm's models and our tables of them with few blocks."""
    whole = timm.create_model

    def create(name: str, **options: Any) -> torch.nn.Module:
        few = {"depth": BLOCKS}
        if "convnext" in name:
            few = {"depths": STAGES}
        elif "fastvit" in name:
            few = {"layers": (1,) * len(timm_sizes.FASTVIT[name]["widths"])}
        return whole(name, **options | few)

    timm.create_model = create
    for table in (timm_sizes.SIGLIP, timm_sizes.PLAIN, timm_sizes.ROTARY):
        for sizes in table.values():
            sizes["depth"] = BLOCKS
    for sizes in timm_sizes.CONVNEXT.values():
        sizes["depths"] = STAGES
    for sizes in timm_sizes.FASTVIT.values():
        sizes["depths"] = (1,) * len(sizes["widths"])


def configuration(name: str, *, whole: bool) -> dict[str, Any]:
    """Of a model, cut unless whole."""
    config = json.loads(json.dumps(get_model_config(name)))
    if not whole:
        for part in ("vision_cfg", "text_cfg", "multimodal_cfg"):
            if isinstance(config.get(part, {}).get("layers"), int):
                config[part]["layers"] = BLOCKS
        sizes = config["text_cfg"]
        sizes["vocab_size"] = min(sizes["vocab_size"], VOCABULARY)
    return config


def compare(name: str, *, whole: bool) -> tuple[int, float, float, float, float]:
    """Parameters; largest differences of image and text embeddings, of logits, of two images."""
    config = configuration(name, whole=whole)
    options = {key: value for key, value in config.items() if key != "custom_text"}
    custom = CoCa if "multimodal_cfg" in config else CustomTextCLIP
    torch.manual_seed(0)
    theirs = scramble((custom if config.get("custom_text") else CLIP)(**options))
    pixels, ids = inputs(config)
    x = ((pixels / 255 - np.array(MEAN)) / np.array(STD)).astype("float32").transpose(0, 3, 1, 2)
    settle(theirs, torch.from_numpy(x))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        document = {"model_cfg": config, "preprocess_cfg": {"mean": MEAN, "std": STD}}
        (folder / "open_clip_config.json").write_text(json.dumps(document))
        write_tokenizer(dual_encoder.CHECKPOINTS["clip-rn50"], folder)
        tensors = {key: value.contiguous() for key, value in theirs.state_dict().items()}
        save_file(tensors, folder / "open_clip_model.safetensors")
        ours = dual_encoder.load(folder)
    with torch.inference_mode():
        images = theirs.encode_image(torch.from_numpy(x), normalize=True).numpy()
        texts = theirs.encode_text(torch.from_numpy(ids.astype("int64")), normalize=True).numpy()
    count = sum(each.numel() for each in theirs.parameters())
    pairs = (np.array(ours.encode_image(pixels)), images), (np.array(ours.encode_text(ids)), texts)
    scale, (mine, our_texts) = float(theirs.logit_scale.exp()), (each for each, _ in pairs)
    logits = np.array(ours.logit_scale) * mine @ our_texts.T, scale * images @ texts.T
    together = *pairs, logits, tuple(images)
    return count, *(float(np.abs(mine - wanted).max()) for mine, wanted in together)


def settle(model: torch.nn.Module, x: torch.Tensor) -> None:
    """Give batch norms the statistics of these images, as training does.

    With others, what a deep network makes of an image depends little on the image.
    """
    norms = [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches, here of one
    if norms:
        model.train()
        with torch.no_grad():
            model.encode_image(x)
        model.eval()


def inputs(config: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Two images of colour patches and noise, and two texts of which one fills its row."""
    rng, text = np.random.default_rng(0), config["text_cfg"]
    size, length = config["vision_cfg"]["image_size"], text["context_length"]
    places = np.arange(size) * 8 // size
    patches = rng.integers(200, size=(2, 8, 8, 3), dtype="uint8")[:, places][:, :, places]
    pixels = patches + rng.integers(56, size=patches.shape, dtype="uint8")
    ids = np.zeros((2, length), "int32")
    end = text["eos_id"] if text.get("pool_type") == "eos" else text["vocab_size"] - 1
    for row, tokens in zip(ids, (7, length), strict=True):
        row[:tokens] = rng.integers(5, text["vocab_size"] - 3, tokens)
        row[tokens - 1] = end
    return pixels, ids


def main(names: list[str], *, whole: bool) -> int:
    """Prints the table; the number of models that differ."""
    if not whole:
        cut_towers()
    wrong = 0
    for name in names:
        count, image, text, logits, apart = compare(name, whole=whole)
        differs = max(image, text) > TOLERANCE
        wrong += differs
        verdict = "DIFFERS" if differs else "ok"
        cells = f"{image:9.1e} {text:9.1e} {logits:9.1e} {apart:9.1e}"
        print(f"{name:<30} {count:>13,} {cells} {verdict}", flush=True)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=FAMILIES)
    parser.add_argument("--whole", action="store_true")
    arguments = parser.parse_args()
    sys.exit(min(main(list(arguments.names), whole=arguments.whole), 1))
