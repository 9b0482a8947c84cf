"""What plain Keras promises of any model, kept by models that are made of towers."""

import contextlib
import importlib.util
import inspect
import warnings
from typing import TYPE_CHECKING, Any

import keras

from dual_encoder._keras_private import layers_of
from dual_encoder.image_pixels import notice_fractions
from dual_encoder.row_weights import is_weighted, weighted_by_class, without_padding
from dual_encoder.towers.base import check_size

if TYPE_CHECKING:
    from keras import Model as _Model
else:
    _Model = object

TOWERS = ("image_tower", "text_tower")

NEEDS = {"onnx": ("tf2onnx", "onnx"), "openvino": ("openvino",)}  # packages of export's formats


class PlainKeras(_Model):
    """Mixin of Duet's models, in front of `keras.Model`.

    A model knows its shapes from its towers, so it is built wherever Keras would ask for a batch
    first: `compile`, `fit`, `summary`, `load_weights`, `export`, `quantize`.
    """

    def built_now(self) -> "PlainKeras":
        """The model, built if it was not and has towers, which know their shapes."""
        if not self.built and any(hasattr(self, name) for name in TOWERS):
            tensorflow = keras.backend.backend() == "tensorflow"
            with self.distribute_strategy.scope() if tensorflow else contextlib.nullcontext():
                self.build()
        return self

    def input_specs(self) -> Any:
        """The inputs as `keras.InputSpec`, with the batch open: what `export` traces."""
        size = self.image_size
        return keras.InputSpec(shape=(None, size, size, 3), dtype="float32", name="image")

    def check_inputs(self, data: Any) -> None:
        """Raise a ValueError of one line where a batch cannot be right, before Keras traces it.

        Args:
            data: the x of `fit`: arrays or a `tf.data.Dataset`; others are left to Keras.
        """
        images = images_of(inputs_of(data))
        if hasattr(self, "image_tower") and hasattr(images, "shape"):
            check_size(images, self.image_size)
            notice_fractions(images)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As Keras'."""
        self.built_now()
        super().compile(*args, **kwargs)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras', with `class_weight` for datasets that have weights already.

        Raises:
            ValueError: a dataset of several epochs in a row, of `tfrecords.load(epochs=...)`, as
                every one of several epochs.
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
        if given.get("class_weight") is not None and is_weighted(x):
            given["x"] = weighted_by_class(x, given.pop("class_weight"))
        if hasattr(x, "element_spec"):
            given.setdefault("shuffle", False)  # of which Keras warns that it changes nothing
        self.check_inputs(x)
        self.built_now()
        given.pop("self")
        return super().fit(**given)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras'."""
        self.check_inputs(x)
        self.built_now()
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras', with a row for each image: rows of weight 0 are padding and left out."""
        self.check_inputs(x)
        self.built_now()
        return super().predict(without_padding(x), *args, **kwargs)

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """As Keras'."""
        self.built_now()
        super().summary(*args, **kwargs)

    def load_weights(self, *args: Any, **kwargs: Any) -> None:
        """As Keras'."""
        self.built_now()
        super().load_weights(*args, **kwargs)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """As Keras', in all of its formats, without a call before; images are float32 0-255.

        Raises:
            ImportError: a package that the format needs is missing; names it.
        """
        for package in NEEDS.get(format, ()):
            if importlib.util.find_spec(package) is None:
                raise ImportError(
                    f"export to {format} needs the package {package}: pip install {package}"
                )
        self.built_now()
        signature = [self.input_specs()] if input_signature is None else input_signature
        super().export(filepath, format, verbose, input_signature=signature, **kwargs)

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """As Keras'; what is saved afterwards loads as it was."""
        with warnings.catch_warnings():
            # Norms and the like stay as they are, which Keras says of each.
            warnings.filterwarnings("ignore", message="Layer .* does not have a `quantize`")
            super().quantize(mode, config=config, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """As Keras', with the modes of layers that `quantize` has changed."""
        modes = {
            str(place): mode
            for place, layer in enumerate(layers_of(self))
            if (mode := quantization_of(layer)) is not None
        }
        return {**super().get_config(), **({"quantized": modes} if modes else {})}

    def get_compile_config(self) -> dict[str, Any] | None:
        """As Keras'; None with LoRA, whose optimizer knows matrices that a file does not hold."""
        if any(getattr(layer, "lora_enabled", False) for layer in layers_of(self)):
            return None
        return super().get_compile_config()

    @classmethod
    def made_of(cls, config: dict[str, Any]) -> Any:
        """The model of a configuration whose parts are made already, quantized as it was."""
        config = dict(config)
        quantized = config.pop("quantized", {})
        model = cls(**config)
        if quantized:
            layers = layers_of(model.built_now())
            for place, mode in quantized.items():
                if quantization_of(layers[int(place)]) is None:
                    layers[int(place)].quantize(mode)
        return model

    def enable_lora(self, rank: int, *, alpha: float | None = None) -> None:
        """Freeze the towers and train a low-rank change of each of their dense matrices.

        LoRA, Hu et al. 2022 (arXiv:2106.09685), by Keras' own `Dense.enable_lora`; projections and
        heads train as before. `compile` afterwards, and after loading: saving adds the change to
        the matrices.

        Args:
            rank: of the change.
            alpha: its scale is `alpha / rank`; 1 without it.

        Raises:
            ValueError: the towers have no dense matrices.
        """
        self.built_now()
        parts = [getattr(self, name, None) for name in TOWERS]
        layers = [layer for part in parts if part is not None for layer in layers_of(part)]
        dense = [layer for layer in layers if isinstance(layer, keras.layers.Dense)]
        if not dense:
            raise ValueError("enable_lora: expected a tower with dense matrices; this has none")
        for part in parts:
            for variable in part.trainable_variables if part is not None else ():
                variable.trainable = False
        for layer in dense:
            layer.enable_lora(rank, lora_alpha=alpha)


def inputs_of(data: Any) -> Any:
    """The x of a dataset, as the shapes of a batch; of arrays the arrays themselves."""
    spec = getattr(data, "element_spec", data)
    return spec[0] if hasattr(data, "element_spec") and isinstance(spec, tuple) else spec


def images_of(inputs: Any) -> Any:
    """The images among a model's inputs; None where there are none."""
    if isinstance(inputs, dict):
        return inputs.get("image")
    return inputs[0] if isinstance(inputs, tuple | list) and inputs else inputs


def quantization_of(layer: keras.layers.Layer) -> str | None:
    """The mode that a layer was quantized in, such as `"int8"`; None for models and others."""
    if isinstance(layer, keras.Model):
        return None
    return getattr(layer.dtype_policy, "quantization_mode", None)
