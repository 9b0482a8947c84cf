"""The options of `prompt`, and which of them go together."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pipelines.fewshot import grid
from pipelines.methods.registry import taken_by

if TYPE_CHECKING:
    from tfrecords import Manifest

METHODS = taken_by("prompt")


@dataclass
class Options:
    """Learn prompts (CoOp, CoCoOp) from few images, beside zero-shot, probe and Tip-Adapter.

    Args:
        data: folder of labelled records, as prepare writes it.
        out: folder of the grid; the same command, or one with more shots, seeds, models or
            methods, goes on with it and skips what is finished.
        models: dual encoders: checkpoints' names (`python -m pipelines models`), .keras files,
            folders of training runs.
        methods: some of NAMES.
        shots: images per class; a class that has fewer gives each of them several times.
        seeds: of images, order and start; the table has the mean over them.
        split: that is measured; images to learn from are of split train.
        base_to_new: learn the first half of the classes, measure them, the others, and both.
        held_out: so many classes, the first ones, are not learnt, only measured.
        held_out_classes: names of classes that are not learnt, in place of a number.
        n_ctx: learnt vectors, 1 to 16; 16 without it, or as many as --words have tokens.
        position: of the class name: end, middle or front.
        class_specific: separate context vectors for each class (CoOp).
        words: what CoOp's vectors start as, such as "a photo of a"; without it, at random.
        conditional_words: the same of CoCoOp.
        templates: of zero-shot, probe and Tip-Adapter: prompts with {} for the class name, or one
            file with a prompt per line; without it those of the dataset.
        class_names: names in the order of the labels, or one file: a name per line, JSON (a list),
            or a CSV with a column "class" and one for each language; without it those of the
            dataset.
        language: column of the CSV.
        allow_equal_names: also where several classes have the same name, as in published lists.
        epochs: passes; without it those of CoOp: 50 for 1 shot, 100 up to 4, 200 for more.
        conditional_epochs: passes of CoCoOp.
        batch_size: images per step, on all devices together.
        conditional_batch_size: the same of CoCoOp.
        chunk: prompts that CoCoOp computes at a time.
        learning_rate: of SGD with momentum 0.9, at its highest; one epoch of 1e-5 before it, a
            cosine after it.
        weight_decay: of the vectors.
        views: of each image to learn from: 0 or 1 for the centre crop alone, more for as many that
            are cut out and flipped at random beside it; embedded once, for all methods and seeds.
        bootstrap: resamples for the 95 % interval of each cell; 0 for none.
        features: folder of the feature cache, which several runs may share; without it "features"
            in --out.
        strategy: one or mirrored.
        virtual_devices: split the CPU into so many devices, to try mirrored; 0 for no.
        precision: of the model. auto (for many images what is fastest here, within 0.01 of cosine
            distance; for few float32), float32, mixed_bfloat16 or mixed_float16.
    """

    data: str
    out: str
    models: list[str]
    methods: list[str] = field(
        default_factory=lambda: [
            "zero-shot",
            "linear-probe",
            "text-probe",
            "tip-adapter",
            "tip-adapter-f",
            "coop",
        ]
    )
    shots: list[int] = field(default_factory=lambda: [1, 2, 4, 8, 16])
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    split: str = "test"
    base_to_new: bool = False
    held_out: int = 0
    held_out_classes: list[str] | None = None
    n_ctx: int | None = None
    position: str = "end"
    class_specific: bool = False
    words: str | None = None
    conditional_words: str = "a photo of a"
    templates: list[str] | None = None
    class_names: list[str] | None = None
    language: str | None = None
    allow_equal_names: bool = False
    epochs: int | None = None
    conditional_epochs: int = 10
    batch_size: int = 32
    conditional_batch_size: int = 4
    chunk: int = 512
    learning_rate: float = 0.002
    weight_decay: float = 0.0005
    views: int = 0
    bootstrap: int = 0
    features: str | None = None
    strategy: Literal["one", "mirrored"] = "one"
    virtual_devices: int = 0
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"


Options.__doc__ = (Options.__doc__ or "").replace("NAMES", ", ".join(METHODS))

FREE = ("models", "methods", "shots", "seeds", "features")

RANGES = {
    "(0, inf)": (
        *("epochs", "conditional_epochs", "batch_size", "conditional_batch_size", "chunk"),
        "learning_rate",
    ),
    "[0, inf)": ("weight_decay", "views", "held_out", "bootstrap", "virtual_devices"),
    "[1, 16]": ("n_ctx",),
}


def check(options: Options) -> None:
    """Raises ValueError for what the ranges do not say."""
    given: dict[str, list[Any]] = {
        "models": options.models,
        "methods": options.methods,
        "shots": options.shots,
        "seeds": options.seeds,
    }
    for name, values in given.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(f"--{name}: expected one or more, each once; got {values}")
    folders: dict[str, str] = {}
    for model in options.models:
        if (other := folders.setdefault(grid.folder_name(model), model)) != model:
            raise ValueError(
                f"--models: the results of {other} and {model} would be in one folder, "
                f"{grid.folder_name(model)}; give one of them another --out"
            )
    for method in options.methods:
        if method not in METHODS:
            raise ValueError(
                f"--methods: expected some of {', '.join(METHODS)}; got {method!r} among them"
            )
    for name, least in (("shots", 1), ("seeds", 0)):
        if min(given[name]) < least:
            raise ValueError(f"--{name}: expected {least} or more; got {min(given[name])}")
    away = options.held_out or options.held_out_classes
    if options.base_to_new and away:
        raise ValueError("--base-to-new and --held-out: expected one of them; got both")
    if (options.base_to_new or away) and options.class_specific and "coop" in options.methods:
        flag = "base-to-new" if options.base_to_new else "held-out"
        raise ValueError(
            f"--{flag}: --class-specific vectors say nothing of classes they were not learnt on"
        )


def check_records(options: Options, manifest: "Manifest") -> None:
    for split in ("train", options.split):
        if not manifest.split(split).labels or manifest.multi_label:
            raise ValueError(
                f"split {split!r} of {manifest.dataset} has no single label per image to learn by"
            )
    classes, least = len(manifest.class_names), 4 if options.base_to_new else 2
    if classes < least:
        raise ValueError(f"--data: expected {least} or more classes; {options.data} has {classes}")
