"""Check records for problems with images and labels before training."""

from pipelines.inspection.options import OF_MODEL, RANGES, Options


def run(options: Options) -> None:
    """Looks, writes the page and the tables, and prints what was found."""
    from pipelines.inspection import run as inspection_run
    from pipelines.runs import option_parsing

    option_parsing.check_ranges(options, RANGES)
    if options.model is None:
        option_parsing.refuse_without(options, OF_MODEL, other="--model")
    print("\n".join(inspection_run.run(options)))
