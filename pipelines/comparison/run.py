"""Run what is planned of a comparison and not finished."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from duet import atomic_files
from pipelines.comparison.comparison_settings import About
from pipelines.comparison.jobs import fit_with_costs
from pipelines.comparison.jobs.fork_server import Call, Outcome
from pipelines.comparison.jobs.job_definitions import FAILED, LOG, Job
from pipelines.comparison.jobs.progress_display import Display
from pipelines.comparison.jobs.worker_pool import Workers
from pipelines.comparison.plan import Plan
from pipelines.runs import folder


def batches(made: Plan) -> list[list[Job]]:
    """What is not finished: all rows on cached features together, every other run by itself."""
    left = [job for job in made.jobs if not job.is_done]
    shared = [job for job in left if job.method.fit is not None]
    return ([shared] if shared else []) + [[job] for job in left if job.method.fit is None]


def check_model(made: Plan, workers: Workers, about: About) -> None:
    """Load the compared model, if a run is left that needs it, before images are looked through.

    Raises ValueError, OSError where it cannot be had, or reads two class names as one.
    """
    for call in _resolving(made, about):
        workers.call(call)


def _resolving(made: Plan, about: About) -> list[Call]:
    """The call that loads the compared model, if a run is left that needs it."""
    if all(job.method.network for batch in batches(made) for job in batch):
        return []
    texts = (about.model, made.names, made.templates)
    return [Call(fit_with_costs.resolve, texts, essential=True)]


def run(made: Plan, workers: Workers, about: About, *, claim: Callable[[], None]) -> None:
    """Run what is not finished, and say how it went.

    `claim`, which can be pickled, is called in a worker once it is sure that the compared model can
    be had, and before a run: nothing is written before.

    All rows on cached features share a process, every other run has its own. What each method
    costs to run is measured on the model of its first run.

    Raises:
        ValueError, OSError: the compared model cannot be had; nothing has been run.
    """
    for job in made.jobs:
        if job.is_done:
            folder.tidy(Path(job.options.out))  # of what it left, killed as it ended
    left = batches(made)
    first = [*_resolving(made, about), Call(claim, essential=True)]
    if not left:
        claim()
    with Display(made.jobs, made.judged_by) as display:
        for batch in left:
            fits = [Call(fit_with_costs.fit, (job, about), job.logs / LOG) for job in batch]
            with closing(workers.run([*first, *fits])) as outcomes:  # on Ctrl-C at once
                for _ in first:
                    if error := next(outcomes).error:
                        raise error
                first = []
                _follow(batch, outcomes, display)


def _follow(batch: list[Job], outcomes: Iterator[Outcome], display: Display) -> None:
    """Say how each job went, and keep why it failed."""
    for job in batch:
        (job.logs / FAILED).unlink(missing_ok=True)
        display.begins(job)
        if error := next(outcomes).error:
            atomic_files.write(job.logs / FAILED, json.dumps({"error": str(error)}))
        display.ended(job, error)
