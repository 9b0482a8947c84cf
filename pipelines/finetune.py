"""Fine-tune a pretrained model on labelled images, and measure what it gains and forgets."""

from pathlib import Path

from pipelines.finetuning.options import Options as Options


def run(options: Options) -> None:
    """Fine-tunes; leaves `model.keras`, `results.json`, `report.html` and TensorBoard's files."""
    from pipelines.finetuning import output_files
    from pipelines.finetuning import run as finetuning_run
    from pipelines.runs import folder, results, resume_check

    out = Path(options.out)
    if folder.is_finished(out, options, finished=results.FILE, free=finetuning_run.FREE):
        resume_check.check_finished(out, options.data, options.model, options=options)
        print("finished already; nothing is left to do")
        print(output_files.summary(results.read(out / results.FILE)))
        return
    found = finetuning_run.run(options)
    if found is None:
        print("the first worker writes the results")
    else:
        print(output_files.summary(found.document))
