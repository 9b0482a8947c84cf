"""Export a classifier as a SavedModel: image files in, names and probabilities out."""

import fnmatch
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.deployment.load_classifier import Deployable

FILE, PIXELS, ABOUT = "serving_default", "pixels", "about"  # names of the signatures


def write(deployable: Deployable, folder: Path, *, top: int) -> None:
    """Write the SavedModel; serving needs only TensorFlow.

    Its signatures:

    ===================  =================================  ====================================
    serving_default      image_bytes, string [b]: JPEG or   top_names string [b, k],
    PNG, of any size                   top_probabilities float32 [b, k],
    probabilities float32 [b, c]
    pixels               pixels, uint8 [b, s, s, 3]         the same
    about                                                   class_names string [c], templates
    string [t], preprocessing string (JSON)
    ===================  =================================  ====================================

    Args:
        deployable: the classifier.
        folder: it is made or filled.
        top: k, at most the number of classes.
    """
    import keras
    import tensorflow as tf

    import tfrecords

    side, preprocessing = deployable.image_size, deployable.preprocessing
    names = tf.constant(deployable.class_names)

    def of_pixels(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = deployable.probabilities(pixels)
        best = tf.math.top_k(probabilities, min(top, len(deployable.class_names)))
        return {
            "top_names": tf.gather(names, best.indices),
            "top_probabilities": best.values,
            "probabilities": probabilities,
        }

    def of_files(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return of_pixels(tfrecords.uploads_to_squares(image_bytes, **preprocessing))

    def about() -> dict[str, tf.Tensor]:
        return {
            "class_names": names,
            "templates": tf.constant(deployable.templates, tf.string, [len(deployable.templates)]),
            "preprocessing": tf.constant(json.dumps(preprocessing)),
        }

    # No track(model): Keras would write every variable a second time.
    archive = keras.export.ExportArchive()
    pixels = tf.TensorSpec([None, side, side, 3], tf.uint8, name="pixels")
    files = tf.TensorSpec([None], tf.string, name="image_bytes")
    archive.add_endpoint(FILE, of_files, input_signature=[files])
    archive.add_endpoint(PIXELS, of_pixels, input_signature=[pixels])
    archive.add_endpoint(ABOUT, about, input_signature=[])
    archive.write_out(str(folder), verbose=False)


def _loaded(folder: Path) -> Any:
    """Loads a SavedModel, through a link where its path reads as a pattern for other paths.

    TensorFlow finds the file of the weights by a pattern, in which `[2024]` is one of four digits.
    """
    import tensorflow as tf

    path = str(folder.absolute())
    if fnmatch.fnmatchcase(path, path) and "\\" not in path:
        return tf.saved_model.load(str(folder))
    with tempfile.TemporaryDirectory() as plain:
        link = Path(plain) / "saved_model"
        link.symlink_to(path, target_is_directory=True)
        return tf.saved_model.load(str(link))


def reader(folder: Path) -> Callable[[list[bytes]], np.ndarray]:
    """Returns the SavedModel's function from image files to probabilities float32 [b, c]."""
    import tensorflow as tf

    loaded = _loaded(folder)
    serve = loaded.signatures[FILE]

    def probabilities(files: list[bytes]) -> np.ndarray:
        return serve(image_bytes=tf.constant(files))["probabilities"].numpy()

    probabilities.keeps = loaded  # type: ignore[attr-defined]  # variables live as long as it
    return probabilities


def pixels_reader(folder: Path) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    """Returns a SavedModel's facts (`class_names`, `templates`, `preprocessing`), and its function
    from pixels uint8 [b, s, s, 3] to probabilities float32 [b, c].

    Raises ValueError for one that `write` did not write.
    """
    import tensorflow as tf

    loaded = _loaded(folder)
    if not {ABOUT, PIXELS} <= set(loaded.signatures):
        raise ValueError(
            f"{folder}: expected a SavedModel that export wrote, with the signatures {PIXELS} and "
            f"{ABOUT}; it has {', '.join(loaded.signatures) or 'none'}"
        )
    told = {name: value.numpy() for name, value in loaded.signatures[ABOUT]().items()}
    about = {
        **{name: [text.decode() for text in told[name]] for name in ("class_names", "templates")},
        "preprocessing": json.loads(told["preprocessing"]),
    }
    serve = loaded.signatures[PIXELS]

    def probabilities(pixels: np.ndarray) -> np.ndarray:
        return serve(pixels=tf.constant(pixels))["probabilities"].numpy()

    probabilities.keeps = loaded  # type: ignore[attr-defined]  # variables live as long as it
    return about, probabilities
