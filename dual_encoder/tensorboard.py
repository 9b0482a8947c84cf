"""TensorBoard callback: losses, learning rate, speed, zero-shot accuracy, and the projector."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dual_encoder.class_prompts import check_texts
from dual_encoder.zero_shot import ZeroShotClassifier

PROJECTOR = """embeddings {{
  tensor_name: "images"
  tensor_path: "{tensors}"
  metadata_path: "{labels}"
  sprite {{ image_path: "{sprite}" single_image_dim: {side} single_image_dim: {side} }}
}}
"""


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras' callback (losses, metrics, learning rate), which also logs `images_per_second` and
    zero-shot accuracy per epoch, and an embedding projection at the end.

    Its values are added to the logs, so `History`, `EarlyStopping(monitor=
    "val_zero_shot_accuracy", mode="max")` and the progress bar see them if they come later in the
    list of callbacks.

    Args:
        log_dir: for `tensorboard --logdir`.
        zero_shot: batches of images and labels, as from `tfrecords.load` without a tokenizer;
            logged as `val_zero_shot_accuracy` of a dual encoder.
        class_names: of these labels.
        templates: prompt templates with {} for the name.
        projector: images uint8 [n, s, s, 3] and their n labels or captions; their embeddings are
            shown under "Projector", with the images as thumbnails.
        kwargs: of `keras.callbacks.TensorBoard`.

    Raises:
        ValueError: class names without batches or vice versa, invalid texts, or projected images
            and labels of different numbers.

    Example:
        >>> board = dual_encoder.TensorBoard("logs", zero_shot=test, class_names=names)
        >>> model.fit(train, epochs=10, callbacks=[board])
    """

    def __init__(
        self,
        log_dir: str | Path = "logs",
        *,
        zero_shot: Any = None,
        class_names: Sequence[str] | None = None,
        templates: Sequence[str] = ("a photo of a {}.",),
        projector: tuple[np.ndarray, Sequence[Any]] | None = None,
        **kwargs: Any,
    ):
        super().__init__(str(log_dir), **kwargs)
        if (zero_shot is None) != (class_names is None):
            raise ValueError("zero_shot: expected batches and class_names together; got one alone")
        if class_names is not None:
            check_texts(class_names, templates)
        self._batches, self._names, self._templates = zero_shot, class_names, templates
        if projector is not None:
            _check_projector(*projector)
        self._projector = projector
        self._classifier: ZeroShotClassifier | None = None
        self._start = 0.0
        self._speed: float | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        if self._batches is not None:  # names that cannot be told apart are refused at once
            self._update_classifier()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._start, self._speed = time.perf_counter(), None
        super().on_epoch_begin(epoch, logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._note_speed()  # starts a new measurement for validation
        super().on_test_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._note_speed()
        logs = {} if logs is None else logs
        if self._speed is not None:
            logs["images_per_second"] = self._speed
        if self._batches is not None:
            logs["val_zero_shot_accuracy"] = self._zero_shot_accuracy()
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        super().on_train_end(logs)
        if self._projector is not None:
            write_projector(self.model, Path(self.log_dir), *self._projector)

    def _note_speed(self) -> None:
        loss = next((each for each in self.model.metrics if each.name == "loss"), None)
        if self._speed is None and loss is not None:
            seconds = time.perf_counter() - self._start
            self._speed = float(keras.ops.convert_to_numpy(loss.count)) / seconds

    def _zero_shot_accuracy(self) -> float:
        classifier = self._update_classifier()
        return classifier.evaluate(self._batches, verbose=0, return_dict=True)["accuracy"]

    def _update_classifier(self) -> ZeroShotClassifier:
        if self._classifier is None:
            self._classifier = ZeroShotClassifier.from_names(
                self.model, self._names or (), self._templates
            )
            self._classifier.compile(metrics=["accuracy"])
        else:
            self._classifier.update(self.model)
        return self._classifier


def _check_projector(images: np.ndarray, labels: Sequence[Any]) -> None:
    if len(images) != len(labels):
        raise ValueError(f"projector: expected a label per image; got {len(images)}, {len(labels)}")


def write_projector(
    model: keras.Model,
    folder: Path,
    images: np.ndarray,
    labels: Sequence[Any],
    *,
    side: int = 48,
) -> None:
    """Write the files of TensorBoard's projector: embeddings, labels and a thumbnail sheet.

    Raises ValueError if the numbers of images and labels differ.
    """
    from PIL import Image

    _check_projector(images, labels)
    embeddings = keras.ops.convert_to_numpy(model.encode_image(images))
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "embeddings.tsv", embeddings, delimiter="\t", fmt="%.6g")
    lines = [" ".join(str(label).split()) or "-" for label in labels]
    (folder / "labels.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns = int(np.ceil(np.sqrt(len(images))))
    sheet = Image.new("RGB", (columns * side, columns * side))
    for place, image in enumerate(np.asarray(images, np.uint8)):
        small = Image.fromarray(image).resize((side, side))
        sheet.paste(small, (place % columns * side, place // columns * side))
    sheet.save(folder / "sprite.png")
    names = {"tensors": "embeddings.tsv", "labels": "labels.tsv", "sprite": "sprite.png"}
    text = PROJECTOR.format(side=side, **names)
    (folder / "projector_config.pbtxt").write_text(text, encoding="utf-8")
