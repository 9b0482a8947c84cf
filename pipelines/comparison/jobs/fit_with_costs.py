"""Fit the method of one row, and measure its costs, in a worker process."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.comparison.comparison_settings import About

if TYPE_CHECKING:
    from pipelines.comparison.jobs.job_definitions import Job
    from pipelines.methods.method import Run


def resolve(name: str, class_names: Sequence[str], templates: Sequence[str]) -> None:
    """Load the compared model; the rows that follow in this process find it there.

    Raises ValueError, OSError where it cannot be had, has one tower, or reads two names as one.
    """
    import dual_encoder
    from pipelines.runs import models, strategy

    strategy.share_gpus()
    models.check_dual_encoder(model := models.untouched(name), name)
    dual_encoder.refuse_equal_names(model, class_names, templates)


def fit(job: "Job", about: About) -> None:
    """Do one run, and measure what its method costs, if that is not known."""
    from pipelines.comparison.report import serving_costs
    from pipelines.runs import models, peak_memory, strategy

    strategy.share_gpus()
    if job.method.fit is None:
        models.forget_untouched()  # it has a model of its own, and its memory is measured
    peak_memory.forget_peak()
    run = _run(job)
    if run is not None:
        serving_costs.keep(job.method.name, about, cell=run.folder, model=run.model)


def measure_costs(method: str, about: About, cell: Path) -> dict[str, Any]:
    """Of a method whose runs have ended before that was done."""
    from pipelines.comparison.report import serving_costs
    from pipelines.runs import strategy

    strategy.share_gpus()
    return serving_costs.keep(method, about, cell=cell)


def _run(job: "Job") -> "Run | None":
    """By the command that does the same; the first of several seeds."""
    options: Any = job.options
    if job.command == "prompt":
        from pipelines.fewshot import run as fewshot_run

        runs = [run for _, run in fewshot_run.run(options)]
        return runs[0] if runs else None
    from pipelines.finetuning import run as finetuning_run

    return finetuning_run.run(options)
