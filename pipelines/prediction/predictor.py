"""A common interface to all models: pixels in, class probabilities out."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from duet import array_checksums, exception_summary, json_validation, regular_files
from pipelines.deployment import export as deployment_export
from pipelines.deployment import (
    litert,
    litert_metadata,
    load_classifier,
    onnx_openvino,
    saved_model,
)
from pipelines.metrics import multilabel
from pipelines.prediction import resolve_model as prediction_source
from pipelines.prediction.answers import Answer, answer
from pipelines.prediction.resolve_model import Source
from pipelines.prediction.stored_calibration import Sure, sure_of
from pipelines.runs import class_name_options as runs_class_names
from pipelines.runs import class_prompt_files, finite_answers, results, resume_check

SAVED_MODEL = "saved_model.pb"

Probabilities = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Predictor:
    """A classifier of images, wherever it comes from.

    Attributes:
        class_names: c names.
        multi_label: whether an image may have several classes, or none.
        preprocessing: what `tfrecords.read_images` has to know.
        probabilities: pixels uint8 [b, s, s, 3] -> float32 [b, c].
        name: what was loaded, for people.
        sure: how sure it may be, where that was asked for and is known.
        thresholds: from which probability on an image has each class, where images have several
            and the model's run chose them.
        checksum: computes one of its weights, which tells it from another of the same name.
    """

    class_names: tuple[str, ...]
    multi_label: bool
    preprocessing: dict[str, Any]
    probabilities: Probabilities
    name: str
    sure: Sure | None = None
    thresholds: tuple[float, ...] | None = None
    checksum: Callable[[], str] | None = None

    def knowing(self, document: dict[str, Any] | None, *, sure: bool) -> "Predictor":
        """With what its run, or its export, says of it, if that is of these classes."""
        if document is not None and not results.is_of(document, self.class_names):
            document = None
        chosen = (multilabel.thresholds_in(document) if self.multi_label else None) or {}
        known = chosen and set(self.class_names) <= set(chosen)
        return replace(
            self,
            sure=sure_of(document) if sure else None,
            thresholds=tuple(chosen[name] for name in self.class_names) if known else None,
        )


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
        class_names: of a dual encoder: names, or one file with a name per line.
        templates: of a dual encoder: prompts with {} for the name, or one file of them.
        prompts: of a dual encoder: file of learnt prompts.
        data: of a dual encoder: records whose class names and templates are read.
        sure: whether to read how sure the run or the export is.

    Raises:
        ValueError: a model that tells no classes apart, or texts for one that reads none.
        FileNotFoundError: no such model, prompts, names or records.
    """
    path = Path(model)
    if read := _exported(path):
        given = (("class-names", class_names), ("templates", templates))
        for flag, value in (*given, ("prompts", prompts), ("data", data)):
            if value:
                raise ValueError(f"--{flag}: {model} is an export, which has its classes in it")
        found = read()
        beside = (path if path.is_dir() else path.parent) / deployment_export.ABOUT
        if not (sure or found.multi_label) or not beside.is_file():
            return found
        return found.knowing(json_validation.read(beside), sure=sure)
    asked = prediction_source.find(
        Source(model, _tuple(class_names), _tuple(templates), prompts, data)
    )
    found = _of_keras(asked)
    if not sure and not found.multi_label:
        return found
    return found.knowing(results.beside(asked.folder), sure=sure)


def _tuple(texts: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(texts)


def _exported(path: Path) -> Callable[[], Predictor] | None:
    """What reads an export; None where the path is none."""
    for name, read in ONE_FILE.items():
        file = path if path.is_file() and path.suffix == Path(name).suffix else path / name
        if file.is_file():
            return functools.partial(read, file)
    if (path / SAVED_MODEL).is_file():
        return lambda: _of_saved_model(path)
    return None


def _of_litert(path: Path) -> Predictor:
    data = path.read_bytes()
    try:
        text = litert_metadata.read(data)[litert_metadata.PREPROCESSING]
        facts = json_validation.parse(text, load_classifier.FACTS, name="its metadata")
        read = litert.reader(data)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"--model: {path} is no LiteRT file that export wrote ({error})") from None
    return _of_facts(facts, read, path)


def _of_facts(
    facts: dict[str, Any], read: Callable[[np.ndarray], np.ndarray], path: Path
) -> Predictor:
    """Of what an export says of itself, checked against `FACTS`."""
    return Predictor(
        tuple(facts["class_names"]),
        facts["multi_label"],
        facts["preprocessing"],
        read,
        str(path),
        checksum=partial(resume_check.fingerprint, path),
    )


def _of_onnx(path: Path) -> Predictor:
    """Of an ONNX file, or of OpenVINO's .xml."""
    format = "onnx" if path.suffix == ".onnx" else "openvino"
    onnx_openvino.check_packages(format, to_run=True)
    about, read = onnx_openvino.READERS[format]
    try:
        facts = about(path)
        json_validation.check(facts, load_classifier.FACTS)
        function = read(path)
    except Exception as error:  # of either library: nothing in common
        reason = exception_summary.first_line(error)
        raise ValueError(f"--model: {path} is no file that export wrote ({reason})") from error
    return _of_facts(facts, function, path)


