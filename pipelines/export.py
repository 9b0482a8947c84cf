"""Write a classifier that anyone can run: a SavedModel or a LiteRT file."""

from pipelines.deployment.options import RANGES, Options, check


def run(options: Options) -> None:
    """Exports, compares with the Keras model, and prints what was found."""
    from pipelines.runs import class_name_options as runs_class_names
    from pipelines.runs import folder, option_parsing, results, runtime
    from tfrecords import Manifest, verify_splits

    option_parsing.check_ranges(options, RANGES)
    manifest = None if options.data is None else Manifest.read(options.data)
    check(options, manifest)
    if options.data and manifest:
        read = (options.split, *([options.calibration_split] if options.int8 else ()))
        verify_splits(options.data, manifest, *read)
    templates = class_names = None
    if options.class_names is not None:
        class_names = runs_class_names.named(options.class_names, what="--class-names")
        runs_class_names.refuse_repeated(class_names, unless=options.allow_equal_names)
    if options.templates is not None or options.domain is not None:
        templates = runs_class_names.templates(
            options.templates, manifest, domain=options.domain, names=class_names
        )
    runtime.import_tensorflow()
    from pipelines.deployment import export, load_classifier, onnx_openvino
    from pipelines.prediction import model_of_run_folder

    onnx_openvino.check_packages(options.format)
    chosen = model_of_run_folder.find(
        model_of_run_folder.Source(
            options.model,
            class_names=tuple(class_names) if class_names else None,
            templates=tuple(templates) if templates else None,
            prompts=options.prompts,
            data=options.data,
        )
    )
    if chosen.said:
        print(f"model: {chosen.said}")
    if (document := export.finished(options)) is not None:
        print(f"{export.summary(document)}\nWritten to {options.out} by the same command before")
        return
    out = folder.check_free(options.out, (*export.files(options.format), *export.OF_A_RUN))
    figures = results.read(options.results) if options.results else results.beside(chosen.folder)
    found = load_classifier.load(
        chosen.model,
        class_names=chosen.class_names,
        templates=chosen.templates,
        prompts=chosen.prompts,
        manifest=chosen.manifest() or manifest,
    )
    if figures and not options.results and not results.is_of(figures, found.class_names):
        figures = None
    if figures and not results.is_of(figures, found.class_names, exactly=True):
        figures = {key: value for key, value in figures.items() if key != "certainty"}
    document = export.export(options, found, manifest, out=out, results=figures)
    print(export.summary(document))
    print(f"Written to {options.out}; {out / export.CARD} says how to run it")
