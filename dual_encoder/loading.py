"""One way in: a checkpoint's name, a `.keras` file or the folder of a run to a dual encoder."""

from pathlib import Path

import keras

from dual_encoder.checkpoints import CHECKPOINTS, load_packed
from dual_encoder.model import DualEncoder


def load(name: str | Path) -> DualEncoder:
    """Load a dual encoder with its tokenizer, ready to encode or to compile.

    The optimizer of a training run is left behind; `keras.saving.load_model` has it.

    Args:
        name: a name of the checkpoint table (`shapes-tiny`), a `.keras` file, or a folder that
            holds `model.keras`, as a training run leaves it.

    Raises:
        FileNotFoundError: no such checkpoint, file or folder, or a folder without `model.keras`.
        ValueError: not a `.keras` file, a damaged one, or one of another model.

    Example:
        >>> model = dual_encoder.load("shapes-tiny")
        >>> model.encode_text(model.tokenizer(["a red star"])).shape
        (1, 128)
    """
    if str(name) in CHECKPOINTS:
        return load_packed(CHECKPOINTS[str(name)].file)
    path = Path(name)
    if path.is_dir():
        if not (path / "model.keras").is_file():
            raise FileNotFoundError(f"{path}: no model.keras in this folder; has the run finished?")
        path = path / "model.keras"
    if not path.is_file():
        raise FileNotFoundError(
            f"no model {str(name)!r}; expected {', '.join(CHECKPOINTS)}, a .keras file or the "
            "folder of a run"
        )
    if path.suffix != ".keras":
        raise ValueError(f"{path}: expected a .keras file; got {path.suffix or 'no suffix'!r}")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # of zip, JSON, HDF5 and Keras: nothing in common
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"{path}: not a readable .keras file ({reason})") from error
    if not isinstance(model, DualEncoder):
        raise ValueError(f"{path}: expected a dual encoder; got a {type(model).__name__}")
    return model
