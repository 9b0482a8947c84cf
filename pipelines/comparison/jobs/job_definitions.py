"""The runs of each method of a comparison, as options of their command."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet import json_validation
from pipelines.comparison.options import Options
from pipelines.comparison.recipe_options import Recipes
from pipelines.fewshot import grid as fewshot_grid
from pipelines.fewshot import options as fewshot_options
from pipelines.finetuning import options as finetuning_options
from pipelines.methods.method import Method
from pipelines.methods.registry import METHODS, STOCK, keeps_start
from pipelines.runs import (
    class_name_options,
    command_help,
    folder,
    option_parsing,
    rerun_command,
    results,
)
from pipelines.training import small_set_batch_size

LOG, FAILED = "log.txt", "failed.json"

FEATURES = "features"  # folder of the cache that all rows share


@dataclass(frozen=True)
class Job:
    """One run of a method in a comparison; one of a method that `prompt` runs has all seeds.

    Attributes:
        name: for people: "flyp, seed 2".
        method: of the table.
        options: of the command that does the same.
        logs: folder of what it prints, and of why it failed.
        finished: the files that it leaves at its end.
        shown: those of them whose figures are the row's; the others are of a curve.
    """

    name: str
    method: Method
    options: finetuning_options.Options | fewshot_options.Options
    logs: Path
    finished: tuple[Path, ...]
    shown: tuple[Path, ...]

    @property
    def command(self) -> str:
        """That does the same."""
        few = isinstance(self.options, fewshot_options.Options)
        return "prompt" if few else "finetune"

    @property
    def words(self) -> str:
        """What to type to get the same run."""
        return rerun_command.command_line(self.command, _not_usual(self.options))

    @property
    def is_done(self) -> bool:
        """Whether it has been run to its end; see `check_begun`."""
        return all(path.is_file() for path in self.finished)

    def check_begun(self) -> None:
        """Raises ValueError where its folder holds a run of `finetune` with other options: of
        another division of the images, or of a recipe that has been changed.

        `prompt` looks itself whether its grid was begun otherwise.
        """
        out = Path(self.options.out)
        if isinstance(self.options, fewshot_options.Options) or not (out / folder.CONFIG).is_file():
            return
        moved = ("data", "stock")  # may lie in the folder of the comparison
        others = folder.changed(out, self.options, (*finetuning_options.FREE, *moved))
        begun = option_parsing.read_config(out / folder.CONFIG).get("stock")
        if _names(begun) != _names(self.options.stock):
            others.append(f"it averages {', '.join(_names(begun))}")
        if others:
            raise ValueError(
                f"{out} holds a run of {self.method.name} with other options "
                f"({'; '.join(others)}): delete it to have it made again, or give another --out"
            )

    @property
    def failure(self) -> str | None:
        """Why it failed when it was last tried; None if it did not."""
        path = self.logs / FAILED
        return json_validation.read(path, {"error": str})["error"] if path.is_file() else None


def of(
    row: Method,
    options: Options,
    recipes: Recipes,
    *,
    out: Path,
    images: int,
    several_labels: bool = False,
) -> tuple[list[Job], list[Path]]:
    """The runs of a method, one per seed, and the folder of its results for each.

    Args:
        out: folder of the comparison.
        images: that there are to train on.
        several_labels: whether they may have several classes each; `finetune` then runs all rows.
    """
    if row.command == "prompt" and not several_labels:
        cells = curve_cells(out, row, options)
        most = options.most_shots if row.learns else 0
        kept = [folder for folder, shots in cells.items() if shots == most]
        return [_prompt_job(options, row, cells, kept, out=out)], kept
    assert options.seeds
    seeds = options.seeds if row.draws else options.seeds[:1]
    recipe = recipes.get(row.name)
    own = [_finetune_job(options, row, recipe, seed=seed, out=out, images=images) for seed in seeds]
    folders = [Path(job.options.out) for job in own]
    if has_curve(row, options):
        own.append(_prompt_job(options, row, curve_cells(out, row, options), (), out=out))
    return own, folders


def _names(folders: Iterable[str] | None) -> list[str]:
    return [Path(each).name for each in folders or ()]


def stocked(methods: Iterable[str]) -> list[str]:
    """Those of the methods whose seeds may be averaged by Model Stock."""
    tuned = [METHODS[name] for name in methods if not METHODS[name].network]
    return [
        row.name for row in tuned if keeps_start(row.options.get("method", row.name), row.options)
    ]


def check(options: Options) -> None:
    """Raises ValueError where Model Stock is asked for and has nothing to average."""
    if STOCK not in options.methods:
        return
    if len(options.seeds or ()) < 2:
        raise ValueError(
            f"--methods {STOCK} averages the runs of several seeds: expected two or more --seeds; "
            f"got {options.seeds}"
        )
    if not stocked(options.methods):
        raise ValueError(
            f"--methods {STOCK} averages the seeds of another method: expected one of "
            f"{', '.join(stocked(METHODS))} beside it"
        )


def has_curve(row: Method, options: Options) -> bool:
    """Whether it is measured at several numbers of images per class."""
    return len(options.shots) > 1 and row.learns and row.fit is not None and "prompt" in row.by


def curve_cells(out: Path, row: Method, options: Options) -> dict[Path, int]:
    """The folders of a method's results at all numbers of images per class, with these."""
    grid = out / "runs" / "prompt"
    found = fewshot_grid.cells(
        grid, options.model, row.name, shots=options.shots, seeds=options.seeds or []
    )
    return {cell.folder: cell.shots for cell in found}


