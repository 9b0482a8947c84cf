"""Classify unlabelled images with any result of Duet, or zero-shot."""

from pipelines.prediction.options import RANGES, Options, check


def run(options: Options) -> None:
    """Predicts, writes the table and whatever else was asked for, and prints the counts."""
    from pipelines.prediction import images
    from pipelines.runs import option_parsing, runtime

    option_parsing.check_ranges(options, RANGES)
    check(options)
    found = images.find(options.images)
    runtime.import_tensorflow()
    from pipelines.prediction import load_predictor
    from pipelines.prediction import run as prediction_run

    prediction_run.check_free(options)
    model = load_predictor.load(
        options.model,
        class_names=options.class_names,
        templates=options.templates,
        prompts=options.prompts,
        data=options.data,
        sure=options.sure,
    )
    if options.sure and model.sure is None:
        raise ValueError(
            f"--sure: {model.name} does not say how sure it is; expected a run of finetune, prompt "
            "or compare that learnt from images with one label each, or an export of one, and no "
            "other class names than its own"
        )
    if model.sure and model.sure.in_set is None:
        print("No column candidates: the run had too few images to choose by for a set of classes")
    print(f"model: {model.name}, {len(model.class_names):,} classes", flush=True)
    print("\n".join(prediction_run.run(options, model, found)))
