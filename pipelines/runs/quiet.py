"""TensorFlow without its greetings."""

import os


def import_tensorflow() -> None:
    """Import TensorFlow; what it says of drivers it did not find goes nowhere.

    It writes these lines from C++ before any log level counts, so standard error itself is turned
    away while the import lasts. What goes wrong is still raised as an exception.
    """
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
