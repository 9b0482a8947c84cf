"""Mixin that builds models of towers, and saves and exports them without a batch."""

import contextlib
import functools
import importlib.util
import inspect
import os
from typing import TYPE_CHECKING, Any

import keras

from dual_encoder import onnx_postprocessing
from dual_encoder.training import saved_frozen_flags
from duet import atomic_files, keras_private_api

if TYPE_CHECKING:
    from keras import Model as _Model
else:
    _Model = object

TOWERS = ("image_tower", "text_tower")

NEEDS = {"onnx": ("tf2onnx", "onnx"), "openvino": ("openvino",)}  # packages of export formats


def _built_first(name: str) -> Any:
    """Returns Keras' method of this name for `BuiltOfTowers`, which builds the model first."""

    def method(self: "BuiltOfTowers", *args: Any, **kwargs: Any) -> Any:
        self.built_now()
        return getattr(super(BuiltOfTowers, self), name)(*args, **kwargs)

    return functools.update_wrapper(method, getattr(keras.Model, name))


class BuiltOfTowers(_Model):
    """Mixin, placed before `keras.Model`: towers know their input shapes, so the model is built
    where Keras would require a batch first."""

    def built_now(self) -> "BuiltOfTowers":
        """Returns the model, built if it has towers and was not built before."""
        if not self.built and any(hasattr(self, name) for name in TOWERS):
            tensorflow = keras.backend.backend() == "tensorflow"
            with self.distribute_strategy.scope() if tensorflow else contextlib.nullcontext():
                self.build()
        return self

    def get_build_config(self) -> dict | None:
        """As in Keras, with the weights that are frozen."""
        config = super().get_build_config()
        found = saved_frozen_flags.frozen(self)
        return {**(config or {}), "frozen": found} if found else config

    def build_from_config(self, config: dict) -> None:
        """As in Keras; weights that were frozen are frozen again."""
        config = dict(config)
        found = config.pop("frozen", ())
        super().build_from_config(config)
        if found:
            saved_frozen_flags.freeze(self.built_now(), found)

    def input_specs(self) -> Any:
        """The inputs as `keras.InputSpec` with any batch size, as traced by `export`."""
        size = self.image_size
        return keras.InputSpec(shape=(None, size, size, 3), dtype="float32", name="image")

    count_params = _built_first("count_params")
    get_weights = _built_first("get_weights")
    load_weights = _built_first("load_weights")
    save_weights = _built_first("save_weights")
    set_weights = _built_first("set_weights")
    summary = _built_first("summary")
    __reduce__ = _built_first("__reduce__")  # of pickle and copy

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """As in Keras, to a file that ends in `.keras`, in whole or not at all; see `atomic`.

        Raises ValueError for Keras' old format, `.h5`, which writes but does not load these models.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"save: expected a file that ends in .keras; got {filepath}, of which no model of "
                "Duet loads again; save_weights takes one that ends in .weights.h5"
            )
        self.built_now()
        given = inspect.signature(keras.Model.save).bind(self, filepath, *args, **kwargs).arguments
        # Keras empties the file before it writes; where it asks first, or writes elsewhere, it is
        # left to it.
        is_file = str(filepath).endswith(".keras") and "://" not in str(filepath)
        if not is_file or (not given.get("overwrite", True) and os.path.exists(filepath)):
            super().save(filepath, *args, **kwargs)
            return
        with atomic_files.atomic(filepath) as unfinished:
            super().save(unfinished, *args, **kwargs)

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
