"""Reference models of `transformers` and `open_clip`, random, in their published layouts."""

import importlib.machinery
import sys
import types
from pathlib import Path

import files
import numpy as np
import torch
from cases import CASES, ROBERTA, Config

from dual_encoder import CHECKPOINTS, Checkpoint

FILTERS = ("NEAREST", "BILINEAR", "BICUBIC", "LANCZOS", "HAMMING", "BOX")


def stub_torchvision() -> None:
    """`open_clip` and `timm` import torchvision for training images, which nothing here needs."""
    if "torchvision" in sys.modules:
        return
    parts = ("ops", "ops.misc", "transforms", "transforms.functional", "datasets", "models")
    parts += ("models.feature_extraction",)
    for name in ("torchvision", *(f"torchvision.{part}" for part in parts)):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__path__ = []
        module.__getattr__ = _anything
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)


def _anything(name: str) -> type:
    """A class for whatever is asked for; of enumerations any member is a text."""
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {member: member.lower() for member in FILTERS})


def scramble(model: torch.nn.Module, *, seed: int = 0) -> torch.nn.Module:
    """Biases, norms and running statistics that are not 0 and 1, so that each one counts."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("inv_freq"):  # a constant, which no file has
                continue
            zeros = ".grn." in name or name.endswith("distillation_token")
            if name.endswith("gamma") and tensor.ndim == 3:  # a hundred thousandth at first
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.5)
            elif "visual.trunk" in name and "running" in name:
                by = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(by - 0.5 if name.endswith("mean") else by + 0.5)
            elif zeros or (tensor.ndim == 1 and tensor.is_floating_point()):
                tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator))
            elif name.endswith("trunk.head.weight"):  # which timm makes a thousandth as large
                tensor.add_(0.2 * torch.rand(tensor.shape, generator=generator) - 0.1)
            elif name.endswith("proj") and tensor.ndim == 2:
                tensor.add_(0.01 * torch.rand(tensor.shape, generator=generator))
    return model.eval()


def build(name: str, folder: Path) -> "Reference":
    """The reference of a row of the table, at its real size, saved in `folder`."""
    row = CHECKPOINTS[name]
    torch.manual_seed(0)
    make, save = LAYOUTS[row.layout]
    model = scramble(make(CASES[name], row))
    save(model, row, folder)
    files.write_settings(CASES[name], row, folder)
    return Reference(model, row)


class Reference:
    """A reference model with one face for all: NumPy in, NumPy out."""

    def __init__(self, model: torch.nn.Module, row: Checkpoint):
        self.model, self.row = model, row

    def images(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels 0-255 [b, s, s, 3] -> unit embeddings, or the head's outputs."""
        mean, std = (np.array(each, "float32") for each in (self.row.mean, self.row.std))
        x = torch.from_numpy(((pixels / 255 - mean) / std).astype("float32").transpose(0, 3, 1, 2))
        with torch.inference_mode():
            if self.row.layout == "open_clip":
                found = self.model.encode_image(x, normalize=True)
            elif self.row.kind == "dual-encoder":
                found = torch.nn.functional.normalize(_pooled(self.model.get_image_features(x)))
            else:
                out = self.model(x)
                found = out.logits if hasattr(out, "logits") else out.pooler_output
        return found.numpy()

    def texts(self, token_ids: np.ndarray) -> np.ndarray:
        """Token ids [b, n] -> unit embeddings, or pooled features."""
        ids = torch.from_numpy(token_ids.astype("int64"))
        with torch.inference_mode():
            if self.row.kind == "dual-encoder":
                return self.unit_texts(ids).numpy()
            mask = (ids != self.model.config.pad_token_id).long()
            out = self.model(ids, attention_mask=mask)
            if self.row.pooling == "pooler":
                return out.pooler_output.numpy()
            mask = mask[..., None]
            return ((out.last_hidden_state * mask).sum(1) / mask.sum(1)).numpy()

    def unit_texts(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids [b, n] -> unit embeddings of a dual encoder, with what a gradient needs."""
        if self.row.layout == "open_clip":
            return self.model.encode_text(ids, normalize=True)
        return torch.nn.functional.normalize(_pooled(self.model.get_text_features(ids)))

    @property
    def parameters(self) -> int:
        """Their number, as PyTorch counts."""
        return sum(each.numel() for each in self.model.parameters())

    @property
    def scale_and_bias(self) -> tuple[float, float]:
        """Of the logits."""
        bias = getattr(self.model, "logit_bias", None)
        return float(self.model.logit_scale.exp()), 0.0 if bias is None else float(bias)

    def token_ids(self, count: int) -> np.ndarray:
        """Random ids as the tower takes them, of texts of several lengths."""
        row, rng = self.row, np.random.default_rng(1)
        vocabulary, pad, end = vocabulary_of(self.model, row)
        ids = np.full((count, row.context_length), pad, "int32")
        for i, length in enumerate(rng.integers(4, min(30, row.context_length), count)):
            ids[i, :length] = rng.integers(3, vocabulary - 3, length)
            ids[i, length - 1] = end
        return ids


def _pooled(found) -> torch.Tensor:
    return found if isinstance(found, torch.Tensor) else found.pooler_output


def vocabulary_of(model: torch.nn.Module, row: Checkpoint) -> tuple[int, int, int]:
    """Number of ids, padding and end."""
    if row.tokenizer == "CLIP byte pairs":
        return 49_408, 0, 49_407
    if row.layout == "open_clip":
        return model.text.config.vocab_size, 1, 2
    if row.kind == "dual-encoder":
        return model.config.text_config.vocab_size, 1, 1
    pad = model.config.pad_token_id
    return model.config.vocab_size, pad, 102 if pad == 0 else 2


def _open_clip(config: Config, row: Checkpoint) -> torch.nn.Module:
    from transformers import RobertaConfig, RobertaModel, XLMRobertaConfig, XLMRobertaModel

    assert RobertaModel and XLMRobertaModel  # imported before there is a torchvision to find
    stub_torchvision()
    from open_clip import hf_model
    from open_clip.model import CLIP, CustomTextCLIP

    configs = {
        "roberta-base": RobertaConfig(vocab_size=50_265, **ROBERTA),
        "xlm-roberta-base": XLMRobertaConfig(vocab_size=250_002, **ROBERTA),
    }
    # Without the hub: the two configurations that a model's name stands for.
    hf_model.AutoConfig = types.SimpleNamespace(from_pretrained=configs.__getitem__)
    if "hf_model_name" not in config["text_cfg"]:
        return CLIP(**config)
    text = config["text_cfg"] | {"hf_model_pretrained": False}
    return CustomTextCLIP(**config | {"text_cfg": text})


def _save_open_clip(model: torch.nn.Module, row: Checkpoint, folder: Path) -> None:
    from safetensors.torch import save_file

    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")


def _transformers(config: Config, row: Checkpoint) -> torch.nn.Module:
    import transformers

    transformers.logging.set_verbosity_error()
    model_class, config_class = CLASSES[config["model_type"]]
    if row.kind == "image-encoder" and "id2label" not in config:
        model_class = "ViTModel"
    made = getattr(transformers, config_class)(**config)
    options = {"add_pooling_layer": False} if row.pooling == "mean" else {}
    return getattr(transformers, model_class)(made, **options)


def _save_transformers(model: torch.nn.Module, row: Checkpoint, folder: Path) -> None:
    model.save_pretrained(folder)


CLASSES = {
    "clip": ("CLIPModel", "CLIPConfig"),
    "siglip": ("SiglipModel", "SiglipConfig"),
    "vit": ("ViTForImageClassification", "ViTConfig"),
    "bert": ("BertModel", "BertConfig"),
    "roberta": ("RobertaModel", "RobertaConfig"),
    "xlm-roberta": ("XLMRobertaModel", "XLMRobertaConfig"),
}
LAYOUTS = {
    "open_clip": (_open_clip, _save_open_clip),
    "transformers": (_transformers, _save_transformers),
}
