"""Learn prompts from a few images per class: a grid of shots, seeds, models and methods."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.fewshot.options import FREE, RANGES, Options, check, check_records

if TYPE_CHECKING:
    from pipelines.fewshot.grid import Cell
    from tfrecords import Manifest


def run(options: Options) -> None:
    """Runs what is missing of the grid; leaves a folder per cell, the table and the page."""
    from pipelines.runs import class_names, config, folder
    from tfrecords import Manifest

    config.check_ranges(options, RANGES)
    check(options)
    manifest = Manifest.read(options.data)
    check_records(options, manifest)
    names = class_names.class_names(
        options.class_names,
        manifest,
        language=options.language,
        allow_equal=options.allow_equal_names,
    )
    templates = class_names.templates(options.templates, manifest)
    out = folder.check_resumable(options.out, options, finished=None, free=FREE)
    cells = _cells(options, out)
    missing = [cell for cell in cells if not cell.finished]
    print(f"cells: {len(cells)}, of which {len(cells) - len(missing)} are finished")
    if missing:
        _run_missing(options, manifest, cells, names=names, templates=templates)
    from pipelines.fewshot import report as fewshot_report

    print(fewshot_report.write(out, options, manifest, cells))
    if said := class_names.equal_names_line(names):
        print(said)
    print(f"Written to {out}; open {out / 'report.html'}")


def _run_missing(
    options: Options,
    manifest: "Manifest",
    cells: list["Cell"],
    *,
    names: list[str],
    templates: list[str],
) -> None:
    """Model by model, so that each is loaded, and its images are embedded, once."""
    from pipelines.fewshot import run as fewshot_run
    from pipelines.runs import runtime

    strategy = runtime.start(
        options.strategy, batch_size=options.batch_size, virtual_devices=options.virtual_devices
    )
    out = Path(options.out)
    for name in options.models:
        own = [cell for cell in cells if cell.model == name]
        wanted = [cell for cell in own if not cell.finished]
        if not wanted:
            continue
        with strategy.scope():
            task = fewshot_run.prepare(
                options, manifest, name, own, names=names, templates=templates
            )
            _claim(out, options)  # nothing is written before it is sure that the run can begin
            for number, cell in enumerate(wanted, start=1):
                figures = fewshot_run.run(cell, task)
                print(f"{number} of {len(wanted)}: {cell}: {figures}", flush=True)


def _claim(out: Path, options: Options) -> None:
    """Make the folder; its config says what was asked for last."""
    from pipelines.runs import folder
    from pipelines.runs.config import write_config

    folder.claim(out, options)
    write_config(options, out / folder.CONFIG)


def _cells(options: Options, out: Path) -> list["Cell"]:
    """All cells in the order of the table; zero-shot has one per model."""
    from pipelines.fewshot import grid

    return [
        cell
        for model in options.models
        for method in options.methods
        for cell in grid.cells(out, model, method, shots=options.shots, seeds=options.seeds)
    ]
