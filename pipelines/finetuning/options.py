"""The options of `finetune`, and which of them go together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines.methods.registry import METHODS, taken_by
from pipelines.runs.rerun_command import flag
from pipelines.runs.strategy import ELASTIC

if TYPE_CHECKING:
    from tfrecords import Manifest


HEADS = ("linear", "zero-shot")  # of which a method's own can be replaced by the other


@dataclass
class Options:
    """Fine-tune a pretrained model on the labels of prepared records.

    Args:
        data: folder of records with labels, as prepare writes it.
        model: a checkpoint's name, a network such as resnet50, a .keras file or the folder of a
            run; see `python -m pipelines models`.
        out: folder of the run; the same command goes on with a run that was stopped.
        method: of the table of methods; auto is for a dual encoder the best row on cached features
            or projection-ft with --wise-ft choose, as classes set aside say, and text-probe where
            images have several labels; for other models full.
        held_out: so many classes, the first ones, are not trained on, only measured.
        held_out_classes: names of classes that are not trained on, in place of a number.
        held_out_seed: draws the held-out classes instead of taking the first.
        validation: share of every class's training images that the run chooses by.
        split_seed: draws those images; without it the seed does.
        head: linear or zero-shot, in place of the method's own.
        captions: JSON or CSV with sentences of each class, which flyp learns from in place of
            templates; these name the classes all the same.
        templates: prompts with {} for the class name, or one file with a prompt per line;
            without it those of the dataset.
        allow_equal_names: also where several classes have the same name, as in published lists; the
            figures say which.
        weights: of a network of keras.applications: imagenet, a file, or random; without it
            imagenet.
        image_size: pixels, height and width; the model's own size without it.
        batch_norm: kept (a pretrained network's batch normalisation stays as it is, in training
            too) or trained (by the statistics of each batch, for large sets with large batches).
        last_blocks: how many, of the method last-blocks.
        lora_rank: of the methods lora and clip-lora.
        teacher: weight of the squared distance between unit features in training and those of the
            untouched model, of images and, where the text tower is trained, of texts; 0 for none.
            TRACER has 7.4.
        random_texts: weight of half the squared change of the logits of random texts, of a dual
            encoder; 0 for none. Lipsum-FT has 1.
        wise_ft: whether to go from the fine-tuned weights part of the way back to those before:
            no, curve (measure the way, end with the fine-tuned) or choose (end where validation
            says, by training once more with some of the seen classes set aside; half of the way
            with fewer than four of them); without it no, and choose for the method auto.
        stock: folders, each of a method, of which two or more runs of other seeds are finished in
            seed-1, seed-2 and so on: their weights are averaged in place of training (Model Stock),
            of several methods those of the best on validation.
        epochs: passes over the training images.
        batch_size: images per step, on all devices together.
        micro_batch: images of a step that a device works on at a time, to save memory; 0 for all
            at once. The step is the same, contrastive losses included.
        crop_scale: smallest share of an image that a random crop keeps; 1 for the centre crop.
        flip: mirror half of the images.
        rand_augment: magnitude of 10 of two random operations; 0 for none.
        random_erasing: how often a rectangle is erased.
        mixup: alpha; 0 for none.
        cutmix: alpha; 0 for none.
        label_smoothing: share of the label given to all classes.
        class_weight: from 0 (every image counts alike) to 1 (every class counts alike, however many
            images it has): images are weighted by (1 / images of their class) to this power.
        optimizer: adamw or sgd.
        learning_rate: at its highest.
        head_multiplier: learning rate of the head in that of the rest.
        layer_decay: learning rate of a block in that of the next.
        beta_1: of adamw.
        beta_2: of adamw.
        epsilon: of adamw.
        momentum: of sgd.
        weight_decay: not on biases, norms and positions.
        schedule: cosine (after the warm-up) or constant.
        warmup_steps: steps in which a cosine schedule rises to its highest.
        min_learning_rate: at which a cosine ends.
        clip_norm: largest norm of the gradient over all weights; 0 for any.
        ema: share that an average of the weights keeps of itself in a step; the run then ends
            with the average; 0 for none.
        early_stopping: epochs without a better validation loss before it stops, to end with the
            best epoch's weights; 0 for never.
        plateau: epochs without a better validation loss before the learning rate falls; 0 for
            never.
        plateau_factor: what the learning rate is then multiplied by.
        views: of each training image, for methods on cached features: 1 for the centre crop alone,
            more for as many that are cut out and flipped at random beside it, embedded once each.
        features: folder of the feature cache of methods that leave the image tower as it is, which
            several runs may share; without it "features" in --out.
        strategy: one, mirrored or multi-worker.
        virtual_devices: split the CPU into so many devices, to try mirrored; 0 for no.
        precision: float32, mixed_bfloat16, mixed_float16 (for GPUs without bfloat16, as T4 and
            V100), or auto: float32, but for methods on features what is fastest here.
        recompute: compute activations again for the gradient, to save memory.
        checkpoint_steps: steps between two checkpoints.
        test: split that is measured once, at the end.
        bootstrap: resamples for the 95 % intervals; 0 for none.
        seed: of the validation images, new weights, order, crops and augmentation.
    """

    data: str
    model: str
    out: str
    method: Literal["auto", *taken_by("finetune")] = "auto"  # type: ignore[valid-type]
    held_out: int = 0
    held_out_classes: list[str] | None = None
    held_out_seed: int | None = None
    validation: float = 0.2
    split_seed: int | None = None
    head: Literal["linear", "zero-shot"] | None = None
    templates: list[str] | None = None
    captions: str | None = None
    allow_equal_names: bool = False
    weights: str | None = None
    image_size: int | None = None
    batch_norm: Literal["kept", "trained"] = "kept"
    last_blocks: int = 1
    lora_rank: int = 8
    teacher: float = 0.0
    random_texts: float = 0.0
    wise_ft: Literal["no", "curve", "choose"] | None = None
    stock: list[str] | None = None
    epochs: int = 10
    batch_size: int = 64
    micro_batch: int = 0
    crop_scale: float = 0.9
    flip: bool = False
    rand_augment: float = 0.0
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    label_smoothing: float = 0.0
    class_weight: float = 0.0
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 0.0001
    head_multiplier: float = 1.0
    layer_decay: float = 1.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.9
    weight_decay: float = 0.05
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = 0
    min_learning_rate: float = 0.0
    clip_norm: float = 1.0
    ema: float = 0.0
    early_stopping: int = 0
    plateau: int = 0
    plateau_factor: float = 0.2
    views: int = 1
    features: str | None = None
    strategy: Literal["one", "mirrored", "multi-worker"] = "one"
    virtual_devices: int = 0
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    recompute: bool = False
    checkpoint_steps: int = 200
    test: str = "test"
    bootstrap: int = 1000
    seed: int = 0


FREE = ("features", *ELASTIC)  # options that may change in a run that goes on

RANGES = {
    "(0, inf)": (
        *("image_size", "lora_rank", "epochs", "batch_size", "learning_rate", "epsilon"),
        *("head_multiplier", "checkpoint_steps", "views"),
    ),
    "[0, inf)": (
        *("held_out", "held_out_seed", "split_seed", "last_blocks", "rand_augment", "mixup"),
        *("cutmix", "weight_decay", "warmup_steps", "min_learning_rate", "clip_norm"),
        *("early_stopping", "teacher", "random_texts", "plateau", "virtual_devices", "bootstrap"),
        *("seed", "micro_batch"),
    ),
    "(0, 1]": ("crop_scale", "layer_decay"),
    "[0, 1]": ("random_erasing", "class_weight"),
    "[0, 1)": ("label_smoothing", "beta_1", "beta_2", "momentum", "ema"),
    "(0, 1)": ("validation", "plateau_factor"),
}


OF_WAYS = {"lora_rank": ("lora", "lora in both"), "last_blocks": ("last",)}  # `Method.trains`

OF_OPTIMIZERS = {"adamw": ("beta_1", "beta_2", "epsilon"), "sgd": ("momentum",)}


def check(options: Options) -> None:
    from pipelines.runs import option_parsing

    option_parsing.check_ranges(options, RANGES)
    _refuse_unread(options)
    if options.captions and options.method != "flyp":
        raise ValueError(f"--captions goes with --method flyp; got --method {options.method}")
    for name in ("mixup", "cutmix", "label_smoothing"):
        if getattr(options, name) and options.method == "flyp":
            raise ValueError(
                f"{flag(name)} goes with methods that learn from labels; flyp learns from prompts"
            )
    row = METHODS.get(options.method)
    if options.head and options.method != "auto" and row is not None and row.head not in HEADS:
        choices = [name for name in taken_by("finetune") if METHODS[name].head in HEADS]
        raise ValueError(
            f"--head goes with --method {', '.join(choices)}; got --method {options.method}"
        )
    for name in ("teacher", "random_texts"):
        if getattr(options, name) and row is not None and row.fit is not None:
            raise ValueError(
                f"{flag(name)} goes with methods that train a tower; got --method {options.method}"
            )
    if options.teacher and options.random_texts:
        raise ValueError("--teacher and --random-texts: expected one of them, each is a distance")
    if options.stock and (options.method != "auto" or options.wise_ft):
        raise ValueError("--stock takes the method of its runs: leave out --method and --wise-ft")
    if options.plateau and options.schedule == "cosine":
        raise ValueError("--plateau needs --schedule constant: a cosine sets the rate by itself")
    for name in ("warmup_steps", "min_learning_rate"):
        if getattr(options, name) and options.schedule != "cosine":
            raise ValueError(f"{flag(name)} goes with --schedule cosine; got {options.schedule}")
    if options.min_learning_rate > options.learning_rate:
        raise ValueError(
            f"--min-learning-rate: expected at most --learning-rate, {options.learning_rate}; "
            f"got {options.min_learning_rate}"
        )


def _refuse_unread(options: Options) -> None:
    """Raises ValueError for what another method or optimizer reads, if it is not as usual."""
    read_by = {}
    for name, ways in OF_WAYS.items():
        methods = [each for each in taken_by("finetune") if METHODS[each].trains in ways]
        read_by[name] = "" if options.method in methods else f"--method {', '.join(methods)}"
    for optimizer, names in OF_OPTIMIZERS.items():
        other = "" if options.optimizer == optimizer else f"--optimizer {optimizer}"
        read_by |= dict.fromkeys(names, other)
    for name, other in read_by.items():
        if other and getattr(options, name) != getattr(Options, name):
            raise ValueError(f"{flag(name)} goes with {other}")


def check_split(options: Options, manifest: "Manifest") -> None:
    for name in ("train", options.test):
        if not manifest.split(name).labels:
            raise ValueError(f"split {name!r} of {manifest.dataset} has no labels")
    if Path(options.out).resolve() == Path(options.data).resolve():
        raise ValueError("--out: expected another folder than --data")


def check_tested(options: Options, manifest: "Manifest", held_out: Sequence[int]) -> None:
    """Raises ValueError where no test image is of a class that is trained on."""
    counts = enumerate(manifest.split(options.test).class_counts)
    if not any(count for label, count in counts if label not in held_out):
        raise ValueError(
            f"split {options.test!r} of {manifest.dataset} has no image of a class that is trained "
            "on: there is nothing to measure; expected another --test"
        )
