"""Read KerasHub presets: `config.json`, `model.weights.h5`, tokenizer assets.

KerasHub reads its own files; this takes the sizes and the weights over into Duet's towers. Its BERT
computes GELU by the tanh approximation, so this does too.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from dual_encoder.checkpoints.activations import activation
from dual_encoder.checkpoints.catalog_entry import HALF, OPENAI_MEAN, OPENAI_STD
from dual_encoder.checkpoints.json_schemas import KERAS_HUB, read_json
from dual_encoder.checkpoints.keras_hub import image_encoders
from dual_encoder.checkpoints.keras_hub import weights as names
from dual_encoder.checkpoints.tokenizers import from_other_libraries
from dual_encoder.checkpoints.weights.position_embeddings import resized
from dual_encoder.checkpoints.weights.weight_mapping import fill, put_off
from dual_encoder.checkpoints.weights.weight_table_entries import Entry
from dual_encoder.model import DualEncoder
from dual_encoder.projection import siglip_heads
from dual_encoder.single_tower_models import ImageEncoder, TextEncoder
from dual_encoder.tokenizer import Tokenizer
from dual_encoder.towers.bert import Bert
from dual_encoder.towers.text_transformer import TextTransformer
from dual_encoder.towers.transformer import gelu_tanh
from dual_encoder.towers.vision_transformer import VisionTransformer
from dual_encoder.variable_names import named_variables
from duet import exception_summary

Config = Mapping[str, Any]

# Of sentence embedders, by the names that their tasks have for them.
ACTIVATIONS = {"gelu_approximate": gelu_tanh}

OWN_SIZES = "DINOV2Backbone"  # interpolates its positions itself

POOLINGS = {"mean": "mean", "cls": "first"}

# What an error adds where another layout has the weights.
INSTEAD = {
    "MetaCLIP2Backbone": "OpenCLIP's table has MetaCLIP 2: ViT-H-14-worldwide/metaclip2_worldwide, "
    "ViT-bigG-14-worldwide/metaclip2_worldwide and others"
}

# Numbers of places, and the pooler of texts that are pooled otherwise.
IGNORED = (
    *("*position_ids", "pooled_dense/*"),
    *("embeddings/mask_token", "embeddings/position_embeddings"),  # DINOv2's, in training
)


def is_preset(folder: Path) -> bool:
    """Whether the folder is one of KerasHub's."""
    try:
        return "registered_name" in read_json(folder, "config.json")
    except (OSError, ValueError):
        return False


def read(folder: Path, *, image_size: int | None = None) -> keras.Model:
    """The model of a preset's folder.

    Pixel statistics are those that KerasHub publishes its CLIP (OpenAI's) and ViT (0.5) with.

    Raises:
        FileNotFoundError: no weights in the folder.
        ValueError: another architecture, or weights that cannot be read.
    """
    kind = read_json(folder, "config.json", KERAS_HUB)["class_name"]
    check_kind(folder, kind)
    if not any(folder.glob("model*.weights.h5")):
        raise FileNotFoundError(f"{folder}: no weights here; expected model.weights.h5")
    build, entries = FAMILIES[kind]
    backbone = _backbone(folder, image_size=image_size if kind == OWN_SIZES else None)
    with put_off():
        model = build(backbone.get_config(), folder, image_size)
        if not model.built:
            model.build()
        fill(
            named_variables(model),
            entries(model),
            names.weights(backbone),
            source=str(folder),
            ignored=IGNORED,
            changed=resized(model, antialias=False),
        )
    return model


def check_kind(name: object, kind: str) -> None:
    """Raise ValueError for a preset, called `name` there, of a class that is not in `FAMILIES`."""
    if kind not in FAMILIES:
        instead = f"; {INSTEAD[kind]}" if kind in INSTEAD else ""
        raise ValueError(f"{name}: expected a preset of {', '.join(FAMILIES)}; got {kind}{instead}")


def _backbone(folder: Path, *, image_size: int | None) -> keras.Model:
    import keras_hub

    options = {} if image_size is None else {"image_shape": (image_size, image_size, 3)}
    try:
        return keras_hub.models.Backbone.from_preset(str(folder), **options)
    except Exception as error:  # of Keras, h5py, JSON: nothing in common
        reason = exception_summary.first_line(error)
        raise ValueError(f"{folder}: KerasHub cannot read this preset ({reason})") from error


def _clip(config: Config, folder: Path, image_size: int | None) -> DualEncoder:
    vision = config["vision_encoder"]["config"]
    text = config["text_encoder"]["config"]
    image_tower = VisionTransformer(
        image_size or vision["image_shape"][0],
        vision["patch_size"],
        pre_norm=True,
        mean=OPENAI_MEAN,
        std=OPENAI_STD,
        **_sizes(vision),
        name="image_tower",
    )
    context, vocabulary = text["max_sequence_length"], text["vocabulary_size"]
    text_tower = TextTransformer(
        vocabulary, context, end_id=vocabulary - 1, **_sizes(text), name="text_tower"
    )
    tokenizer = _tokenizer(folder, context, kind="CLIPTokenizer")
    embed_dim = config["projection_dim"]
    return DualEncoder(image_tower, text_tower, embed_dim=embed_dim, tokenizer=tokenizer)


