"""Write a model as a `transformers` checkpoint.

A model has a layout if `transformers` has its architecture exactly. Nothing is rounded or left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from dual_encoder.checkpoints.activations import activation_name
from dual_encoder.checkpoints.huggingface import weights as names
from dual_encoder.checkpoints.tokenizers.write import special_tokens
from dual_encoder.checkpoints.weights.weight_mapping import collect
from dual_encoder.checkpoints.weights.weight_table_entries import Entry
from dual_encoder.model import MAX_SCALE, DualEncoder
from dual_encoder.projection import ProjectionHead
from dual_encoder.single_tower_models import ImageEncoder, TextEncoder
from dual_encoder.tokenizer import Tokenizer
from dual_encoder.towers.bert import Bert
from dual_encoder.towers.text_transformer import TextTransformer
from dual_encoder.towers.vision_transformer import VisionTransformer
from dual_encoder.variable_names import named_variables

Facts = dict[str, Any]

CLIP_VISION: Facts = dict(stem="patch", pooling="token", pre_norm=True, patch_bias=False)

SIGLIP_VISION: Facts = dict(stem="patch", pooling="attention", pre_norm=False, patch_bias=True)

VIT: Facts = dict(stem="patch", pooling="token", pre_norm=False, patch_bias=True)

CLIP_TEXT: Facts = dict(causal=True, pooling="end")

SIGLIP_TEXT: Facts = dict(causal=False, pooling="last")

DENSE: Facts = dict(use_bias=True, activation=keras.activations.linear)

BERTS = {"bert": "BertModel", "roberta": "RobertaModel", "xlm-roberta": "XLMRobertaModel"}

POOLING_MODES = {"mean": "pooling_mode_mean_tokens", "first": "pooling_mode_cls_token"}


@dataclass(frozen=True)
class Layout:
    """What a folder in the layout of `transformers` has beside the tokenizer.

    Attributes:
        config: of config.json.
        entries: the table of weight names.
        documents: other JSON files by name.
        constants: tensors that the architecture has and the model does without.
    """

    config: Facts
    entries: list[Entry]
    documents: Mapping[str, Facts] = field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)

    def tensors(self, model: keras.Model) -> dict[str, np.ndarray]:
        """The weights in float32, by their names in model.safetensors.

        Raises:
            NoLayout: the model has weights of its own beside these.
        """
        variables = named_variables(model)
        extra = sorted(set(variables) - {entry.variable for entry in self.entries})
        if extra:
            refuse(self.config["architectures"][0], [f"a weight {extra[0]} that this has not"])
        found = {**collect(variables, self.entries), **self.constants}
        if getattr(model, "loss_name", None) == "contrastive":  # theirs has no upper bound
            found["logit_scale"] = np.minimum(found["logit_scale"], np.log(MAX_SCALE))
        return {name: np.asarray(each, "float32") for name, each in found.items()}


def layout_of(model: keras.Model) -> Layout:
    """The layout of a `DualEncoder`, `ImageEncoder` or `TextEncoder`.

    Raises:
        NoLayout: `transformers` has no such architecture; says what is different.
    """
    if isinstance(model, DualEncoder):
        attends = getattr(model.image_tower, "pooling", None) == "attention"
        return _siglip(model) if attends else _clip(model)
    if isinstance(model, ImageEncoder):
        return _vit(model)
    if isinstance(model, TextEncoder):
        return _bert(model)
    kind = type(model).__name__
    raise NoLayout(f"expected a DualEncoder, an ImageEncoder or a TextEncoder; got a {kind}")


def _clip(model: DualEncoder) -> Layout:
    image: Any = model.image_tower
    text: Any = model.text_tower
    heads: tuple[Any, ...] = (model.image_projection, model.text_projection)
    found = [
        *differences("image_tower", image, VisionTransformer, CLIP_VISION),
        *differences("text_tower", text, TextTransformer, CLIP_TEXT),
        *differences("image_projection", heads[0], ProjectionHead, {"depth": 0}),
        *differences("text_projection", heads[1], ProjectionHead, {"depth": 0}),
        *differences("the model", model, DualEncoder, {"loss_name": "contrastive"}),
        *differences("tokenizer", model.tokenizer, Tokenizer, {}),
    ]
    if getattr(text, "end_id", None) == 2 != text.vocabulary_size - 1:
        found.append(f"end_id 2, which stands for the highest id, {text.vocabulary_size - 1}")
    refuse("CLIPModel", found)
    embed_dim = heads[0].units
    config = {
        "model_type": "clip",
        "architectures": ["CLIPModel"],
        "projection_dim": embed_dim,
        "vision_config": _vision(image) | {"projection_dim": embed_dim},
        "text_config": _text(model) | {"projection_dim": embed_dim, "eos_token_id": text.end_id},
    }
    return Layout(config, names.clip(model), _pixels(image, squashing="ViTImageProcessor"))


def _siglip(model: DualEncoder) -> Layout:
    image: Any = model.image_tower
    text: Any = model.text_tower
    head: Any = model.text_projection
    found = [
        *differences("image_tower", image, VisionTransformer, SIGLIP_VISION),
        *differences("text_tower", text, TextTransformer, SIGLIP_TEXT),
        *differences("image_projection", model.image_projection, keras.layers.Identity, {}),
        *differences(
            "text_projection", head, keras.layers.Dense, {**DENSE, "units": image.output_dim}
        ),
        *differences("the model", model, DualEncoder, {"loss_name": "sigmoid"}),
        *differences("tokenizer", model.tokenizer, Tokenizer, {}),
    ]
    refuse("SiglipModel", found)
    config = {
        "model_type": "siglip",
        "architectures": ["SiglipModel"],
        "vision_config": _vision(image),
        "text_config": _text(model) | {"projection_size": head.units},
    }
    return Layout(config, names.siglip(model), _pixels(image, squashing="SiglipImageProcessor"))


def _vit(model: ImageEncoder) -> Layout:
    image: Any = model.image_tower
    head: Any = model.head
    found = differences("image_tower", image, VisionTransformer, VIT)
    is_pooler = getattr(head, "activation", None) is keras.activations.tanh
    facts = {**DENSE, "activation": keras.activations.tanh, "units": image.output_dim}
    if head is not None:
        found += differences("head", head, keras.layers.Dense, facts if is_pooler else DENSE)
    classifies = head is not None and not is_pooler
    architecture = "ViTForImageClassification" if classifies else "ViTModel"
    refuse(architecture, found)
    config = {"model_type": "vit", "architectures": [architecture], "qkv_bias": True}
    config |= _vision(image)
    if model.multi_label:
        config["problem_type"] = "multi_label_classification"
    if classifies and model.class_names is None:
        config["num_labels"] = head.units
    elif classifies:
        labels = dict(enumerate(model.class_names or []))
        config["id2label"] = {str(index): name for index, name in labels.items()}
        config["label2id"] = {name: index for index, name in labels.items()}
    theirs = {"vit.": None, "classifier.weight": None} if classifies else {}
    return Layout(config, names.vit(model, theirs), _pixels(image, squashing="ViTImageProcessor"))


def _bert(model: TextEncoder) -> Layout:
    tower: Any = model.text_tower
    found = differences("text_tower", tower, Bert, {})
    found += differences("tokenizer", model.tokenizer, Tokenizer, {})
    if not found and tower.first_position not in (0, tower.pad_id + 1):
        found = [f"first_position {tower.first_position}, this 0 or {tower.pad_id + 1}"]
    refuse("BertModel", found)
    kind = "bert"
    if tower.first_position:
        kind = "xlm-roberta" if '"Unigram"' in model.tokenizer.json else "roberta"
    config = {
        "model_type": kind,
        "architectures": [BERTS[kind]],
        "vocab_size": tower.vocabulary_size,
        "max_position_embeddings": tower.positions,
        "type_vocab_size": tower.segments or 1,
        "hidden_dropout_prob": tower.dropout_rate,
        **special_tokens(model.tokenizer).ids,
        "pad_token_id": tower.pad_id,
        **_sizes(tower),
    }
    documents, constants = {}, {}
    if tower.pooling in POOLING_MODES:
        width = {"word_embedding_dimension": tower.width}
        modes = {mode: pooling == tower.pooling for pooling, mode in POOLING_MODES.items()}
        documents["1_Pooling/config.json"] = {**width, **modes}
    entries = names.bert(model, {})
    if not tower.segments:
        (entry,) = (each for each in entries if each.variable.endswith("/segment_embedding"))
        entries.remove(entry)
        constants[entry.tensors[0]] = np.zeros((1, tower.width))
    return Layout(config, entries, documents, constants)


def _vision(tower: Any) -> Facts:
    return {**_sizes(tower), "image_size": tower.image_size, "patch_size": tower.patch_size}


def _text(model: DualEncoder) -> Facts:
    tower: Any = model.text_tower
    return {
        **_sizes(tower),
        "vocab_size": tower.vocabulary_size,
        "max_position_embeddings": tower.context_length,
        **special_tokens(model.tokenizer).ids,
    }


def _sizes(tower: Any) -> Facts:
    """What all transformers have, by their names."""
    try:
        hidden_act = activation_name(tower.activation)
    except ValueError as error:
        raise NoLayout(f"{error}; {INSTEAD}") from error
    return {
        "hidden_size": tower.width,
        "intermediate_size": round(tower.mlp_ratio * tower.width),
        "num_hidden_layers": tower.depth,
        "num_attention_heads": tower.heads,
        "hidden_act": hidden_act,
        "layer_norm_eps": tower.epsilon,
    }


def _pixels(tower: Any, *, squashing: str) -> Mapping[str, Facts]:
    """preprocessor_config.json; `squashing` is the processor of images that are not cropped."""
    side, shorter = int(tower.image_size / tower.crop_fraction), tower.resize == "crop"
    crops = shorter or side > tower.image_size
    square = {"height": tower.image_size, "width": tower.image_size}
    return {
        "preprocessor_config.json": {
            "image_processor_type": "CLIPImageProcessor" if crops else squashing,
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"shortest_edge": side} if shorter else {"height": side, "width": side},
            "resample": {"bilinear": 2, "bicubic": 3}[tower.interpolation],
            "do_center_crop": crops,
            **({"crop_size": square} if crops else {}),
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(tower.mean),
            "image_std": list(tower.std),
        }
    }


INSTEAD = 'model.save("x.keras") keeps any model'


class NoLayout(ValueError):
    """`transformers` has no architecture for the model."""


def differences(name: str, part: Any, kind: type, facts: dict[str, Any]) -> list[str]:
    """What a part of a model has that the architecture has not; not even a subclass will do."""
    if type(part) is not kind:
        return [f"{name} is a {type(part).__name__}, this has a {kind.__name__}"]
    return [
        f"{name} has {key} {_shown(getattr(part, key))}, this {_shown(expected)}"
        for key, expected in facts.items()
        if getattr(part, key) != expected
    ]


def refuse(architecture: str, found: list[str]) -> None:
    """Raise NoLayout where there are differences."""
    if found:
        raise NoLayout(
            f"transformers has no architecture for this model; {architecture} comes next, but "
            f"{'; '.join(found)}. {INSTEAD}"
        )


def _shown(value: Any) -> str:
    return getattr(value, "__name__", repr(value))