#: What reads an export of one file, by the name that it has in the export's folder.
ONE_FILE = {
    deployment_export.LITERT: _of_litert,
    deployment_export.ONNX: _of_onnx,
    deployment_export.OPENVINO: _of_onnx,
}


def _of_saved_model(folder: Path) -> Predictor:
    try:
        about, probabilities = saved_model.pixels_reader(folder)
    except Exception as error:  # of TensorFlow: nothing in common
        reason = exception_summary.first_line(error)
        raise ValueError(
            f"--model: {folder} is no SavedModel that export wrote ({reason})"
        ) from error
    beside = folder / deployment_export.ABOUT
    more = json_validation.read(beside, {"multi_label?": bool}) if beside.is_file() else {}
    facts = {**about, "multi_label": more.get("multi_label", False)}
    json_validation.check(facts, load_classifier.FACTS, where=str(folder))
    return _of_facts(facts, probabilities, folder)


def _of_keras(source: Source) -> Predictor:
    """Of a model that Keras loads; the names of records are read by a dual encoder alone."""
    found = load_classifier.load(
        source.model,
        class_names=_texts(source.class_names, what="--class-names", least=2),
        templates=_templates(source),
        prompts=source.prompts,
        manifest=source.manifest(),
    )
    return Predictor(
        found.class_names,
        found.multi_label,
        found.preprocessing,
        _compiled(found),
        f"{source.model} ({source.said})" if source.said else source.model,
        checksum=partial(_checksum, found.model),
    )


def _checksum(model: Any) -> str:
    """Of all weights, among them what was made of class names, templates and prompts."""
    found = 0
    for weight in model.weights:
        found = array_checksums.crc32(np.asarray(weight), found)
    return f"{found:08x}"


def _templates(source: Source) -> list[str] | None:
    """As given, or of the file that is named."""
    given = source.templates
    if given is None or not class_prompt_files.is_asked_for(given):
        return _texts(given, what="--templates", least=1)
    names = _texts(source.class_names, what="--class-names", least=2)
    return runs_class_names.templates(list(given), source.manifest(), names=names)


def _texts(given: tuple[str, ...] | None, *, what: str, least: int) -> list[str] | None:
    """Texts as given, or the lines of the one file that is named."""
    if given is None:
        return None
    found = list(given)
    if len(given) == 1 and "{}" not in given[0] and (least > 1 or Path(given[0]).is_file()):
        found = runs_class_names.listed(given[0], what=what)
    twice = next((text for text in found if found.count(text) > 1), None)
    if twice is not None:
        raise ValueError(f"{what}: expected each once; {twice!r} is there several times")
    return found


def _compiled(found: load_classifier.Deployable) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    compiled = tf.function(found.probabilities, autograph=False, reduce_retracing=True)
    return lambda pixels: compiled(tf.constant(pixels)).numpy()


def predict_images(
    model: Any,
    paths: Iterable[str | Path],
    *,
    threshold: float | None = None,
    batch_size: int = 32,
) -> list[Answer]:
    """What a model says of image files: classes and their probabilities, likeliest first.

    Args:
        model: of `load`, or an `ImageClassifier`, `ZeroShotClassifier` or whatever else has
            `class_names` and `preprocessing` and gives logits.
        paths: of image files.
        threshold: see the command `predict`.
        batch_size: images at a time.

    Raises:
        ValueError: a model without class names, or an image that cannot be read; names it.
    """
    predictor = model if isinstance(model, Predictor) else of_model(model)
    named = ((str(path), partial(regular_files.read_regular, path)) for path in paths)
    found = []
    for answers, unreadable in batches(
        predictor, named, batch_size=batch_size, threshold=threshold
    ):
        for name, reason in unreadable:
            raise ValueError(f"{name}: {reason}")
        found += answers
    return found


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


def batches(
    predictor: Predictor,
    named: Iterable[tuple[str, Callable[[], bytes]]],
    *,
    batch_size: int,
    threshold: float | None,
    sure: bool = False,
    top_k: int | None = None,
    **reading: Any,
) -> Iterator[tuple[list[Answer], list[tuple[str, str]]]]:
    """Answers of a batch of images, and those that cannot be read with the reason.

    `sure`: as the command `predict` has it. `reading`: first_frame and max_pixels of
    `tfrecords.read_images`.
    """
    import tfrecords

    for batch in tfrecords.read_images(
        named, batch_size=batch_size, **reading, **predictor.preprocessing
    ):
        answers = []
        if batch.names:
            filled = np.zeros((batch_size, *batch.images.shape[1:]), np.uint8)
            filled[: len(batch.names)] = batch.images  # one shape: another would be compiled again
            probabilities = finite_answers.checked(
                predictor.probabilities(filled)[: len(batch.names)]
            )
            least = predictor.thresholds if threshold is None else threshold
            own = predictor.sure if sure else None
            if own is not None:
                probabilities, least = own.probabilities(probabilities), own.least
            within = own.in_set if own is not None else None
            answers = [
                answer(name, row, predictor, threshold=least, top_k=top_k, in_set=within)
                for name, row in zip(batch.names, probabilities, strict=True)
            ]
        yield answers, batch.unreadable
