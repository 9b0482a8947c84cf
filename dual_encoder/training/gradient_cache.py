"""Gradients of a large batch, computed in parts to save memory.

The activations of one part are freed before the next is computed, so a step's memory depends on
the size of a part, not of the batch. The result equals that of the whole batch, up to rounding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from duet import keras_private_api

Batch = tuple[Any, Any, Any]  # x, y, sample_weight

MEANS = ("sum_over_batch_size", "mean")  # losses that average over equal parts


def gradients_of(model: Any, batch: Batch, *, size: int) -> tuple[Any, Any, list]:
    """Computes `ExactTraining.gradients_of` in parts of `size` rows; TensorFlow only.

    A loss that is a mean over rows, such as cross-entropy, needs one pass: it is the mean over
    parts. Any other loss, such as the contrastive ones, which compare all rows, needs two passes
    (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
    arXiv:2101.06983, section 3): the first computes the outputs of all rows, the loss over all
    replicas and its gradient with respect to the outputs; the second recomputes each part and
    backpropagates that gradient. Both passes use the same dropout masks.

    Raises:
        ValueError: `size` does not divide the rows, or a layer adds a loss.
    """
    parts = _Parts(batch, size)
    one_pass = _averages(model)
    return _in_one_pass(model, parts) if one_pass else _in_two_passes(model, batch, parts)


def check(model: Any, size: Any) -> None:
    """Raises ValueError unless the model can be trained in parts of `size` rows."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError("micro_batch works on TensorFlow alone")
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"micro_batch: expected a number of rows, 1 or more; got {size!r}")
    layers = keras_private_api.layers_of(model)
    kind = keras.layers.BatchNormalization
    if norms := [layer.name for layer in layers if isinstance(layer, kind) and layer.trainable]:
        raise ValueError(
            "micro_batch: batch normalisation takes its statistics from the whole batch at once; "
            f"freeze {norms[0]!r} and the like, or train without micro_batch"
        )


class _Parts:
    """This replica's batch in parts: `parts[i]` is the i-th x, y and sample_weight."""

    def __init__(self, batch: Any, size: int):
        import tensorflow as tf

        present = [value for value in keras.tree.flatten(batch) if value is not None]
        rows = present[0].shape[0]
        if rows is None:
            rows = tf.shape(present[0])[0]
            message = f"micro_batch: expected batches of a multiple of {size} rows on each device"
            with tf.control_dependencies([tf.debugging.assert_equal(rows % size, 0, message)]):
                rows = tf.identity(rows)
        elif rows % size:
            raise ValueError(
                f"micro_batch: expected a divisor of the {rows} rows of a batch that each device "
                f"has; got {size}"
            )
        self.size, self.count = size, rows // size
        self.cut = keras.tree.map_structure(self._cut, batch)

    def _cut(self, value: Any) -> Any:
        import tensorflow as tf

        if value is None:
            return None
        return tf.reshape(value, [self.count, self.size, *value.shape[1:]])

    def __getitem__(self, i: Any) -> Any:
        return keras.tree.map_structure(lambda value: None if value is None else value[i], self.cut)


def _averages(model: Any) -> bool:
    """Returns whether the loss of a batch is the mean of the losses of its parts."""
    if type(model).compute_loss is not keras.Model.compute_loss:
        return False
    loss = model.loss
    return isinstance(loss, str) or getattr(loss, "reduction", None) in MEANS


def _in_one_pass(model: Any, parts: _Parts) -> tuple[Any, Any, list]:
    import tensorflow as tf

    variables = model.trainable_variables
    present: list[bool] = []

    def work(i: Any, seeds: list) -> tuple[list, list, list]:
        x, y, sample_weight = parts[i]
        with tf.GradientTape() as tape:
            outputs, seeds = _outputs(model, x, seeds)
            loss = model.training_loss(x, y, outputs, sample_weight)
            loss = loss / tf.cast(parts.count, loss.dtype)
            scaled_loss = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, variables)
        present[:] = [gradient is not None for gradient in gradients]
        return keras.tree.flatten(outputs), [loss, *_dense(gradients, variables)], seeds

    start = [tf.constant(0.0), *_dense([None] * len(variables), variables)]
    rows, (loss, *sums), seeds = _in_turn(model, parts, work, sums=start, stacks=True)
    _advance(model, seeds)
    gradients = [g if there else None for g, there in zip(sums, present, strict=True)]
    return _packed(model, parts, rows), loss, gradients


