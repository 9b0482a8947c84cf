"""Make models built of towers support the full API of a Keras model."""

import contextlib
import functools
import importlib.util
import inspect
import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any

import keras

from dual_encoder import onnx_postprocessing
from dual_encoder.image_inputs import notice_range
from dual_encoder.towers.base import check_size, image_in
from dual_encoder.training import frozen_weights
from dual_encoder.training.label_checks import check_class_weight, check_labels
from dual_encoder.training.sample_weights import is_weighted, weighted_by_class, without_padding
from duet import keras_private_api

if TYPE_CHECKING:
    from keras import Model as _Model
else:
    _Model = object

TOWERS = ("image_tower", "text_tower")

NEEDS = {"onnx": ("tf2onnx", "onnx"), "openvino": ("openvino",)}  # packages of export formats


def _built_first(name: str) -> Any:
    """Returns Keras' method of this name for `PlainKeras`, which builds the model first."""

    def method(self: "PlainKeras", *args: Any, **kwargs: Any) -> Any:
        self.built_now()
        return getattr(super(PlainKeras, self), name)(*args, **kwargs)

    return functools.update_wrapper(method, getattr(keras.Model, name))


class PlainKeras(_Model):
    """Mixin of Duet's models, placed before `keras.Model`.

    Towers know their input shapes, so the model is built automatically where Keras would require a
    batch first: `compile`, `fit`, `summary`, `load_weights`, `save`, `export`, `quantize`.
    """

    # `layer_kinds` when Keras' functions were made: where it differs they are traced again.
    _trained_kinds: int | None = None
    _tested_kinds: int | None = None
    _predicted_kinds: int | None = None

    def built_now(self) -> "PlainKeras":
        """Returns the model, built if it has towers and was not built before."""
        if not self.built and any(hasattr(self, name) for name in TOWERS):
            tensorflow = keras.backend.backend() == "tensorflow"
            with self.distribute_strategy.scope() if tensorflow else contextlib.nullcontext():
                self.build()
        return self

    def get_build_config(self) -> dict | None:
        """As in Keras, with the weights that are frozen."""
        config = super().get_build_config()
        found = frozen_weights.frozen(self)
        return {**(config or {}), "frozen": found} if found else config

    def build_from_config(self, config: dict) -> None:
        """As in Keras; weights that were frozen are frozen again."""
        config = dict(config)
        found = config.pop("frozen", ())
        super().build_from_config(config)
        if found:
            frozen_weights.freeze(self.built_now(), found)

    def input_specs(self) -> Any:
        """The inputs as `keras.InputSpec` with any batch size, as traced by `export`."""
        size = self.image_size
        return keras.InputSpec(shape=(None, size, size, 3), dtype="float32", name="image")

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

    def check_targets(self, x: Any, y: Any) -> None:
        """Raises a one-line ValueError for labels that no class has; see `check_labels`."""
        names = getattr(self, "class_names", None)
        is_known = hasattr(x, "element_spec") or hasattr(images_of(x), "shape")
        if names is not None and is_known and self.compiled:
            check_labels(targets_of(x, y), classes=len(names), loss=self.loss)

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
        self.built_now()
        self._make_metrics(targets_of(x, given.get("y")))
        given.pop("self")
        return super().fit(**given)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; ValueError for images or labels that the model cannot take."""
        y = args[0] if args else kwargs.get("y")
        self.check_inputs(x)
        self.check_targets(x, y)
        self.built_now()
        self._make_metrics(targets_of(x, y))
        return super().evaluate(x, *args, **kwargs)

    def _make_metrics(self, y: Any) -> None:
        """Makes the metrics of a classifier before its step is traced; see `keras_private_api`."""
        names, shape = getattr(self, "class_names", None), getattr(y, "shape", None)
        if names is None or shape is None or not self.compiled or keras_private_api.is_scoped(self):
            return  # within a strategy Keras takes a batch first
        predicted = keras.KerasTensor((None, len(names)))
        keras_private_api.make_metrics(self, keras.KerasTensor(tuple(shape)), predicted)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As in Keras, with one row per image: padding rows of weight 0 are left out."""
        self.check_inputs(x)
        self.built_now()
        return super().predict(without_padding(x), *args, **kwargs)

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

    count_params = _built_first("count_params")
    get_weights = _built_first("get_weights")
    load_weights = _built_first("load_weights")
    save_weights = _built_first("save_weights")
    set_weights = _built_first("set_weights")
    summary = _built_first("summary")
    __reduce__ = _built_first("__reduce__")  # of pickle and copy

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """As in Keras, to a file that ends in `.keras`.

        Raises ValueError for Keras' old format, `.h5`, which writes but does not load these models.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"save: expected a file that ends in .keras; got {filepath}, of which no model of "
                "Duet loads again; save_weights takes one that ends in .weights.h5"
            )
        self.built_now()
        super().save(filepath, *args, **kwargs)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """As in Keras, in all formats, without calling the model first; images are float32 0-255.

        Raises:
            ImportError: a package required by the format is missing; names it.
            ValueError: a model of images and texts to ONNX.
        """
        for package in NEEDS.get(format, ()):
            if importlib.util.find_spec(package) is None:
                raise ImportError(
                    f"export to {format} needs the package {package}: pip install {package}"
                )
        self.built_now()
        specs = self.input_specs()
        signature = [specs] if input_signature is None else input_signature
        keras_private_api.name_for_export(self)
        if format != "onnx":
            super().export(filepath, format, verbose, input_signature=signature, **kwargs)
            return
        if isinstance(specs, dict):
            raise ValueError(
                "export to onnx: tf2onnx takes no model of images and texts; export a "
                "ZeroShotClassifier of it, or in format tf_saved_model"
            )
        with onnx_postprocessing.exporting():
            super().export(filepath, format, verbose, input_signature=signature, **kwargs)
        onnx_postprocessing.finish(filepath)

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """As in Keras; a model saved afterwards loads quantized."""
        with warnings.catch_warnings():
            # Keras warns for each layer that it cannot quantize, such as norms.
            warnings.filterwarnings("ignore", message="Layer .* does not have a `quantize`")
            super().quantize(mode, config=config, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """As in Keras, with the quantization modes of layers."""
        modes = {
            str(place): mode
            for place, layer in enumerate(keras_private_api.layers_of(self))
            if (mode := quantization_of(layer)) is not None
        }
        return {**super().get_config(), **({"quantized": modes} if modes else {})}

    def get_compile_config(self) -> dict[str, Any] | None:
        """As in Keras; None with LoRA, whose matrices in the optimizer are not saved."""
        if any(
            getattr(layer, "lora_enabled", False) for layer in keras_private_api.layers_of(self)
        ):
            return None
        return super().get_compile_config()

    @classmethod
    def made_of(cls, config: dict[str, Any]) -> Any:
        """Returns the model of a configuration with deserialised parts, quantized as saved."""
        config = dict(config)
        quantized = config.pop("quantized", {})
        model = cls(**config)
        if quantized:
            layers = keras_private_api.layers_of(model.built_now())
            for place, mode in quantized.items():
                if quantization_of(layers[int(place)]) is None:
                    layers[int(place)].quantize(mode)
        return model

    def enable_lora(self, rank: int, *, alpha: float | None = None) -> None:
        """Freeze the towers and train low-rank updates of their dense matrices.

        LoRA, Hu et al. 2022 (arXiv:2106.09685), with Keras' `Dense.enable_lora`; projections and
        heads train as before. Call `compile` afterwards, and after loading: saving merges the
        updates into the matrices.

        Args:
            rank: of the updates.
            alpha: updates are scaled by `alpha / rank`; by 1 if None.

        Raises:
            ValueError: a rank below 1, or towers that have no dense matrices, or LoRA already.
        """
        if not isinstance(rank, Integral) or rank < 1:
            raise ValueError(f"rank: expected a whole number of 1 or more; got {rank!r}")
        self.built_now()
        parts = [part for name in TOWERS if (part := getattr(self, name, None)) is not None]
        layers = [layer for part in parts for layer in keras_private_api.layers_of(part)]
        dense = [layer for layer in layers if isinstance(layer, keras.layers.Dense)]
        if not dense:
            raise ValueError("enable_lora: expected a tower with dense matrices; this has none")
        if any(layer.lora_enabled for layer in dense):
            raise ValueError("enable_lora: expected a model without LoRA; this has it already")
        for part in parts:
            for variable in part.trainable_variables:
                variable.trainable = False
        for layer in dense:
            layer.enable_lora(rank, lora_alpha=alpha)


def inputs_of(data: Any) -> Any:
    """Returns the x of a dataset as batch shapes; arrays are returned unchanged."""
    spec = getattr(data, "element_spec", data)
    return spec[0] if hasattr(data, "element_spec") and isinstance(spec, tuple) else spec


def targets_of(data: Any, y: Any) -> Any:
    """Returns the y of a dataset as batch shapes; that of arrays is returned unchanged."""
    spec = getattr(data, "element_spec", None)
    return spec[1] if isinstance(spec, tuple) and len(spec) > 1 else y


def images_of(inputs: Any) -> Any:
    """Returns the images among a model's inputs; None if there are none."""
    if isinstance(inputs, dict):
        return inputs.get("image")
    return inputs[0] if isinstance(inputs, tuple | list) and inputs else inputs


def quantization_of(layer: keras.layers.Layer) -> str | None:
    """Returns a layer's quantization mode, such as `"int8"`; None if not quantized."""
    if isinstance(layer, keras.Model):
        return None
    return getattr(layer.dtype_policy, "quantization_mode", None)
