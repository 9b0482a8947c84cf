"""What the tests read of a run's folder."""

import io
import json
import zipfile
from pathlib import Path

from pipelines.runs import results


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


def valid_results(out):
    """The `results.json` of a run, which has to be as its JSON Schema says."""
    import jsonschema

    schema = Path(results.__file__).parent / "schemas" / "results.schema.json"
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(schema.read_text(encoding="utf-8")))
    return document
