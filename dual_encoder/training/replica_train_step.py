"""Training steps that produce the same weights on any number of replicas."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from dual_encoder.fit_arguments import images_of
from dual_encoder.keras_model_api import PlainKeras
from dual_encoder.training import gradient_cache
from dual_encoder.training.compile_on_logits import loss_on_logits
from dual_encoder.training.fused_adamw import AdamW
from dual_encoder.training.replica_gradient_clipping import global_gradients
from dual_encoder.training.replica_limits import refuse_impossible, refuse_uneven, spans_workers
from dual_encoder.training.sample_weights import of_real_rows
from duet import keras_private_api


class ExactTraining(PlainKeras):
    """Mixin for `keras.Model`: `class DualEncoder(ExactTraining, keras.Model)`.

    `fit` and `evaluate` under `tf.distribute` then match one device on the same global batch, up to
    rounding, if `compute_loss` returns this replica's *share* of the global loss (Keras sums the
    gradients of the replicas). Deviations of Keras 3.15 are corrected here, each with its reason;
    `compile` refuses what cannot be corrected.

    Other backends use Keras' steps.
    """

    micro_batch: int | None = None
    teacher: Any = None  # a `Teacher`

    @property
    def gives_logits(self) -> bool:
        """Whether the outputs of a classifier are logits, not probabilities."""
        return True

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        *,
        micro_batch: int | None = None,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`, in the scope of the strategy the model was built under.

        Args:
            optimizer: as in Keras; `"adamw"` is Duet's.
            loss: as in Keras; cross-entropies named take logits, as the models give.
            micro_batch: rows that a replica processes at a time, a divisor of its rows: a step
                needs the memory of that many, with the gradients of the whole batch
                (`gradient_cache`). Default: all rows of the replica.

        Raises:
            ValueError: a loss of probabilities, or an option that fails, or trains wrongly, on
                several replicas or with micro batches.
        """
        loss = loss_on_logits(loss, refuse=self.gives_logits)
        if micro_batch is not None:
            gradient_cache.check(self, micro_batch)
        self.micro_batch = micro_batch
        if keras.backend.backend() != "tensorflow":
            super().compile(optimizer, loss, **kwargs)
            return
        with self.distribute_strategy.scope():
            optimizer = AdamW() if optimizer == "adamw" else keras.optimizers.get(optimizer)
            refuse_impossible(self, optimizer, kwargs)
            super().compile(optimizer, loss, **kwargs)

    def check_batches(self, x: Any, batch_size: int | None, *, training: bool) -> None:
        """See `PlainKeras.check_batches`; the loss of unequal parts is not that of one device."""
        shape = getattr(images_of(x), "shape", None)
        if keras.backend.backend() == "tensorflow" and shape and not hasattr(x, "element_spec"):
            exactly = training or self._weighs_itself
            refuse_uneven(self, shape[0], batch_size, exactly=exactly)

    def get_compile_config(self) -> dict | None:
        """As in Keras, with `micro_batch`."""
        config = super().get_compile_config()
        if config and self.micro_batch is not None:
            return {**config, "micro_batch": self.micro_batch}
        return config

    def compile_from_config(self, config: dict) -> None:
        """Compile a loaded model; Keras skips this, with a warning, if `compile` is overridden."""
        try:
            self.compile(**keras.saving.deserialize_keras_object(config))
        except ValueError as error:  # the model itself is whole
            warnings.warn(f"loaded without what it was compiled with: {error}", stacklevel=2)
            return
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def make_train_function(self, force: bool = False) -> Any:
        """As in Keras, but creates the optimizer's variables first, which saves a second trace.

        Raises ValueError if every weight is frozen.
        """
        if self.built and not self.trainable_variables:
            raise ValueError(
                "there is nothing to train: every weight is frozen; thaw(model), "
                "from classifiers.trainable import thaw, lets all be trained again"
            )
        if self.built and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def train_step(self, *args: Any) -> dict:
        """One step of `fit`."""
        if keras.backend.backend() != "tensorflow":
            return super().train_step(*args)
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(*args)
        if not self.built:
            self(x)
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        # At the end of a dataset of unknown length Keras starts one more step, which fails for lack
        # of a batch, but operations without input (weight decay, step counter, dropout seeds) still
        # run. So everything must depend on the batch. (Variables are created above: TensorFlow
        # cannot lift a variable that depends on a batch out of the step.)
        batch = [part for part in keras.tree.flatten(args) if part is not None]
        with tf.control_dependencies(batch):
            weights, rows = self._weights_of(x, sample_weight)
            y_pred, loss = self._update_weights(x, y, weights)
        return self._measured(x, y, y_pred, sample_weight, loss=loss, rows=rows)

    def _weights_of(self, x: Any, sample_weight: Any) -> tuple[Any, Any]:
        """Returns the loss weights without padding, and the number of real rows."""
        weights, rows = of_real_rows(x, sample_weight)
        is_mean = getattr(self.loss, "reduction", gradient_cache.MEANS[0]) in gradient_cache.MEANS
        return (weights if is_mean and not self._weighs_itself else sample_weight), rows

    def _measured(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any, *, loss: Any, rows: Any
    ) -> dict:
        replicas = self.distribute_strategy.num_replicas_in_sync
        tracker = next(metric for metric in self.metrics if metric.name == "loss")
        tracker.update_state(loss * replicas, sample_weight=rows)
        return self._logs(self.compute_metrics(x, y, y_pred, sample_weight))

    def _update_weights(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
        y_pred, loss, gradients = self.gradients_of(x, y, sample_weight)
        gradients = global_gradients(gradients, self.optimizer)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return y_pred, loss

    def gradients_of(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Any, Any, list]:
        """Returns this replica's outputs, loss and gradients.

        The gradients include the optimizer's loss scale; TensorFlow only.
        """
        import tensorflow as tf

        if self.micro_batch and self.micro_batch != keras.tree.flatten(x)[0].shape[0]:
            return gradient_cache.gradients_of(self, (x, y, sample_weight), size=self.micro_batch)
        with tf.GradientTape() as tape:
            with _synchronized_batch_norm(self):
                y_pred = self(x, training=True)
            loss = self.training_loss(x, y, y_pred, sample_weight)
            scaled_loss = self.optimizer.scale_loss(loss)
        return y_pred, loss, tape.gradient(scaled_loss, self.trainable_variables)

    def training_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """Returns this replica's share of the loss, with the teacher's term if there is one."""
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
        if self.teacher is None:
            return loss
        if self._weighs_itself:
            sample_weight, _ = of_real_rows(x, sample_weight)
        term = self.teacher.distance(x, self.features_in_training(y_pred), sample_weight)
        return loss + term / self.distribute_strategy.num_replicas_in_sync

    def features_in_training(self, y_pred: Any) -> Any:
        """Returns the features of a step's batch by name: the outputs, of a dual encoder."""
        return y_pred

    @property
    def _weighs_itself(self) -> bool:
        """Whether the loss divides by its weights itself, as the contrastive ones do."""
        return type(self).compute_loss is not keras.Model.compute_loss

    def test_step(self, *args: Any) -> dict:
        """One step of `evaluate`."""
        if keras.backend.backend() != "tensorflow":
            return super().test_step(*args)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(*args)
        y_pred = self(x, training=False)
        weights, rows = self._weights_of(x, sample_weight)
        loss = self.compute_loss(x, y, y_pred, weights, training=False)
        return self._measured(x, y, y_pred, sample_weight, loss=loss, rows=rows)

    def _logs(self, logs: dict) -> dict:
        # With several workers Keras averages logs over axis 0, which a scalar lacks.
        if spans_workers(self.distribute_strategy):
            return {name: keras.ops.expand_dims(value, 0) for name, value in logs.items()}
        return logs

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Under a strategy Keras consumes a batch to infer shapes, which a training dataset of
        # `tfrecords.load` counts as an epoch, and averages it over replicas, which fails for the
        # PerReplica values of several workers.
        if not spans_workers(self.distribute_strategy):
            if iterator is not None and keras_private_api.is_scoped(self):
                data_batch = _shapes_of(iterator)
            super()._maybe_symbolic_build(iterator if data_batch is None else None, data_batch)
            return
        if not self.built:
            raise ValueError(
                "with several workers the model has to be built before fit or evaluate"
            )
        if self.optimizer is not None and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)


def _shapes_of(iterator: Any) -> Any:
    """Returns a symbolic batch of Keras' epoch iterator, or None if its shapes are unknown."""
    import tensorflow as tf

    spec = iterator.data_adapter.get_tf_dataset().element_spec
    if not all(isinstance(each, tf.TensorSpec) for each in keras.tree.flatten(spec)):
        return None
    return keras.tree.map_structure(lambda each: keras.KerasTensor(each.shape, each.dtype), spec)


@contextlib.contextmanager
def _synchronized_batch_norm(model: keras.Model) -> Iterator[None]:
    """Computes batch statistics over the global batch while the model is traced.

    Resets the flag afterwards, because a model saved with it loads on no other backend. Each of
    these layers waits for all replicas, so none resets it before another has read it.
    """
    layers = [
        layer
        for layer in keras_private_api.layers_of(model)
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized
    ]
    if model.distribute_strategy.num_replicas_in_sync == 1:
        layers = []
    for layer in layers:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer in layers:
            layer.synchronized = False
