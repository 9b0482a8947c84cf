"""Compare a run with published figures, or list them."""

import json as json_format
from dataclasses import dataclass

from duet import name_list


@dataclass
class Options:
    """Compare a finished run with published figures; without --run, list them.

    Exit status: 0 where every figure that can be compared is inside the tolerance, or there is
    none; 1 where one is outside; 2 where the run cannot be read.

    Args:
        run: folder of a run of evaluate, prompt, finetune or compare, or its results.json.
        dataset: list figures of this set alone.
        model: list figures of this model alone.
        method: list figures of this method alone.
        json: print JSON, which has everything that is known of each figure.
    """

    run: str | None = None
    dataset: str | None = None
    model: str | None = None
    method: str | None = None
    json: bool = False


def run(options: Options) -> int:
    """Print the comparison or the list. Returns the exit status."""
    return _list(options) if options.run is None else _compare(options)


def _compare(options: Options) -> int:
    from pipelines.published import match, report, run_results, table

    for name in ("dataset", "model", "method"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} chooses among the figures that are listed without --run")
    run = options.run or ""
    compared = [(found, match.compare(found, table.figures())) for found in run_results.read(run)]
    if options.json:
        print(json_format.dumps(report.as_data(run, compared), indent=2, ensure_ascii=False))
    else:
        print(report.as_text(compared))
    return 1 if report.outside(compared) else 0


def _list(options: Options) -> int:
    from pipelines.published import report, table

    chosen = table.figures()
    for name in ("dataset", "model", "method"):
        wanted = getattr(options, name)
        if wanted is None:
            continue
        known = sorted({getattr(figure, name) for figure in chosen})
        chosen = tuple(figure for figure in chosen if getattr(figure, name) == wanted)
        if not chosen:
            hint = name_list.did_you_mean(wanted, known) or f"; there are: {', '.join(known)}"
            raise ValueError(f"--{name}: nothing published for {wanted!r}{hint}")
    if options.json:
        data = report.listing_data(chosen)
        print(json_format.dumps(data, indent=2, ensure_ascii=False))
    else:
        print(report.listing(chosen))
    return 0