def _finetune_job(
    options: Options,
    row: Method,
    recipe: Mapping[str, Any] | None,
    *,
    seed: int,
    out: Path,
    images: int,
) -> Job:
    given: dict[str, Any] = {
        "data": options.data,
        "model": row.network or options.model,
        "out": str(out / "runs" / row.name / f"seed-{seed}"),
        **_protocol(options, out),
        "validation": options.validation,
        "split_seed": (options.seeds or [0])[0],
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "class_weight": options.class_weight,
        "seed": seed,
        "test": options.test,
        "bootstrap": options.bootstrap,
        "precision": options.precision or ("auto" if row.fit is not None else None),
        "micro_batch": options.micro_batch,
        "views": _views(options) if row.takes_views else None,
    }
    if row.reads_captions:
        given["captions"] = options.captions
    if row.network:
        given |= {"weights": options.weights, "image_size": options.image_size}
    given |= _own_options(options, row) if recipe is None else recipe
    if row.name == STOCK:
        given["stock"] = [str(out / "runs" / name) for name in stocked(options.methods)]
    given["batch_size"], given["micro_batch"] = small_set_batch_size.fitting(
        given["batch_size"], given["micro_batch"], images=max(images, 1)
    )
    chosen = finetuning_options.Options(**_given(given))
    finished = (Path(chosen.out) / results.FILE,)
    return Job(
        f"{row.name}, seed {seed}",
        row,
        chosen,
        logs=out / "logs" / f"{row.name}-{seed}",
        finished=finished,
        shown=finished,
    )


def _own_options(options: Options, row: Method) -> dict[str, Any]:
    """Of a method without a recipe."""
    rate = options.supervised_learning_rate if row.network else options.learning_rate
    own = {"method": row.name} | dict(row.options)
    return {**own, **({"learning_rate": rate} if rate else {})}


def _prompt_job(
    options: Options, row: Method, cells: Iterable[Path], shown: Iterable[Path], *, out: Path
) -> Job:
    """All of these methods share a folder."""
    given = {
        "data": options.data,
        "out": str(out / "runs" / "prompt"),
        "models": [options.model],
        "methods": [row.name],
        "shots": options.shots,
        "seeds": options.seeds,
        **_protocol(options, out),
        "epochs": options.prompt_epochs,
        "n_ctx": options.n_ctx,
        "precision": options.precision,
        "split": options.test,
        "bootstrap": options.bootstrap,
        "views": _views(options),
    }
    return Job(
        row.name,
        row,
        fewshot_options.Options(**_given(given)),
        logs=out / "logs" / row.name,
        finished=tuple(path / results.FILE for path in cells),
        shown=tuple(path / results.FILE for path in shown),
    )


def _protocol(options: Options, out: Path) -> dict[str, Any]:
    return {
        "held_out": options.held_out or None,
        "held_out_classes": options.held_out_classes,
        "templates": _templates(options),
        "allow_equal_names": options.allow_equal_names or None,
        "strategy": options.strategy,
        "features": str(out / FEATURES),
    }


def _views(options: Options) -> int | None:
    return options.views if options.views > 1 else None  # one is the default of all commands


def _templates(options: Options) -> list[str] | None:
    """Those of the options of the run, which have no domain."""
    if options.domain is None:
        return options.templates
    return class_name_options.templates(options.templates, None, domain=options.domain)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that keep their defaults."""
    return {name: value for name, value in options.items() if value is not None}


def _not_usual(options: Any) -> dict[str, Any]:
    """The options that are not at their defaults."""
    return {
        each.name: value
        for each in dataclasses.fields(options)
        if (value := getattr(options, each.name)) != command_help.default_of(each)
    }
