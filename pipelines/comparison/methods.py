"""The ways to adapt a model that `compare` knows, each as the command a person would type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

COMPARED = "{model}"  # stands for the dual encoder that is compared


@dataclass(frozen=True)
class Contestant:
    """One row of a comparison.

    Attributes:
        what: it is, in a few words.
        command: finetune, or prompt, whose methods share one run.
        model: of finetune: a name, or `COMPARED`.
        options: of finetune, besides the data, the split and the seed.
        passes: over the training images, forward and backward, in those of one epoch; what its
            time is predicted by.
        family: dual (the compared model), or supervised (a network of its own).
        flops: of one image forwards through a network of its own at `image_size`, as
            `flops.counted` has them.
        image_size: pixels that it takes without another size.
    """

    what: str
    command: str
    model: str = COMPARED
    options: Mapping[str, Any] = field(default_factory=dict)
    passes: float = 1.0
    family: str = "dual"
    flops: float = 0.0
    image_size: int = 0


SUPERVISED = {"method": "full", "flip": True}

#: In the order of the table. Options are the studies' where they have any; see the recipes.
CONTESTANTS: Mapping[str, Contestant] = {
    "zero-shot": Contestant("class names alone", "prompt", passes=0.0),
    "linear-probe": Contestant(
        "logistic regression on frozen features",
        "finetune",
        options={"method": "linear-probe"},
        passes=0.1,
    ),
    "tip-adapter": Contestant("cache of few images, not trained", "prompt", passes=0.0),
    "tip-adapter-f": Contestant("cache of few images, trained", "prompt", passes=0.0),
    "coop": Contestant("learnt prompts, few images", "prompt", passes=0.1),
    "cocoop": Contestant("prompts learnt for each image", "prompt", passes=0.5),
    "fine-tune": Contestant(
        "every weight at a constant rate, as in the Food-101 study",
        "finetune",
        options={
            "method": "zero-shot-head",
            "schedule": "constant",
            "weight_decay": 0.05,
            "epsilon": 1e-6,
            "clip_norm": 0.0,
        },
        passes=1.0,
    ),
    "ft-clip": Contestant(
        "from the zero-shot head, layer-wise rates, averaged weights",
        "finetune",
        options={
            "method": "zero-shot-head",
            "layer_decay": 0.6,
            "ema": 0.999,
            "label_smoothing": 0.1,
            "flip": True,
        },
    ),
    "flyp": Contestant(
        "both towers, contrastive against class prompts",
        "finetune",
        options={"method": "flyp", "weight_decay": 0.1},
        passes=1.6,
    ),
    "wise-ft": Contestant(
        "from the zero-shot head, then part of the way back",
        "finetune",
        options={"method": "zero-shot-head", "wise_ft": "choose", "weight_decay": 0.1},
        passes=2.5,
    ),
    "auto": Contestant(
        "against the class names' embeddings, then part of the way back",
        "finetune",
        options={"method": "auto"},
        passes=2.5,
    ),
    "vit": Contestant(
        "ViT-B/16, fine-tuned",
        "finetune",
        "vit-base-patch16-224",
        options={**SUPERVISED, "beta_2": 0.99, "epsilon": 1e-6},
        family="supervised",
        flops=32.2e9,
        image_size=224,
    ),
    "resnet50": Contestant(
        "ResNet50, fine-tuned, its head ten times as fast",
        "finetune",
        "resnet50",
        options={
            **SUPERVISED,
            "optimizer": "sgd",
            "learning_rate": 0.001,
            "head_multiplier": 10.0,
            "weight_decay": 0.0001,
        },
        family="supervised",
        flops=7.71e9,
        image_size=224,
    ),
    "xception": Contestant(
        "Xception, fine-tuned",
        "finetune",
        "xception",
        SUPERVISED,
        family="supervised",
        flops=16.7e9,
        image_size=299,
    ),
    "efficientnet-b7": Contestant(
        "EfficientNetB7, fine-tuned",
        "finetune",
        "efficientnet-b7",
        SUPERVISED,
        family="supervised",
        flops=75.5e9,
        image_size=600,
    ),
    "from-scratch": Contestant(
        "a small network from random weights",
        "finetune",
        "convnet-tiny",
        options={**SUPERVISED, "learning_rate": 0.002, "batch_size": 32},
        family="supervised",
        flops=30.1e6,
        image_size=64,
    ),
}
