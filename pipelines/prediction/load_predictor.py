"""Load whatever Duet has saved or exported, or a checkpoint's name, as a predictor."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import dual_encoder
from duet import array_checksums, json_validation
from pipelines.deployment import export as deployment_export
from pipelines.deployment import load_classifier
from pipelines.prediction import model_of_run_folder, read_export
from pipelines.prediction.model_of_run_folder import Source
from pipelines.prediction.predictor import Predictor
from pipelines.runs import class_name_options as runs_class_names
from pipelines.runs import class_prompt_files, results


def load(
    model: str,
    *,
    class_names: Sequence[str] | None = None,
    templates: Sequence[str] | None = None,
    prompts: str | None = None,
    data: str | None = None,
    sure: bool = False,
) -> Predictor:
    """Whatever Duet has saved or exported, or a checkpoint's name, as a predictor.

    Args:
        model: a run's folder (of `compare`: the recommended method), a `.keras` file, a
            checkpoint's name, or an export: the folder of a SavedModel, a `.tflite`, `.onnx` or
            OpenVINO's `.xml` file.
        class_names: of a dual encoder: names, or one file: a name per line, JSON (a list) or a CSV.
        templates: of a dual encoder: prompts with {} for the name, or one file of them.
        prompts: of a dual encoder: file of learnt prompts.
        data: of a dual encoder: records whose class names and templates are read.
        sure: whether to read how sure the run or the export is.

    Raises:
        ValueError: a model that tells no classes apart, or texts for one that reads none.
        FileNotFoundError: no such model, prompts, names or records.
    """
    path = Path(model)
    if read := read_export.reader_of(path):
        given = (("class-names", class_names), ("templates", templates))
        for flag, value in (*given, ("prompts", prompts), ("data", data)):
            if value:
                raise ValueError(f"--{flag}: {model} is an export, which has its classes in it")
        found = read()
        beside = (path if path.is_dir() else path.parent) / deployment_export.ABOUT
        if not (sure or found.multi_label) or not beside.is_file():
            return found
        return found.knowing(json_validation.read(beside), sure=sure)
    asked = model_of_run_folder.find(
        Source(model, _tuple(class_names), _tuple(templates), prompts, data)
    )
    if data and asked.prompts:
        raise ValueError(
            f"--data: {asked.prompts} has class names of its own; others go with --class-names"
        )
    found = _of_keras(asked, data=data)
    if not sure and not found.multi_label:
        return found
    return found.knowing(results.beside(asked.folder), sure=sure)


def of_model(model: Any) -> Predictor:
    """A Keras model with class names as a predictor."""
    names = getattr(model, "class_names", None)
    if not names or not hasattr(model, "preprocessing"):
        raise ValueError(
            "model: expected a classifier with class names, such as ImageClassifier or "
            f"ZeroShotClassifier; got {type(model).__name__}"
        )
    several = getattr(model, "multi_label", False)
    name = type(model).__name__
    found = load_classifier.Deployable(model, tuple(names), (), several, name)
    return Predictor(found.class_names, several, found.preprocessing, _compiled(found), name)


def _of_keras(source: Source, *, data: str | None) -> Predictor:
    """Of a model that Keras loads; the names of records are read by a dual encoder alone.

    data: records that were asked for, and not found beside the model.
    """
    found = load_classifier.load(
        source.model,
        class_names=_names(source),
        templates=_templates(source),
        prompts=source.prompts,
        manifest=source.manifest(),
    )
    if data and not isinstance(found.model, dual_encoder.ZeroShotClassifier):
        raise ValueError(
            f"--data goes with a dual encoder; {source.model} has class names of its own"
        )
    return Predictor(
        found.class_names,
        found.multi_label,
        found.preprocessing,
        _compiled(found),
        f"{source.model} ({source.said})" if source.said else source.model,
        checksum=partial(_checksum, found.model),
    )


def _templates(source: Source) -> list[str] | None:
    """As given, or of the file that is named."""
    given = source.templates
    if given is None:
        return None
    if class_prompt_files.is_asked_for(given):
        names = _names(source)
        return runs_class_names.templates(list(given), source.manifest(), names=names)
    if len(given) == 1 and "{}" not in given[0] and Path(given[0]).is_file():
        given = tuple(runs_class_names.listed(given[0], what="--templates"))
    return _once(given, what="--templates")


def _names(source: Source) -> list[str] | None:
    what = "--class-names"
    if source.class_names is None:
        return None
    return _once(runs_class_names.named(source.class_names, what=what), what=what)


def _once(texts: Sequence[str], *, what: str) -> list[str]:
    """The texts; ValueError for one that is there twice."""
    twice = next(iter(runs_class_names.equal_names(texts)), None)
    if twice is not None:
        raise ValueError(f"{what}: expected each once; {twice!r} is there several times")
    return list(texts)


def _tuple(texts: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(texts)


def _compiled(found: load_classifier.Deployable) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    compiled = tf.function(found.probabilities, autograph=False, reduce_retracing=True)
    return lambda pixels: compiled(tf.constant(pixels)).numpy()


def _checksum(model: Any) -> str:
    """Of all weights, among them what was made of class names, templates and prompts."""
    found = 0
    for weight in model.weights:
        found = array_checksums.crc32(np.asarray(weight), found)
    return f"{found:08x}"
