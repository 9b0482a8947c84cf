"""What the tests read of a run's folder."""

import io
import zipfile


def weights(out):
    """Name to array, of everything that is saved in a run's model."""
    import h5py

    found = {}
    with zipfile.ZipFile(out / "model.keras") as archive:
        file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    file.visititems(
        lambda name, value: found.update({name: value[()]}) if hasattr(value, "dtype") else None
    )
    return found