def _in_two_passes(model: Any, batch: Batch, parts: _Parts) -> tuple[Any, Any, list]:
    import tensorflow as tf

    variables = model.trainable_variables
    present: list[bool] = []

    def embed(i: Any, seeds: list) -> tuple[list, list, list]:
        outputs, seeds = _outputs(model, parts[i][0], seeds)
        return keras.tree.flatten(outputs), [], seeds

    rows, _, _ = _in_turn(model, parts, embed, sums=[], stacks=True)
    x, y, sample_weight = batch
    with tf.GradientTape() as tape:
        tape.watch(rows)
        y_pred = _packed(model, parts, rows)
        loss = model.training_loss(x, y, y_pred, sample_weight)
        scaled_loss = model.optimizer.scale_loss(loss)
    # Temperatures and weight penalties get their gradients from the loss directly.
    pulled, direct = tape.gradient(scaled_loss, (rows, variables))
    cut = _Parts(pulled, parts.size)

    def pull(i: Any, seeds: list) -> tuple[list, list, list]:
        with tf.GradientTape() as tape:
            outputs, seeds = _outputs(model, parts[i][0], seeds)
            outputs = keras.tree.flatten(outputs)
        gradients = tape.gradient(outputs, variables, output_gradients=cut[i])
        present[:] = [gradient is not None for gradient in gradients]
        return [], _dense(gradients, variables), seeds

    start = _dense([None] * len(variables), variables)
    _, sums, seeds = _in_turn(model, parts, pull, sums=start, stacks=False)
    _advance(model, seeds)
    gradients = [
        own if not there else g if own is None else g + own
        for g, there, own in zip(sums, present, direct, strict=True)
    ]
    return y_pred, loss, gradients


def _in_turn(
    model: Any,
    parts: _Parts,
    work: Callable[[Any, list], tuple[list, list, list]],
    *,
    sums: list,
    stacks: bool,
) -> tuple[list, list, list]:
    """Runs `work` on the parts, strictly one after the other.

    No variable changes meanwhile: random states are passed from part to part.

    Args:
        work: part number and random states -> rows [size, d] to concatenate, terms to sum, and
            the new states.
        sums: initial values of the sums.
        stacks: whether `work` returns rows of all outputs, or none.

    Returns:
        Rows [b, d], sums and states.
    """
    import tensorflow as tf

    shapes = _shapes(model, parts) if stacks else []
    arrays = [tf.TensorArray(tf.float32, parts.count, element_shape=shape) for shape in shapes]

    def body(i: Any, seeds: list, arrays: list, sums: list) -> tuple:
        rows, terms, seeds = work(i, seeds)
        arrays = [array.write(i, row) for array, row in zip(arrays, rows, strict=True)]
        return i + 1, seeds, arrays, [s + t for s, t in zip(sums, terms, strict=True)]

    first = [tf.convert_to_tensor(seed.value) for seed in keras_private_api.random_states(model)]
    _, seeds, arrays, sums = tf.while_loop(
        lambda i, *_: i < parts.count,
        body,
        (0, first, arrays, sums),
        parallel_iterations=1,
    )
    rows = [
        tf.reshape(array.stack(), [parts.count * parts.size, *shape[1:]])
        for array, shape in zip(arrays, shapes, strict=True)
    ]
    return rows, sums, seeds


def _outputs(model: Any, x: Any, seeds: list) -> tuple[Any, list]:
    """Returns the outputs in float32, as losses expect them, and the new seed states."""
    held = keras_private_api.random_states(model)
    states = list(zip(held, seeds, strict=True))
    with keras.StatelessScope(states, collect_losses=True) as scope:
        outputs = model(x, training=True)
    if scope.losses:
        raise ValueError("micro_batch: expected a model whose layers add no loss of their own")
    outputs = keras.tree.map_structure(lambda y: keras.ops.cast(y, "float32"), outputs)
    return outputs, [scope.get_current_value(seed) for seed in held]


def _output_shapes(model: Any, parts: _Parts) -> Any:
    x = keras.tree.map_structure(lambda value: tuple(value.shape[1:]), parts.cut[0])
    return model.compute_output_shape(x)


def _shapes(model: Any, parts: _Parts) -> list[tuple]:
    found: list[tuple] = []
    keras.tree.map_shape_structure(found.append, _output_shapes(model, parts))
    return [(parts.size, *shape[1:]) for shape in found]


def _packed(model: Any, parts: _Parts, rows: list) -> Any:
    """Returns `rows` in the structure of the model's outputs."""
    left = iter(rows)
    return keras.tree.map_shape_structure(lambda _: next(left), _output_shapes(model, parts))


def _advance(model: Any, seeds: list) -> None:
    for variable, value in zip(keras_private_api.random_states(model), seeds, strict=True):
        variable.assign(value)


def _dense(gradients: Sequence[Any], variables: Sequence[keras.Variable]) -> list:
    """Returns dense tensors, with zeros for missing gradients."""
    import tensorflow as tf

    return [
        tf.zeros(variable.shape, variable.dtype)
        if gradient is None
        else tf.convert_to_tensor(gradient)
        for gradient, variable in zip(gradients, variables, strict=True)
    ]
