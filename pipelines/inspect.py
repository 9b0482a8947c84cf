"""Look for what is wrong with the images and labels of records, before anything is trained."""

from pipelines.inspection.options import RANGES, Options


def run(options: Options) -> None:
    """Looks, writes the page and the tables, and prints what was found."""
    from pipelines.inspection import run as inspection_run
    from pipelines.runs import config

    config.check_ranges(options, RANGES)
    print("\n".join(inspection_run.run(options)))
