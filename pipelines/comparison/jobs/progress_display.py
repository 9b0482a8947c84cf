"""Live progress of a comparison: a table that fills, and lines in a log file."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pipelines.comparison.jobs.job_definitions import Job
from pipelines.comparison.report import recommendation
from pipelines.reporting import number_format
from pipelines.runs import results

if TYPE_CHECKING:
    from rich.console import Group

# By what methods are recommended by: headings, and the metrics of a run.
FIGURES = {
    "top1": {"seen": "top1", "held out": "unseen_top1"},
    "mean_per_class": {"seen, per class": "mean_per_class", "held out": "unseen_top1"},
    "map": {"mAP": "map"},
}


class Pace:
    """Predicts how long what is left takes, by what the runs before it took.

    A run takes as long as those of its method before it. Of a method that has not been run it is
    that of its family: as long as the others on cached features, or by its passes over the images
    as long as the others that train. Nothing is predicted of a family that is not known yet.
    """

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {}
        self.passes: dict[str, float] = {}  # of each family, and the seconds that they took
        self.seconds: dict[str, float] = {}

    def note(self, job: Job, seconds: float) -> None:
        family = job.method.family
        self.took.setdefault(job.method.name, []).append(seconds)
        self.passes[family] = self.passes.get(family, 0.0) + _passes(job)
        self.seconds[family] = self.seconds.get(family, 0.0) + seconds

    def left(self, jobs: Sequence[Job]) -> float | None:
        """Seconds that these take; None where it is not known of one of them."""
        found = [self._predicted(job) for job in jobs]
        return None if None in found else float(sum(each or 0.0 for each in found))

    def _predicted(self, job: Job) -> float | None:
        own, family = self.took.get(job.method.name), job.method.family
        if own:
            return sum(own) / len(own)
        if family not in self.seconds:
            return None
        return self.seconds[family] / self.passes[family] * _passes(job)


def _passes(job: Job) -> float:
    """Over the training images; of methods on cached features alike for all."""
    return 1.0 if job.method.fit is not None else job.method.passes * (job.options.epochs or 1)


class Display:
    """Follows the runs of a comparison; used with `with`.

    judged_by: one of `FIGURES`, whose metrics are shown of each run.
    """

    def __init__(self, jobs: Sequence[Job], judged_by: str = "top1") -> None:
        self.jobs, self.pace, self.figures = list(jobs), Pace(), FIGURES[judged_by]
        self.now: Job | None = None
        self.since = 0.0
        self._live: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> "Display":
        if sys.stdout.isatty() and not os.environ.get("TQDM_DISABLE"):
            from rich.live import Live

            live = Live(get_renderable=self.shown, refresh_per_second=2, transient=True)
            self._live = self._stack.enter_context(live)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begins(self, job: Job) -> None:
        self.now, self.since = job, time.monotonic()
        if self._live is None:
            print(f"{self.jobs.index(job) + 1} of {len(self.jobs)}: {job.name}", flush=True)

    def ended(self, job: Job, error: Exception | None) -> None:
        seconds, self.now = time.monotonic() - self.since, None
        if error is None:
            self.pace.note(job, seconds)
        if self._live is not None:
            if error is not None:
                self._live.console.print(f"{job.name} failed: {error}", markup=False)
            return
        if error is not None:
            print(f"  failed: {error}", flush=True)
            return
        said = [
            f"{share} {heading}"
            for heading, share in zip(self.figures, self._shares([job]), strict=True)
            if share
        ]
        print(
            "  " + ", ".join([*said, recommendation.duration(seconds), *self._left()]), flush=True
        )

    def shown(self) -> "Group":
        """A line of what runs, and a row for every method with what is known of it."""
        from rich.console import Group
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="")
        table.add_column("method")
        for heading in ("runs", *self.figures, "time"):
            table.add_column(heading, justify="right")
        for method in dict.fromkeys(job.method.name for job in self.jobs):
            table.add_row(*self._row(method))
        return Group(self._headline(), "", table)

    def _row(self, method: str) -> list[str]:
        jobs = [job for job in self.jobs if job.method.name == method]
        done = [job for job in jobs if job.is_done]
        took = self.pace.took.get(method)
        spent = recommendation.duration(sum(took) / len(took)) if took else ""
        if any(job.failure for job in jobs):
            spent = "failed"
        elif self.now in jobs:
            spent = f"running, {recommendation.duration(time.monotonic() - self.since)}"
        return [method, f"{len(done)}/{len(jobs)}", *self._shares(done), spent]

    def _headline(self) -> str:
        done = sum(job.is_done for job in self.jobs)
        now = [f"now {self.now.name}"] if self.now else []
        return ", ".join([f"{done} of {len(self.jobs)} runs", *now, *self._left()])

    def _left(self) -> list[str]:
        left = [job for job in self.jobs if not job.is_done and not job.failure]
        seconds = self.pace.left(left) if left else None
        if seconds is None:
            return []
        if self.now is not None:
            seconds = max(seconds - (time.monotonic() - self.since), 0.0)
        return [f"about {recommendation.duration(seconds)} left"]

    def _shares(self, jobs: Sequence[Job]) -> list[str]:
        """Of each figure the mean of runs that have ended; "" where it is unknown."""
        documents = [results.read(path.parent)["metrics"] for job in jobs for path in job.shown]
        found = []
        for metric in self.figures.values():
            known = [each[metric] for each in documents if each.get(metric) is not None]
            found.append(number_format.percent(sum(known) / len(known)) if known else "")
        return found
