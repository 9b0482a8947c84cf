"""Convert arrays to tensors of the backend with at most one copy."""

from typing import Any

import keras
import numpy as np

ALIGNMENT = 64  # bytes; TensorFlow's kernels count on it

COLUMNS = 64  # of a transposed matrix at a time, so that what is read again is still in the cache


def tensor(value: np.ndarray) -> Any:
    """A float32 tensor with the numbers of `value`, which may be read-only or transposed."""
    copy = _aligned(value.shape)
    if value.ndim == 2 and value.flags.f_contiguous:
        for start in range(0, value.shape[1], COLUMNS):
            copy[:, start : start + COLUMNS] = value[:, start : start + COLUMNS]
    else:
        np.copyto(copy, value, casting="unsafe")
    return _same_memory(copy)


def mapped(value: np.ndarray) -> Any:
    """A tensor of the private pages themselves; a copy where its address is no use."""
    fits = value.flags.c_contiguous and value.dtype == np.float32
    if value.ctypes.data % ALIGNMENT or not fits:
        return tensor(value)
    return _same_memory(value)


def _same_memory(value: np.ndarray) -> Any:
    if keras.backend.backend() != "tensorflow":
        return keras.ops.convert_to_tensor(value)
    import tensorflow as tf

    return tf.experimental.dlpack.from_dlpack(value.__dlpack__())


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Float32 of that shape, without values."""
    size = int(np.prod(shape)) * 4
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view("float32").reshape(shape)
