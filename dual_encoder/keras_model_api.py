"""Make models built of towers support the full API of a Keras model."""

import inspect
from typing import Any

import keras

from dual_encoder.fit_arguments import images_of, inputs_of, targets_of
from dual_encoder.image_inputs import notice_range
from dual_encoder.quantize_lora_mixin import TakesLoraAndIntegers
from dual_encoder.towers.base import check_size, image_in
from dual_encoder.training.label_checks import check_class_weight, check_labels
from dual_encoder.training.sample_weights import is_weighted, weighted_by_class, without_padding
from duet import keras_private_api


class PlainKeras(TakesLoraAndIntegers):
    """Mixin of Duet's models, placed before `keras.Model`.

    `fit`, `evaluate` and `predict` check what they are given, build the model where that is not
    done, and go by the weights that are there.
    """

    # `layer_kinds` when Keras' functions were made: where it differs they are traced again.
    _trained_kinds: int | None = None
    _tested_kinds: int | None = None
    _predicted_kinds: int | None = None

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As in Keras."""
        self.built_now()
        super().compile(*args, **kwargs)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in Keras, with `class_weight` also for datasets with sample weights.

        Raises:
            ValueError: images or labels that the model cannot take; or `epochs` together with a
                dataset that already contains several epochs (`tfrecords.load(epochs=...)`).
        """
        given = inspect.signature(keras.Model.fit).bind(self, x, *args, **kwargs).arguments
        in_a_row = getattr(x, "epochs_in_a_row", 1)
        epochs = given.get("epochs", 1) - given.get("initial_epoch", 0)
        if in_a_row > 1 and epochs > 1 and given.get("steps_per_epoch") is None:
            raise ValueError(
                f"fit: the dataset holds {in_a_row} epochs in a row, so {epochs} epochs of it "
                f"would be {epochs * in_a_row}: leave epochs= out in tfrecords.load, or give "
                "steps_per_epoch here"
            )
        if given.get("class_weight") is not None:
            check_class_weight(given["class_weight"])
            if is_weighted(x):
                given["x"] = weighted_by_class(x, given.pop("class_weight"))
        if hasattr(x, "element_spec"):
            given.setdefault("shuffle", False)  # Keras warns that shuffling a dataset has no effect
        self.check_inputs(x)
        self.check_targets(x, given.get("y"))
        if given.get("validation_data") is not None:
            self._check_validation(given["validation_data"])
        self.built_now()
        self.check_batches(x, given.get("batch_size"), training=True)
        self._make_metrics(targets_of(x, given.get("y")))
        given.pop("self")
        return super().fit(**given)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; ValueError for images or labels that the model cannot take."""
        given = inspect.signature(keras.Model.evaluate).bind(self, x, *args, **kwargs).arguments
        y = given.get("y")
        self.check_inputs(x)
        self.check_targets(x, y)
        self.built_now()
        self.check_batches(x, given.get("batch_size"), training=False)
        self._make_metrics(targets_of(x, y))
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As in Keras, with one row per image: padding rows of weight 0 are left out."""
        self.check_inputs(x)
        self.built_now()
        return super().predict(without_padding(x), *args, **kwargs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """As in Keras; ValueError for images or labels that the model cannot take."""
        if class_weight is not None:
            check_class_weight(class_weight)
        self.check_inputs(x)
        self.check_targets(x, y)
        return super().train_on_batch(x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """As in Keras; ValueError for images or labels that the model cannot take."""
        self.check_inputs(x)
        self.check_targets(x, y)
        return super().test_on_batch(x, y, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """As in Keras; ValueError for images that the model cannot take."""
        self.check_inputs(x)
        return super().predict_on_batch(x)

    def _check_validation(self, data: Any) -> None:
        """Refuses before an epoch is trained what `evaluate` would refuse after it."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        try:
            self.check_inputs(x)
            self.check_targets(x, y)
        except ValueError as error:
            raise ValueError(f"validation_data: {error}") from None

    def check_inputs(self, data: Any) -> None:
        """Raises a one-line ValueError for an invalid batch, before Keras traces it.

        Args:
            data: the x of `fit`: arrays or a `tf.data.Dataset`; others are left to Keras.
        """
        inputs = inputs_of(data)
        if hasattr(self, "image_tower") and not hasattr(self, "text_tower"):
            inputs = image_in(inputs)
        images = images_of(inputs)
        if hasattr(self, "image_tower") and hasattr(images, "shape"):
            check_size(images, self.image_size)
            if images.shape[0] == 0:
                raise ValueError("images: expected one or more; got none")
            notice_range(images)

    def check_batches(self, x: Any, batch_size: int | None, *, training: bool) -> None:
        """Raises a one-line ValueError for arrays in batches that the devices cannot share."""

    def check_targets(self, x: Any, y: Any) -> None:
        """Raises a one-line ValueError for labels that no class has; see `check_labels`."""
        names = getattr(self, "class_names", None)
        labels = getattr(x, "label_count", 0)  # of `tfrecords.load`
        if names is not None and labels > len(names):
            raise ValueError(
                f"y: expected labels of the {len(names)} classes of the model; got a dataset of "
                f"{labels} classes (names: Manifest.read(...).spoken_names)"
            )
        is_known = hasattr(x, "element_spec") or hasattr(images_of(x), "shape")
        if names is not None and is_known and self.compiled:
            check_labels(targets_of(x, y), classes=len(names), loss=self.loss)

    def _make_metrics(self, y: Any) -> None:
        """Makes the metrics of a classifier before its step is traced; see `keras_private_api`."""
        names, shape = getattr(self, "class_names", None), getattr(y, "shape", None)
        if names is None or shape is None or not self.compiled or keras_private_api.is_scoped(self):
            return  # within a strategy Keras takes a batch first
        predicted = keras.KerasTensor((None, len(names)))
        keras_private_api.make_metrics(self, keras.KerasTensor(tuple(shape)), predicted)

    def make_train_function(self, force: bool = False) -> Any:
        """As in Keras.

        Raises:
            ValueError: `enable_lora` or `quantize` after a step of training, without `compile`:
                the optimizer would go on with the weights that were there before.
        """
        kinds = keras_private_api.layer_kinds(self)
        if self.train_function is not None and kinds != self._trained_kinds:
            raise ValueError(
                "fit: enable_lora or quantize has replaced weights since the last step of "
                "training; call compile again"
            )
        made = super().make_train_function(force)
        self._trained_kinds = kinds
        return made

    def make_test_function(self, force: bool = False) -> Any:
        """As in Keras, traced again where LoRA or quantization has replaced weights."""
        kinds = keras_private_api.layer_kinds(self)
        made = super().make_test_function(force or kinds != self._tested_kinds)
        self._tested_kinds = kinds
        return made

    def make_predict_function(self, force: bool = False) -> Any:
        """As in Keras, traced again where LoRA or quantization has replaced weights."""
        kinds = keras_private_api.layer_kinds(self)
        made = super().make_predict_function(force or kinds != self._predicted_kinds)
        self._predicted_kinds = kinds
        return made
