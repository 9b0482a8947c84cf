"""Mixin that quantizes models, adds LoRA to their towers, and saves and loads them so."""

import warnings
from numbers import Integral
from typing import Any

import keras

from dual_encoder.build_export_mixin import TOWERS, BuiltOfTowers
from dual_encoder.towers.transformer import quantization_of
from duet import keras_private_api


class TakesLoraAndIntegers(BuiltOfTowers):
    """Mixin, placed before `keras.Model`: `enable_lora` and `quantize`."""

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """As in Keras, without a batch before; a model saved afterwards loads quantized.

        Raises ValueError for a model without layers, such as CoOp.
        """
        if len(keras_private_api.layers_of(self)) == 1:  # Keras would not come back
            raise ValueError(f"quantize: expected a model of layers; {self.name} has none")
        with warnings.catch_warnings():
            # Keras warns for each layer that it cannot quantize, such as norms.
            warnings.filterwarnings("ignore", message="Layer .* does not have a `quantize`")
            super().quantize(mode, config=config, **kwargs)

    def _check_quantize_args(self, mode: Any, compute_dtype: Any) -> None:
        # Keras looks before `quantize` is called whether the model is built.
        self.built_now()
        super()._check_quantize_args(mode, compute_dtype)

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
