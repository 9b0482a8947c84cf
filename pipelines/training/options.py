"""The options of `train`, and which of them go together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pipelines.training.data import Pairs


@dataclass
class Options:
    """Train a dual encoder from the captions of prepared records.

    Args:
        data: folder of records with captions, as prepare writes it.
        out: folder of the run; the same command resumes an interrupted run.
        model: start from this dual encoder, not from two towers: a checkpoint's name, hf://org/repo,
            a .keras file, or the folder of a run.
        image_tower: see `python -m pipelines models`.
        text_tower: see `python -m pipelines models`.
        image_weights: of the image tower: imagenet or a weights file (Xception, ResNet,
            EfficientNet), the name or folder of a checkpoint (ViT).
        text_weights: of the text tower: the name or folder of a checkpoint (BERT), whose
            tokenizer is used too.
        freeze: towers whose weights are frozen: none, image (LiT), text or both.
        batch_norm: trained (by the statistics of each batch) or kept (a pretrained network's batch
            normalisation stays as it is, for few pairs and a low rate).
        image_size: height and width in pixels; default: the tower's usual size.
        embed_dim: size of the embeddings.
        projection_depth: residual layers of each projection head; 0 is CLIP's linear one.
        dropout: rate in the projection heads.
        loss: contrastive or sigmoid.
        temperature: initial value; default: 0.07 (contrastive) or 0.1 (sigmoid).
        vocabulary_size: maximum size of the vocabulary learnt from the captions.
        context_length: maximum number of tokens per caption, including start and end.
        epochs: passes over the training images.
        batch_size: images per step, on all devices together.
        micro_batch: images of a step that a device processes at a time, to save memory; 0 for all
            at once. The loss is the same: every image is compared with all texts of the batch.
        captions_per_image: captions of each image used in one pass.
        crop_scale: smallest share of an image that a random crop keeps; 1 for the centre crop.
        learning_rate: peak learning rate of AdamW.
        weight_decay: of AdamW; not on biases, norms and the temperature.
        schedule: cosine (to zero, after the warm-up) or constant.
        warmup_steps: steps in which a cosine schedule rises to its peak.
        clip_norm: largest norm of the gradient over all weights; 0 for no limit.
        early_stopping: epochs without a better validation loss before it stops, to end with the
            best epoch's weights; 0 for never.
        plateau: epochs without a better validation loss before the learning rate falls; 0 for
            never.
        plateau_factor: factor by which the learning rate is then multiplied.
        strategy: one, mirrored or multi-worker.
        virtual_devices: number of devices to split the CPU into, to try mirrored; 0 for no split.
        precision: float32, mixed_bfloat16, or mixed_float16 for GPUs without bfloat16, as T4 and
            V100: the loss is scaled, and a step that overflows is skipped.
        checkpoint_steps: steps between two checkpoints.
        seed: of weights, order, crops, captions and dropout.
    """

    data: str
    out: str
    model: str | None = None
    image_tower: str = "vit-tiny"
    text_tower: str = "transformer-tiny"
    image_weights: str | None = None
    text_weights: str | None = None
    freeze: Literal["none", "image", "text", "both"] = "none"
    batch_norm: Literal["kept", "trained"] = "trained"
    image_size: int | None = None
    embed_dim: int = 128
    projection_depth: int = 0
    dropout: float = 0.0
    loss: Literal["contrastive", "sigmoid"] = "contrastive"
    temperature: float | None = None
    vocabulary_size: int = 8192
    context_length: int = 32
    epochs: int = 10
    batch_size: int = 128
    micro_batch: int = 0
    captions_per_image: int = 1
    crop_scale: float = 0.9
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = 100
    clip_norm: float = 1.0
    early_stopping: int = 0
    plateau: int = 0
    plateau_factor: float = 0.2
    strategy: Literal["one", "mirrored", "multi-worker"] = "one"
    virtual_devices: int = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    checkpoint_steps: int = 200
    seed: int = 0


RANGES = {
    "(0, inf)": (
        *("image_size", "embed_dim", "temperature", "vocabulary_size", "context_length"),
        *("epochs", "batch_size", "captions_per_image", "learning_rate", "checkpoint_steps"),
    ),
    "[0, inf)": (
        *("projection_depth", "weight_decay", "warmup_steps", "clip_norm", "early_stopping"),
        *("plateau", "virtual_devices", "seed", "micro_batch"),
    ),
    "(0, 1]": ("crop_scale",),
    "[0, 1)": ("dropout",),
    "(0, 1)": ("plateau_factor",),
}


def check(options: Options) -> None:
    from pipelines.runs import option_parsing
    from pipelines.training import model as training_model

    option_parsing.check_ranges(options, RANGES)
    training_model.check(options)
    if options.plateau and options.schedule == "cosine":
        raise ValueError("--plateau needs --schedule constant: a cosine sets the rate by itself")


def check_watched(options: Options, data: "Pairs") -> None:
    if (options.early_stopping or options.plateau) and not data.validates:
        raise ValueError(
            f"{options.data} has no split validation, by which --early-stopping and --plateau go"
        )
