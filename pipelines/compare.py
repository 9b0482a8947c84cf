"""Compare ways to adapt a model on one's own images: a table, a page and a recommendation."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.comparison.options import FREE, RANGES, Options, check

if TYPE_CHECKING:
    from pipelines.comparison.plan import Plan
    from tfrecords import Manifest


def run(options: Options) -> None:
    """Runs every method that is not finished, and writes the table, the page and the answer."""
    from pipelines.comparison import plan as comparison_plan
    from pipelines.comparison import report as comparison_report
    from pipelines.comparison import results, tensorboard
    from pipelines.runs import class_split, config, folder, runtime
    from tfrecords import Manifest

    config.check_ranges(options, RANGES)
    check(options)
    manifest = Manifest.read(options.data)
    away = class_split.held_out_classes(
        manifest, count=options.held_out, names=options.held_out_classes
    )
    out = folder.check_resumable(options.out, options, finished=None, free=FREE)
    folder.claim(out, options)
    plan = comparison_plan.plan(options, manifest, held_out=away, out=out)
    _say(plan)
    comparison_plan.run(plan)
    runtime.import_tensorflow()
    from pipelines.comparison import serving_costs
    from pipelines.runs import strategy

    strategy.share_gpus()
    deployed = serving_costs.measure(plan, options, manifest, out=out)
    document = results.document(plan, options, manifest, deployed=deployed)
    mistakes = _mistakes(plan, options, manifest)
    comparison_report.write(out, document, mistakes)
    tensorboard.write(out / "tensorboard", document, mistakes)
    print(comparison_report.terminal_table(document))
    print(f"Written to {out}; open {Path(out) / 'report.html'}")
    for line in _what_now(out):
        print(line)


def _what_now(out: Path) -> list[str]:
    """Where the recommended method lies, and the commands that use it; nothing without one."""
    from pipelines.prediction import source
    from pipelines.runs.command_line import program

    try:
        found = source.find(source.Source(str(out)))
    except (ValueError, FileNotFoundError):
        return []
    return [
        f"What now: {found.said}, is {found.prompts or found.model}",
        f"  {program()} predict --model {out} --images IMAGES --out predictions.csv",
        f"  {program()} export --model {out} --format saved-model --out FOLDER",
    ]


def _say(plan: "Plan") -> None:
    jobs, done = plan.jobs, sum(job.is_done for job in plan.jobs)
    print(f"runs: {len(jobs)}, of which {done} are finished")
    for method, reason in plan.left_out.items():
        print(f"left out: {method} ({reason})")
    for remark in plan.remarks:
        print(remark)


def _mistakes(plan: "Plan", options: Options, manifest: "Manifest") -> list[dict[str, Any]]:
    """Images that each method gets wrong; none where nothing has finished."""
    from pipelines.comparison import mistakes, results

    said = results.said(plan)
    if not said:
        return []
    return mistakes.rows(
        options.data,
        options.test,
        said,
        seen=results.seen_labels(next(iter(said.values())), plan.held_out),
        names=list(manifest.spoken_names),
    )
