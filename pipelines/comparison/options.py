"""The options of `compare`, and which of them go together."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from duet import name_list
from pipelines.methods.registry import METHODS, STOCK
from pipelines.runs import rerun_command

if TYPE_CHECKING:
    from tfrecords import Manifest

DEFAULT = (
    *("zero-shot", "linear-probe", "text-probe", "gaussian", "tip-adapter", "coop", "lp-ft"),
    *("fine-tune", "ft-clip", "flyp", "wise-ft", "auto"),
)

SHOTS = 16  # images per class of methods that learn from few, where nobody says a number


@dataclass
class Options:
    """Compare methods under one protocol: seen and held-out classes, and cost.

    Args:
        data: folder of records with labels, as prepare writes it.
        out: folder of the comparison; the same command goes on with one that was stopped, and
            skips what is finished.
        model: the dual encoder that is adapted; see `python -m pipelines models`.
        methods: rows of the table of methods, or all: NAMES.
        seeds: of training; the images are divided by the first one, for all. Without it 1, 2 and
            3, or 1 where there are folds.
        folds: number of folds: every method is trained once per fold, and every image is tested
            once; 1 uses the division of the records. Without it as many as there are test parts
            in the images, at most 5, where fewer than 50 test images are of trained classes, or
            of held-out ones; else 1.
        held_out: so many classes, the first ones, are not trained on, only measured.
        held_out_classes: names of classes that are not trained on, in place of a number.
        validation: share of every class's training images that methods choose by.
        budget: time for all of it, such as 30m, 2h or 90s; methods that are predicted not to fit
            are left out, and named.
        shots: images per class of methods that learn from few; several draw a curve.
        views: of each training image, for rows on cached features: 1 for the centre crop alone,
            more for as many that are cut out and flipped at random beside it, embedded once for
            all rows.
        epochs: passes over the training images, of the methods that fine-tune.
        prompt_epochs: passes of coop; without it CoOp's own number.
        n_ctx: learnt vectors of coop and cocoop; without it their own number.
        batch_size: images per step.
        learning_rate: of the methods that fine-tune the dual encoder.
        class_weight: from 0 (every image counts alike) to 1 (every class counts alike, however many
            images it has): images are weighted by (1 / images of their class) to this power.
            Methods that learn from --shots images of each class count every class alike anyway.
        supervised_learning_rate: of vit, xception, efficientnet-b7 and resnet50, in place of
            their own.
        recipes: METHOD=RECIPE: all options of a method that fine-tunes, from a recipe or YAML file
            of finetune; data, split, seeds and test stay those here.
        templates: prompts with {} for the class name, or one file with a prompt per line, or JSON
            or CSV with prompts of each class; without it those of the dataset.
        domain: what the classes are, such as food, for prompts that say so, in place of templates.
        captions: JSON or CSV with sentences of each class, which flyp-captions learns from.
        allow_equal_names: also where several classes have the same name, as in published lists; the
            figures say which.
        weights: of networks of keras.applications: imagenet or random; without it imagenet.
        image_size: pixels of the supervised networks; their own size without it.
        strategy: one or mirrored; without it one.
        precision: float32, mixed_bfloat16 or mixed_float16; without it what fine-tunes computes in
            float32, and images are embedded in what is fastest here, as `evaluate` does it.
        micro_batch: of the methods that fine-tune: images that a device works on at a time, to
            save memory; without it all at once.
        price: of an hour of this machine, in any currency, to say what training and a million
            answers cost.
        serving_seconds: to measure how fast each exported network answers, one image at a time
            and 32; 0 for not at all.
        judge_by: top1, by which every image counts alike, or mean_per_class, by which every class
            does, however few test images it has: the accuracy that is recommended by; without it
            the one of the data set, top1 of images of one's own. Of several labels per image it is
            the mean average precision.
        test: split that is measured.
        bootstrap: resamples for intervals and differences.
        dry_run: only say which methods would be run, and how long they are predicted to take.
    """

    data: str
    out: str
    model: str = "clip-vit-base-patch32"
    methods: list[str] = field(default_factory=lambda: list(DEFAULT))
    seeds: list[int] | None = None
    folds: int | None = None
    held_out: int = 0
    held_out_classes: list[str] | None = None
    validation: float = 0.2
    budget: str | None = None
    shots: list[int] = field(default_factory=lambda: [SHOTS])
    views: int = 1
    epochs: int = 10
    prompt_epochs: int | None = None
    n_ctx: int | None = None
    batch_size: int = 64
    learning_rate: float = 0.00001
    class_weight: float | None = None
    supervised_learning_rate: float | None = None
    recipes: list[str] | None = None
    templates: list[str] | None = None
    domain: str | None = None
    captions: str | None = None
    allow_equal_names: bool = False
    weights: str | None = None
    image_size: int | None = None
    strategy: Literal["one", "mirrored"] | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = None
    micro_batch: int | None = None
    price: float | None = None
    serving_seconds: float = 1.0
    judge_by: Literal["top1", "mean_per_class"] | None = None
    test: str = "test"
    bootstrap: int = 1000
    dry_run: bool = False

    @property
    def most_shots(self) -> int:
        """Images per class of the table."""
        return max(self.shots)


Options.__doc__ = (Options.__doc__ or "").replace("NAMES", ", ".join(METHODS))

RANGES = {
    "(0, inf)": (
        *("epochs", "prompt_epochs", "batch_size", "learning_rate", "image_size"),
        *("supervised_learning_rate", "price", "bootstrap", "micro_batch", "views"),
    ),
    "[0, inf)": ("held_out", "serving_seconds"),
    "[0, 1]": ("class_weight",),
    "(0, 1)": ("validation",),
    "[1, 20]": ("folds",),
}

FREE = (
    *("methods", "seeds", "folds", "budget", "price", "serving_seconds", "dry_run", "judge_by"),
)


def judge(options: Options, manifest: "Manifest") -> str:
    """The metric that methods are recommended by."""
    if manifest.multi_label:
        return "map"
    own = manifest.metric if manifest.metric == "mean_per_class" else "top1"
    return options.judge_by or own


def check_records(options: Options, manifest: "Manifest") -> None:
    """Of images with several classes each, keep the methods that take them.

    Raises ValueError for records without labels, and for options that need one class per image.
    """
    for name in ("train", options.test):
        if not manifest.split(name).class_counts:
            raise ValueError(
                f"--data: split {name!r} of {manifest.dataset} has no labels; compare expects "
                "images with a class each. Captions: train and evaluate"
            )
    if manifest.multi_label:
        _keep_several_labels(options, manifest)


def _keep_several_labels(options: Options, manifest: "Manifest") -> None:
    several = f"images of {manifest.dataset} have several classes each"
    own = [name for name in options.methods if METHODS[name].takes_several_labels]
    if options.methods in (list(DEFAULT), _every(options)):
        options.methods = [name for name in own if name != "auto"]  # here it is text-probe
    elif other := [name for name in options.methods if name not in own]:
        choices = [name for name, row in METHODS.items() if row.takes_several_labels]
        raise ValueError(
            f"--methods: {several}, and {', '.join(other)} {'take' if other[1:] else 'takes'} one; "
            f"expected some of {', '.join(choices)}"
        )
    if options.shots != [SHOTS]:
        raise ValueError(
            f"--shots: {several}, of which nothing learns from a few of each class; expected to be "
            "left out"
        )
    for name in ("class_weight", "judge_by"):
        if getattr(options, name):
            flag = rerun_command.flag(name)
            raise ValueError(f"{flag}: {several}; expected a set whose images have one")


def _every(options: Options) -> list[str]:
    """What `--methods all` stands for."""
    left = {name for name, row in METHODS.items() if row.reads_captions and not options.captions}
    left |= {STOCK} if len(options.seeds or ()) < 2 else set()  # of several seeds
    return [name for name in METHODS if name not in left]


def check(options: Options) -> None:
    reads = [name for name, row in METHODS.items() if row.reads_captions]
    if options.methods == ["all"]:
        options.methods = _every(options)
    if bool(options.captions) != bool(set(options.methods) & set(reads)):
        needs = " or ".join(reads)
        raise ValueError(f"--captions goes with --methods {needs}, and the other way round")
    if min(options.shots, default=0) < 1:
        raise ValueError(f"--shots: expected one or more numbers from 1; got {options.shots}")
    for name in ("methods", "seeds", "shots"):
        values = getattr(options, name)
        if name == "seeds" and values is None:
            continue
        if not values or len(set(values)) < len(values):
            raise ValueError(f"--{name}: expected one or more, each once; got {values}")
    if min(options.seeds or (), default=0) < 0:
        raise ValueError(f"--seeds: expected 0 or more; got {min(options.seeds or ())}")
    for method in options.methods:
        if method not in METHODS:
            raise ValueError(
                f"--methods: expected all, or some of {', '.join(METHODS)}; got {method!r}"
                f"{name_list.did_you_mean(method, METHODS)}"
            )
