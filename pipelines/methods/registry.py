"""The table of all methods, in the order in which a comparison shows them.

A new method is a row here and what it calls; the commands take their choices from it.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from pipelines.methods import feature_methods, prompts, zero_shot_probe_tip_adapter
from pipelines.methods.method import Method

STOCK = "model-stock"  # averages the seeds of another row, after their runs

ZERO_SHOT_HEAD = {"method": "zero-shot-head"}

SUPERVISED = {"method": "full", "flip": True}

# What the rows of a kind have in common; a row says where it differs.
_on_features = partial(
    Method,
    by=("finetune", "prompt"),
    reads_names=True,
    rows_for_new_names=True,
    passes=0.1,
    takes_views=True,
)
_by_prompt = partial(
    Method, by=("prompt",), reads_names=True, rows_for_new_names=True, takes_views=True
)
_through_tower = partial(Method, by=("finetune",), rows_for_new_names=True)
_recipe = partial(Method, reads_names=True, rows_for_new_names=True)
_network = partial(Method, takes_several_labels=True)

# Options are the studies' where they have any; see the recipes.
_ROWS = (
    _by_prompt(
        "zero-shot",
        "class names alone",
        "CLIP, Radford et al. 2021, arXiv:2103.00020",
        by=("prompt", "finetune"),
        learns=False,
        draws=False,
        passes=0.0,
        takes_several_labels=True,
        fit=zero_shot_probe_tip_adapter.zero_shot,
        takes_views=False,
    ),
    _on_features(
        "chosen-words",
        "class names alone, in the prompts that fit images best",
        "prompt ensembles, Radford et al. 2021, arXiv:2103.00020, section 3.1.4",
        draws=False,
        fit=zero_shot_probe_tip_adapter.chosen_words,
        takes_views=False,
    ),
    _by_prompt(
        "transductive",
        "class names and the unlabelled images that are answered, which inform each other",
        "StatA, Zanella et al. 2025, arXiv:2501.03729",
        learns=False,
        draws=False,
        keeps_images=True,
        passes=0.0,
        fit=zero_shot_probe_tip_adapter.transductive,
        takes_views=False,
    ),
    _on_features(
        "linear-probe",
        "logistic regression on features computed once",
        "Radford et al. 2021, arXiv:2103.00020, section 3.2",
        draws=False,
        takes_several_labels=True,
        fit=zero_shot_probe_tip_adapter.linear_probe,
        reads_names=False,
    ),
    _on_features(
        "text-probe",
        "logistic regression that starts at the class names and is pulled back to them",
        "CLAP, Silva-Rodriguez et al. 2024, arXiv:2312.12730",
        draws=False,
        takes_several_labels=True,
        fit=feature_methods.text_probe,
    ),
    _on_features(
        "gaussian",
        "discriminant analysis beside the class names",
        "GDA, Wang et al. 2024, arXiv:2402.04087",
        draws=False,
        fit=feature_methods.method("gaussian"),
    ),
    _on_features(
        "blend",
        "the mean of text-probe and gaussian, each at its temperature",
        "CLAP, arXiv:2312.12730, and GDA, arXiv:2402.04087",
        draws=False,
        fit=feature_methods.method("blend"),
    ),
    _on_features(
        "cross-modal",
        "linear probe with the class names among its training samples",
        "Lin et al. 2023, arXiv:2301.06267",
        fit=feature_methods.method("cross-modal"),
    ),
    _on_features(
        "projection",
        "one matrix behind the image side, pulled to the identity; any name keeps its text",
        "ProLIP, Fahes et al. 2024, arXiv:2410.05270",
        draws=False,
        fit=feature_methods.method("projection"),
    ),
    _by_prompt(
        "proker",
        "kernel ridge regression beside the class names",
        "ProKeR, Bendou et al. 2025, arXiv:2501.11175",
        keeps_images=True,
        passes=0.0,
        fit=feature_methods.method("proker"),
    ),
    _by_prompt(
        "tip-adapter",
        "cache of few images, not trained",
        "Zhang et al. 2022, arXiv:2207.09519",
        keeps_images=True,
        passes=0.0,
        fit=zero_shot_probe_tip_adapter.tip_adapter,
    ),
    _by_prompt(
        "tip-adapter-f",
        "cache of few images, trained",
        "Zhang et al. 2022, arXiv:2207.09519",
        keeps_images=True,
        passes=0.0,
        fit=zero_shot_probe_tip_adapter.tip_adapter_f,
    ),
    _by_prompt(
        "coop",
        "learnt prompts, few images",
        "CoOp, Zhou et al. 2022, arXiv:2109.01134",
        passes=0.1,
        fit=prompts.coop,
    ),
    _by_prompt(
        "kgcoop",
        "learnt prompts that are held to the template's texts",
        "KgCoOp, Yao et al. 2023, arXiv:2303.13283",
        passes=0.1,
        fit=prompts.kgcoop,
    ),
    _by_prompt(
        "cocoop",
        "prompts learnt for each image",
        "CoCoOp, Zhou et al. 2022, arXiv:2203.05557",
        passes=0.5,
        fit=prompts.cocoop,
    ),
    _through_tower(
        "full",
        "every weight, with a fresh linear head",
        "Girshick et al. 2014, arXiv:1311.2524; of CLIP: FT-CLIP, Dong et al. 2022, "
        "arXiv:2212.06138",
        takes_several_labels=True,
        trains="all",
        head="linear",
    ),
    _through_tower(
        "frozen",
        "a linear head by gradient descent, the tower as it is, images augmented",
        "Donahue et al. 2014, arXiv:1310.1531",
        passes=0.4,
        takes_several_labels=True,
        trains="head",
        head="linear",
    ),
    _through_tower(
        "last-blocks",
        "the last blocks and a fresh linear head",
        "Yosinski et al. 2014, arXiv:1411.1792",
        passes=0.6,
        takes_several_labels=True,
        trains="last",
        head="linear",
    ),
    _through_tower(
        "lp-ft",
        "every weight, from the linear probe's head",
        "LP-FT, Kumar et al. 2022, arXiv:2202.10054",
        passes=1.1,
        trains="all",
        head="probe",
    ),
    _through_tower(
        "projection-ft",
        "every weight of the image side, from the row projection; the class names' embeddings stay "
        "as they are",
        "LP-FT, Kumar et al. 2022, arXiv:2202.10054; ProLIP, Fahes et al. 2024, arXiv:2410.05270",
        reads_names=True,
        passes=1.1,
        trains="image",
        head="projection",
    ),
    _through_tower(
        "zero-shot-head",
        "every weight of the image side by cross-entropy, from the zero-shot head",
        "WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903",
        reads_names=True,
        takes_several_labels=True,
        trains="all",
        head="zero-shot",
    ),
    _through_tower(
        "paint",
        "every weight of the image side by cross-entropy against the class names' embeddings, "
        "which stay as they are",
        "PAINT, Ilharco et al. 2022, arXiv:2208.05592",
        reads_names=True,
        takes_several_labels=True,
        trains="image",
        head="zero-shot",
    ),
    _through_tower(
        "flyp",
        "both towers by the contrastive loss against class prompts",
        "FLYP, Goyal et al. 2023, arXiv:2212.00638",
        reads_names=True,
        passes=1.6,
        trains="both",
        head="text",
        options={"weight_decay": 0.1},
    ),
    _through_tower(
        "lora",
        "low-rank changes of the blocks' matrices, and the head",
        "LoRA, Hu et al. 2022, arXiv:2106.09685",
        takes_several_labels=True,
        trains="lora",
        head="linear",
    ),
    _through_tower(
        "clip-lora",
        "low-rank changes of both towers' attention, the class names encoded in every step",
        "CLIP-LoRA, Zanella and Ben Ayed 2024, arXiv:2405.18541",
        reads_names=True,
        passes=1.6,
        trains="lora in both",
        head="class-texts",
        options={"learning_rate": 2e-4, "weight_decay": 0.01, "lora_rank": 2},
    ),
    _recipe(
        "fine-tune",
        "every weight at a constant rate, as in the Food-101 study",
        takes_several_labels=True,
        options={
            **ZERO_SHOT_HEAD,
            "schedule": "constant",
            "weight_decay": 0.05,
            "epsilon": 1e-6,
            "clip_norm": 0.0,
        },
    ),
    _recipe(
        "ft-clip",
        "from the zero-shot head, layer-wise rates, averaged weights",
        "Dong et al. 2022, arXiv:2212.06138",
        takes_several_labels=True,
        options={
            **ZERO_SHOT_HEAD,
            "layer_decay": 0.6,
            "ema": 0.999,
            "label_smoothing": 0.1,
            "flip": True,
        },
    ),
    _recipe(
        "flyp-captions",
        "flyp from the sentences of each class, in place of one template (--captions)",
        reads_captions=True,
        passes=1.6,
        options={"method": "flyp", "weight_decay": 0.1},
    ),
    _recipe(
        "wise-ft",
        "from the zero-shot head, then part of the way back",
        "Wortsman et al. 2022, arXiv:2109.01903",
        passes=2.5,
        options={**ZERO_SHOT_HEAD, "wise_ft": "choose", "weight_decay": 0.1},
    ),
    _recipe(
        STOCK,
        "the weights of a method's seeds, averaged as far as they agree",
        "Jang et al. 2024, arXiv:2403.19522",
        draws=False,
        passes=0.0,
        options={"method": "auto"},  # that of the runs
    ),
    _recipe(
        "auto",
        "the best row on cached features, or projection-ft and part of the way back, if better",
        passes=2.5,
        takes_views=True,  # for the rows on cached features that it tries
        takes_several_labels=True,
        options={"method": "auto"},
        reads_names=False,
    ),
    _network(
        "vit",
        "ViT-B/16, fine-tuned",
        network="vit-base-patch16-224",
        options={**SUPERVISED, "beta_2": 0.99, "epsilon": 1e-6},
        flops=32.2e9,
        image_size=224,
    ),
    _network(
        "resnet50",
        "ResNet50, fine-tuned, its head ten times as fast",
        network="resnet50",
        options={
            **SUPERVISED,
            "optimizer": "sgd",
            "learning_rate": 0.001,
            "head_multiplier": 10.0,
            "weight_decay": 0.0001,
        },
        flops=7.71e9,
        image_size=224,
    ),
    _network(
        "xception",
        "Xception, fine-tuned",
        network="xception",
        options=SUPERVISED,
        flops=16.7e9,
        image_size=299,
    ),
    _network(
        "efficientnet-b7",
        "EfficientNetB7, fine-tuned",
        network="efficientnet-b7",
        options=SUPERVISED,
        flops=75.5e9,
        image_size=600,
    ),
    _network(
        "from-scratch",
        "a small network from random weights",
        network="convnet-tiny",
        options={**SUPERVISED, "learning_rate": 0.002, "batch_size": 32},
        flops=30.1e6,
        image_size=64,
    ),
)

METHODS: Mapping[str, Method] = {row.name: row for row in _ROWS}


def taken_by(command: str) -> tuple[str, ...]:
    """The names that a command takes."""
    return tuple(name for name, row in METHODS.items() if command in row.by)


def keeps_start(method: str, options: Mapping[str, Any]) -> bool:
    """Whether runs of `finetune` with these options end with all weights of the model's image side
    trained from the same start, so that those of several seeds may be averaged."""
    row = METHODS[method]
    head = options.get("head") or row.head
    is_whole = row.trains in ("all", "image", "both") and head in ("zero-shot", "text")
    return is_whole and options.get("wise_ft") in (None, "no")
