"""Learn prompts from a few images per class: a grid of shots, seeds, models and methods."""

from pathlib import Path

from pipelines.fewshot.options import Options as Options


def run(options: Options) -> None:
    """Runs what is missing of the grid; leaves a folder per cell, the table and the page."""
    from pipelines.fewshot import report as fewshot_report
    from pipelines.fewshot import run as fewshot_run
    from pipelines.runs import class_name_options
    from tfrecords import Manifest

    for _ in fewshot_run.run(options):
        pass
    out = Path(options.out)
    cells, manifest = fewshot_run.cells_of(options, out), Manifest.read(options.data)
    document = fewshot_report.write(out, options, manifest, cells)
    print(fewshot_report.as_text(document["table"]))
    if said := class_name_options.equal_names_line(document):
        print(said)
    print(f"Written to {out}; open {out / 'report.html'}")