def _siglip(config: Config, folder: Path, image_size: int | None) -> DualEncoder:
    """SigLIP 1 and 2: KerasHub takes punctuation out of the texts of both."""
    vision = config["vision_encoder"]["config"]
    text = config["text_encoder"]["config"]
    image_tower = VisionTransformer(
        image_size or vision["image_shape"][0],
        vision["patch_size"],
        pooling="attention",
        patch_bias=True,
        crop_to_patches=True,
        epsilon=vision["layer_norm_epsilon"],
        mean=HALF,
        std=HALF,
        resize="squash",
        **_sizes(vision),
        name="image_tower",
    )
    text_tower = TextTransformer(
        text["vocabulary_size"],
        text["max_sequence_length"],
        end_id=1,
        causal=False,
        pooling="last",
        epsilon=text["layer_norm_epsilon"],
        **_sizes(text),
        name="text_tower",
    )
    embed_dim, context = text["projection_dim"], text["max_sequence_length"]
    tokenizer = _tokenizer(folder, context, kind="SigLIPTokenizer", cleaning="siglip")
    if tokenizer is not None:
        tokenizer.cleaning = "siglip"  # of byte pairs too, unlike `transformers`
    return DualEncoder(
        image_tower,
        text_tower,
        **siglip_heads(embed_dim),
        tokenizer=tokenizer,
    )


def _vit(config: Config, folder: Path, image_size: int | None) -> ImageEncoder:
    patch = config["patch_size"]
    tower = VisionTransformer(
        image_size or config["image_shape"][0],
        patch if isinstance(patch, int) else patch[0],
        width=config["hidden_dim"],
        depth=config["num_layers"],
        heads=config["num_heads"],
        mlp_ratio=config["mlp_dim"] / config["hidden_dim"],
        patch_bias=True,
        epsilon=config["layer_norm_epsilon"],
        mean=HALF,
        std=HALF,
        resize="squash",
        interpolation="bilinear",
        name="image_tower",
    )
    return ImageEncoder(tower)


def _bert(config: Config, folder: Path, image_size: int | None) -> TextEncoder:
    roberta = "num_segments" not in config
    context = config["max_sequence_length"]
    tower = Bert(
        config["vocabulary_size"],
        context,
        pad_id=1 if roberta else 0,
        width=config["hidden_dim"],
        depth=config["num_layers"],
        heads=config["num_heads"],
        mlp_ratio=config["intermediate_dim"] / config["hidden_dim"],
        activation="gelu" if roberta else gelu_tanh,
        pooling=_pooling(folder) or ("mean" if roberta else "pooler"),
        segments=config.get("num_segments", 0),
        epsilon=1e-5 if roberta else 1e-12,
        dropout=config["dropout"],
        name="text_tower",
    )
    kind = "RobertaTokenizer" if roberta else "BertTokenizer"
    return TextEncoder(tower, tokenizer=_tokenizer(folder, context, kind=kind))


def _pooling(folder: Path) -> str | None:
    """Of a sentence embedder, as its task.json has it; None where there is no such task.

    Its last step, division by the length, is left to whoever compares the features.
    """
    if not (folder / "task.json").is_file():
        return None
    task = read_json(folder, "task.json")
    if not str(task.get("class_name")).endswith("TextEmbedder"):
        return None
    mode = task.get("config", {}).get("pooling_mode", "mean")
    if mode not in POOLINGS:
        raise ValueError(
            f"{folder}: expected pooling_mode {', '.join(POOLINGS)} in task.json; got {mode!r}"
        )
    return POOLINGS[mode]


def _sizes(config: Config) -> dict[str, Any]:
    """Of one of CLIP's towers."""
    return {
        "width": config["hidden_dim"],
        "depth": config["num_layers"],
        "heads": config["num_heads"],
        "mlp_ratio": config["intermediate_dim"] / config["hidden_dim"],
        "activation": ACTIVATIONS.get(name := config["intermediate_activation"])
        or activation(name),
    }


def _tokenizer(folder: Path, context_length: int, *, kind: str, **reading: Any) -> Tokenizer | None:
    """The preset's, of the class that its tokenizer.json names, else of `kind`; None without one.

    Raises ValueError for a class that cannot be taken over.
    """
    assets = folder / "assets" / "tokenizer"
    if not any((assets / name).is_file() for name in from_other_libraries.ASSETS):
        return None
    settings = read_json(folder, "tokenizer.json") if (folder / "tokenizer.json").is_file() else {}
    kind = settings.get("class_name", kind)
    if kind not in from_other_libraries.KINDS:
        raise ValueError(
            f"{folder}: expected a tokenizer of {', '.join(from_other_libraries.KINDS)} in "
            f"tokenizer.json; got {kind!r}"
        )
    options = settings.get("config", {})
    return from_other_libraries.of_assets(
        assets, kind, options=options, context_length=context_length, **reading
    )


Build = Callable[[Config, Path, int | None], keras.Model]

FAMILIES: Mapping[str, tuple[Build, Callable[[keras.Model], list[Entry]]]] = {
    "CLIPBackbone": (_clip, names.clip),
    "ViTBackbone": (_vit, names.vit),
    "SigLIPBackbone": (_siglip, names.siglip),
    "DeiTBackbone": (image_encoders.deit, image_encoders.deit_entries),
    "DINOV2Backbone": (image_encoders.dinov2, image_encoders.dinov2_entries),
    "BertBackbone": (_bert, names.bert),
    "RobertaBackbone": (_bert, names.bert),
    "XLMRobertaBackbone": (_bert, names.bert),
}
