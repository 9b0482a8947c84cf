"""All ways to adapt a model. One table, in the order in which a comparison shows its rows.

A new method is a row here and what it calls; the commands take their choices from it.
"""

from collections.abc import Mapping

from pipelines.methods import cached, prompts
from pipelines.methods.method import Method

ZERO_SHOT_HEAD = {"method": "zero-shot-head"}

SUPERVISED = {"method": "full", "flip": True}

# Options are the studies' where they have any; see the recipes.
_ROWS = (
    Method(
        "zero-shot",
        "class names alone",
        "CLIP, Radford et al. 2021, arXiv:2103.00020",
        by=("prompt",),
        learns=False,
        draws=False,
        reads_names=True,
        rows_for_new_names=True,
        passes=0.0,
        fit=cached.zero_shot,
    ),
    Method(
        "linear-probe",
        "logistic regression on features computed once",
        "Radford et al. 2021, arXiv:2103.00020, section 3.2",
        by=("finetune", "prompt"),
        draws=False,
        rows_for_new_names=True,
        passes=0.1,
        fit=cached.linear_probe,
    ),
    Method(
        "tip-adapter",
        "cache of few images, not trained",
        "Zhang et al. 2022, arXiv:2207.09519",
        by=("prompt",),
        reads_names=True,
        rows_for_new_names=True,
        keeps_images=True,
        passes=0.0,
        fit=cached.tip_adapter,
    ),
    Method(
        "tip-adapter-f",
        "cache of few images, trained",
        "Zhang et al. 2022, arXiv:2207.09519",
        by=("prompt",),
        reads_names=True,
        rows_for_new_names=True,
        keeps_images=True,
        passes=0.0,
        fit=cached.tip_adapter_f,
    ),
    Method(
        "coop",
        "learnt prompts, few images",
        "CoOp, Zhou et al. 2022, arXiv:2109.01134",
        by=("prompt",),
        reads_names=True,
        rows_for_new_names=True,
        passes=0.1,
        fit=prompts.coop,
    ),
    Method(
        "cocoop",
        "prompts learnt for each image",
        "CoCoOp, Zhou et al. 2022, arXiv:2203.05557",
        by=("prompt",),
        reads_names=True,
        rows_for_new_names=True,
        passes=0.5,
        fit=prompts.cocoop,
    ),
    Method(
        "full",
        "every weight, with a fresh linear head",
        "Girshick et al. 2014, arXiv:1311.2524; of CLIP: FT-CLIP, Dong et al. 2022, "
        "arXiv:2212.06138",
        by=("finetune",),
        trains="all",
        head="linear",
    ),
    Method(
        "frozen",
        "a linear head by gradient descent, the tower as it is, images augmented",
        "Donahue et al. 2014, arXiv:1310.1531",
        by=("finetune",),
        passes=0.4,
        trains="head",
        head="linear",
    ),
    Method(
        "last-blocks",
        "the last blocks and a fresh linear head",
        "Yosinski et al. 2014, arXiv:1411.1792",
        by=("finetune",),
        passes=0.6,
        trains="last",
        head="linear",
    ),
    Method(
        "lp-ft",
        "every weight, from the linear probe's head",
        "LP-FT, Kumar et al. 2022, arXiv:2202.10054",
        by=("finetune",),
        passes=1.1,
        trains="all",
        head="probe",
    ),
    Method(
        "zero-shot-head",
        "every weight of the image side by cross-entropy, from the zero-shot head",
        "WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903",
        by=("finetune",),
        reads_names=True,
        rows_for_new_names=True,
        trains="all",
        head="zero-shot",
    ),
    Method(
        "paint",
        "every weight of the image side by cross-entropy against the class names' embeddings, "
        "which stay as they are; batch normalisation too",
        "PAINT, Ilharco et al. 2022, arXiv:2208.05592",
        by=("finetune",),
        reads_names=True,
        rows_for_new_names=True,
        trains="image",
        head="zero-shot",
    ),
    Method(
        "flyp",
        "both towers by the contrastive loss against class prompts",
        "FLYP, Goyal et al. 2023, arXiv:2212.00638",
        by=("finetune",),
        reads_names=True,
        rows_for_new_names=True,
        passes=1.6,
        trains="both",
        head="text",
        options={"weight_decay": 0.1},
    ),
    Method(
        "lora",
        "low-rank changes of the blocks' matrices, and the head",
        "LoRA, Hu et al. 2022, arXiv:2106.09685",
        by=("finetune",),
        trains="lora",
        head="linear",
    ),
    Method(
        "fine-tune",
        "every weight at a constant rate, as in the Food-101 study",
        reads_names=True,
        rows_for_new_names=True,
        options={
            **ZERO_SHOT_HEAD,
            "schedule": "constant",
            "weight_decay": 0.05,
            "epsilon": 1e-6,
            "clip_norm": 0.0,
        },
    ),
    Method(
        "ft-clip",
        "from the zero-shot head, layer-wise rates, averaged weights",
        "Dong et al. 2022, arXiv:2212.06138",
        reads_names=True,
        rows_for_new_names=True,
        options={
            **ZERO_SHOT_HEAD,
            "layer_decay": 0.6,
            "ema": 0.999,
            "label_smoothing": 0.1,
            "flip": True,
        },
    ),
    Method(
        "wise-ft",
        "from the zero-shot head, then part of the way back",
        "Wortsman et al. 2022, arXiv:2109.01903",
        reads_names=True,
        rows_for_new_names=True,
        passes=2.5,
        options={**ZERO_SHOT_HEAD, "wise_ft": "choose", "weight_decay": 0.1},
    ),
    Method(
        "auto",
        "against the class names' embeddings, then part of the way back",
        rows_for_new_names=True,
        passes=2.5,
        options={"method": "auto"},
    ),
    Method(
        "vit",
        "ViT-B/16, fine-tuned",
        network="vit-base-patch16-224",
        options={**SUPERVISED, "beta_2": 0.99, "epsilon": 1e-6},
        flops=32.2e9,
        image_size=224,
    ),
    Method(
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
    Method(
        "xception",
        "Xception, fine-tuned",
        network="xception",
        options=SUPERVISED,
        flops=16.7e9,
        image_size=299,
    ),
    Method(
        "efficientnet-b7",
        "EfficientNetB7, fine-tuned",
        network="efficientnet-b7",
        options=SUPERVISED,
        flops=75.5e9,
        image_size=600,
    ),
    Method(
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
