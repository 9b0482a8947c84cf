"""Read `transformers` checkpoints: `config.json`, `model.safetensors`, tokenizer.

Dual encoders (CLIP, SigLIP), image classifiers (ViT) and text encoders (BERT, RoBERTa, XLM-R). The
configuration gives the architecture; keys it leaves out have the values that `transformers`
documents for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from dual_encoder.checkpoints.huggingface import (
    defaults,
    dual_encoders,
    image_encoders,
    sentence_transformers,
)
from dual_encoder.checkpoints.huggingface import weights as names
from dual_encoder.checkpoints.huggingface.defaults import Config
from dual_encoder.checkpoints.huggingface.id2label import of_classifier
from dual_encoder.checkpoints.huggingface.tower_sizes import (
    part_of,
    transformer_sizes,
    vision_transformer,
)
from dual_encoder.checkpoints.json_schemas import CONFIG, read_json
from dual_encoder.checkpoints.tokenizers.read import longest_text, read_tokenizer
from dual_encoder.checkpoints.weights.position_embeddings import resized
from dual_encoder.checkpoints.weights.safetensors_mmap import Tensors
from dual_encoder.checkpoints.weights.weight_files import open_tensors
from dual_encoder.checkpoints.weights.weight_mapping import fill, put_off
from dual_encoder.checkpoints.weights.weight_table_entries import Entry
from dual_encoder.single_tower_models import ImageEncoder, TextEncoder
from dual_encoder.towers.bert import Bert
from dual_encoder.towers.text_transformer import TextTransformer
from dual_encoder.variable_names import named_variables


@dataclass(frozen=True)
class Family:
    """How checkpoints of one `model_type` are made into a model.

    Attributes:
        build: from configuration, folder, tensors and image size to a model without its weights.
        entries: from the model and the tensors to the table of weight names.
        ignored: patterns of tensors that this model has no use for.
        antialias: whether positions are interpolated so for images of another size.
    """

    build: Callable[..., keras.Model]
    entries: Callable[[keras.Model, Tensors], list[Entry]]
    ignored: tuple[str, ...] = ()
    antialias: bool = False


def read(folder: Path, *, image_size: int | None = None) -> keras.Model:
    """The model of a folder: a `DualEncoder`, an `ImageEncoder` or a `TextEncoder`.

    Raises:
        FileNotFoundError: a file of the layout is missing.
        ValueError: another architecture, or weights that do not match the configuration.
    """
    tensors = open_tensors(folder, "transformers", rename=names.modern)
    with put_off():
        family, model = build(folder, tensors, image_size=image_size)
        fill(
            named_variables(model),
            family.entries(model, tensors),
            tensors,
            source=str(folder),
            ignored=("*.position_ids", *family.ignored),
            changed=resized(model, antialias=family.antialias),
        )
    return model


def build(
    folder: Path, tensors: Tensors, *, image_size: int | None = None
) -> tuple[Family, keras.Model]:
    """The model of a folder's configuration, with the weights that it was initialised with."""
    config = read_json(folder, "config.json", CONFIG)
    if "model_type" not in config and "type_vocab_size" in config:  # BERT's of before 2020
        config["model_type"] = "bert"
    kind = str(config.get("model_type"))
    if kind not in FAMILIES:
        got = f"timm's {config['architecture']}" if "architecture" in config else repr(kind)
        raise ValueError(
            f"{folder}: expected a model_type of {', '.join(FAMILIES)} in config.json; got {got}"
        )
    _refuse_other_models(config, folder)
    if kind in ("clip", "metaclip_2", "siglip") and "classifier.weight" in tensors:
        raise ValueError(
            f"{folder}: expected weights of both towers of {kind}; got an image classifier "
            f"(architectures: {', '.join(map(str, config.get('architectures') or ['none']))})"
        )
    if config.get("quantization_config") is not None:
        raise ValueError(f"{folder}: expected weights as they are; got quantization_config")
    model = FAMILIES[kind].build(config, folder, tensors, image_size)
    if not model.built:
        model.build()
    return FAMILIES[kind], model


def _refuse_other_models(config: Config, folder: Path) -> None:
    """By settings of the model or of a part that Duet's towers have no place for."""
    for part in (config, *(part_of(config, name) for name in ("text_config", "vision_config"))):
        for key, value in defaults.ONLY.items():
            if (found := part.get(key)) not in (None, value):
                raise ValueError(f"{folder}: expected {key} {value} in config.json; got {found}")


