"""Compare ways to adapt a model on one's own images: a table, a page and a recommendation."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.comparison.options import FREE, RANGES, Options, check, check_records

if TYPE_CHECKING:
    from pipelines.comparison.comparison_settings import About
    from pipelines.comparison.folds import Fold
    from pipelines.comparison.jobs.worker_pool import Workers
    from pipelines.comparison.plan import Plan
    from pipelines.runs.resume_check import Origin
    from tfrecords import Manifest


def run(options: Options) -> int:
    """Runs every method that is not finished, and writes the table, the page and the answer.

    Returns 1 where no method has finished.
    """
    from pipelines.comparison import plan as comparison_plan
    from pipelines.comparison import run as comparison_run
    from pipelines.comparison.jobs.fork_server import Call
    from pipelines.comparison.jobs.worker_pool import Workers
    from pipelines.comparison.report import next_steps
    from pipelines.inspection import leaks
    from pipelines.runs import folder, resume_check, runtime
    from tfrecords import verify_splits

    options, manifest, away = _settled(options)
    out = folder.check_resumable(options.out, options, finished=None, free=FREE)
    begun = resume_check.of(manifest, options.model, options=options)
    resume_check.check(out, begun)
    if options.dry_run:
        comparison_plan.divided(options, manifest, held_out=away, out=out)
        return _dry_run(options, manifest)
    runtime.check_backend()  # whose complaint in a worker nobody would hear
    verify_splits(options.data, manifest, "train", options.test)
    with folder.held(out), Workers() as workers:
        plan = comparison_plan.plan(options, manifest, workers, held_out=away, out=out)
        _say(plan)
        about = _about(plan, options, manifest, out=out)
        comparison_run.check_model(plan, workers, about)
        health = workers.call(Call(leaks, (options.data, options.test)))
        for line in health:
            print(line, flush=True)
        claim = partial(_claim, out, options, begun, plan.folds)
        # Costs that a stop left unmeasured come first, in the order of a run without a stop: a
        # network that is like one measured before is not measured again.
        _costs(plan, workers, about)
        comparison_run.run(plan, workers, about, claim=claim)
        document = _written(plan, options, manifest, workers, about, health)
    print(f"Written to {out}; open {Path(out) / 'report.html'}")
    if steps := next_steps.find(out):
        print("\n  ".join([f"What now: {steps.said}", *steps.commands]))
    return int(all(row["error"] is not None for row in document["rows"]))


def _settled(options: Options) -> tuple[Options, "Manifest", tuple[int, ...]]:
    """The options with what follows from the records, these, and the classes held out.

    Raises ValueError for what does not go together, also where only a row would find it.
    """
    from pipelines.comparison import folds
    from pipelines.comparison.jobs import budget, job_definitions
    from pipelines.runs import class_name_options, class_split, option_parsing
    from tfrecords import Manifest

    option_parsing.check_ranges(options, RANGES)
    check(options)
    budget.seconds(options.budget)
    manifest = Manifest.read(options.data)
    check_records(options, manifest)
    class_name_options.refuse_repeated(manifest.spoken_names, unless=options.allow_equal_names)
    class_name_options.captions(options.captions, manifest)
    away = class_split.held_out_classes(
        manifest, count=options.held_out, names=options.held_out_classes
    )
    options = folds.settled(options, manifest, away)
    job_definitions.check(options)
    return options, manifest, away


def _claim(out: Path, options: Options, begun: "Origin", divisions: "Sequence[Fold]") -> None:
    """Write what the comparison is known again by, and the records that it needs."""
    from pipelines.comparison import folds
    from pipelines.runs import folder, option_parsing, resume_check

    folder.claim(out, options)
    option_parsing.write_config(options, out / folder.CONFIG)  # what was asked for last
    resume_check.keep(out, begun)
    folds.write(divisions)


def _dry_run(options: Options, manifest: "Manifest") -> int:
    """Say what would be run; nothing is written."""
    from pipelines.comparison import recipe_options
    from pipelines.comparison.jobs import budget

    speed = budget.measured_speed(options.model)
    print("\n".join(budget.forecast(options, manifest, recipe_options.read(options), speed=speed)))
    return 0


def _written(
    plan: "Plan",
    options: Options,
    manifest: "Manifest",
    workers: "Workers",
    about: "About",
    health: list[str],
) -> dict[str, Any]:
    """Everything but the runs; prints the table. Returns the results."""
    from pipelines.comparison.jobs.fork_server import Call
    from pipelines.comparison.report import mistakes, output_files, results_document, tensorboard
    from pipelines.runs import class_name_options, resume_check
    from pipelines.runs import results as runs_results

    document = results_document.document(
        plan, options, manifest, deployed=_costs(plan, workers, about)
    )
    document |= runs_results.health(health) | resume_check.noted(about.out)
    said = results_document.said(plan)
    wrong = (
        mistakes.rows(
            [(fold.options.data, fold.tested) for fold in plan.folds],
            options.test,
            said,
            asked=next(iter(said.values())).outside(plan.held_out),
            names=list(manifest.spoken_names),
        )
        if said
        else []
    )
    output_files.write(about.out, document, wrong)
    workers.call(Call(tensorboard.write, (about.out / "tensorboard", document, wrong)))
    print(output_files.terminal_table(document))
    if line := class_name_options.equal_names_line(document):
        print(line)
    return document


def _say(plan: "Plan") -> None:
    jobs, done = plan.jobs, sum(job.is_done for job in plan.jobs)
    print(f"runs: {len(jobs)}, of which {done} are finished")
    for method, reason in plan.left_out.items():
        print(f"left out: {method} ({reason})")
    for remark in plan.remarks:
        print(remark)


def _about(plan: "Plan", options: Options, manifest: "Manifest", *, out: Path) -> "About":
    from pipelines.comparison.comparison_settings import About

    spoken = enumerate(manifest.spoken_names)
    return About(
        out=out,
        data=options.data,
        split=options.test,
        model=options.model,
        names=tuple(name for label, name in spoken if label not in plan.held_out),
        shots=options.most_shots,
        methods=tuple(plan.cells),
        seconds=options.serving_seconds,
    )


def _costs(plan: "Plan", workers: "Workers", about: "About") -> dict[str, dict[str, Any]]:
    """What each method that has finished costs to run; measured now where it is not known."""
    from pipelines.comparison import comparison_settings as comparison_about
    from pipelines.comparison.jobs import fit_with_costs
    from pipelines.comparison.jobs.fork_server import Call
    from pipelines.runs import results

    found = {}
    for method, cells in plan.cells.items():
        cell = next((each for each in cells if (each / results.FILE).is_file()), None)
        if cell is None:
            continue
        row = comparison_about.costs(method, about)
        if row is None:
            row = workers.call(Call(fit_with_costs.measure_costs, (method, about, cell)))
        found[method] = row
    return found