def _clip_text(
    config: Config, folder: Path, tensors: Tensors, image_size: int | None
) -> TextEncoder:
    """CLIP's text tower by itself."""
    text = defaults.CLIP_TEXT | config
    _refuse_size(image_size)
    if "text_projection.weight" in tensors:
        raise ValueError(f"{folder}: expected CLIPTextModel; got one with a projection")
    context = text["max_position_embeddings"]
    length = longest_text(folder, most=context)
    tokenizer = read_tokenizer(folder, context_length=length)
    tower = TextTransformer(
        text["vocab_size"],
        context,
        end_id=dual_encoders.clip_end(text, folder, tokenizer),
        **transformer_sizes(text),
        name="text_tower",
    )
    return TextEncoder(tower, tokenizer=tokenizer)


def _vit(config: Config, folder: Path, tensors: Tensors, image_size: int | None) -> ImageEncoder:
    config = defaults.VIT | config
    tower = vision_transformer(config, folder, kind="vit", image_size=image_size, patch_bias=True)
    if "classifier.weight" in tensors:
        units, activate = tensors["classifier.weight"].shape[0], None
        about = of_classifier(folder, config, units)
    elif names.prefixed(tensors, "vit.", "pooler.dense.weight") in tensors:
        units, activate, about = config["hidden_size"], "tanh", {}
    else:
        return ImageEncoder(tower)
    head = keras.layers.Dense(units, activation=activate, name="head")
    return ImageEncoder(tower, head=head, **about)


def _bert(config: Config, folder: Path, tensors: Tensors, image_size: int | None) -> TextEncoder:
    roberta = config["model_type"] != "bert"
    config = BERTS[config["model_type"]] | config
    _refuse_size(image_size)
    pad_id, rows = config["pad_token_id"], config["max_position_embeddings"]
    if pad_id is None:
        raise ValueError(f"{folder}: expected a pad_token_id in config.json; got null")
    first = pad_id + 1 if roberta else 0
    texts = sentence_transformers.texts(folder, most=rows - first)
    tokenizer = read_tokenizer(folder, **texts)
    if roberta and tokenizer.pad_id != pad_id:
        # Positions are counted by the one, and rows end by the other.
        raise ValueError(
            f"{folder}: expected pad_token_id {tokenizer.pad_id} in config.json, as in its "
            f"tokenizer; got {pad_id}"
        )
    tower = Bert(
        config["vocab_size"],
        texts["context_length"],
        pad_id=tokenizer.pad_id,
        positions=rows,
        first_position=first,
        segments=config["type_vocab_size"],
        pooling=_text_pooling(folder, tensors),
        dropout=config["hidden_dropout_prob"],
        **transformer_sizes(config),
        name="text_tower",
    )
    return TextEncoder(tower, tokenizer=tokenizer)


BERTS: Mapping[str, Config] = {
    "bert": defaults.BERT,
    "roberta": defaults.ROBERTA,
    "xlm-roberta": defaults.XLM_ROBERTA,
}


def _text_pooling(folder: Path, tensors: Tensors) -> str:
    """What sentence-transformers wrote beside the model, else the pooler if there is one."""
    has_pooler = any(name.endswith("pooler.dense.weight") for name in tensors)
    return sentence_transformers.pooling(folder) or ("pooler" if has_pooler else "mean")


def _refuse_size(image_size: int | None) -> None:
    if image_size is not None:
        raise ValueError(f"image_size: a text encoder takes none; got {image_size}")


FAMILIES: Mapping[str, Family] = {
    "clip": Family(dual_encoders.clip, names.clip),
    "metaclip_2": Family(dual_encoders.clip, names.clip),
    "chinese_clip": Family(dual_encoders.chinese_clip, names.chinese_clip, ("*pooler.dense.*",)),
    "clip_text_model": Family(_clip_text, names.clip_text),
    "siglip": Family(dual_encoders.siglip, names.siglip),
    "vit": Family(_vit, names.vit),
    # The heads of pretraining tasks, and a pooler where the texts are pooled otherwise.
    "bert": Family(_bert, names.bert, ("cls.*", "*pooler.dense.*")),
    "roberta": Family(_bert, names.bert, ("lm_head.*", "*pooler.dense.*")),
    "xlm-roberta": Family(_bert, names.bert, ("lm_head.*", "*pooler.dense.*")),
    **{
        kind: Family(
            image_encoders.build,
            image_encoders.entries,
            ("*mask_token", "decoder.*", "embeddings.register_tokens"),
            antialias=kind in image_encoders.ANTIALIASED,
        )
        for kind in image_encoders.TOWERS
    },
}
