"""Read Parquet files, and Arrow's as `datasets.save_to_disk` and its cache have them.

Both are tables; what Hugging Face's `datasets` knows of their columns (which hold images, the names
of classes) stands as JSON in the metadata of the schema.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duet import regular_files
from tfrecords.images.formats import HEAD_BYTES, other_kind_of

if TYPE_CHECKING:
    import pyarrow

PARQUET = ".parquet"

ENDINGS = (PARQUET, ".arrow")

_ROWS = 100  # images that are in memory together


def schema_of(path: Path) -> pyarrow.Schema:
    """Returns the columns of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or not whole.
    """
    with _opened(path) as file:
        return file.schema


def features_of(schema: pyarrow.Schema) -> dict[str, Any]:
    """Returns what `datasets` says of each column, such as `{"_type": "Image"}`; {} without it."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read(path: Path, columns: Sequence[str]) -> dict[str, list[Any]]:
    """Returns the values of some columns, `image` and `path` joined by a dot a part of one."""
    with _opened(path) as file:
        found: dict[str, list[Any]] = {column: [] for column in columns}
        for group in range(len(file.groups)):
            for batch in file.batches(columns, group):
                for column in columns:
                    found[column] += _part(batch, column).to_pylist()
        return found


def images(path: Path, column: str, rows: Sequence[int]) -> Iterator[tuple[int, bytes | None]]:
    """Yields rows, ascending, and the bytes in them; None where a row holds no more than a name.

    Args:
        column: of binary values.
        rows: those wanted, ascending; what lies between them is not read where that can be left.
    """
    with _opened(path) as file:
        first, wanted = 0, iter([*rows, -1])
        row = next(wanted)
        for group, count in enumerate(file.groups):
            if not first <= row < first + count:
                first += count
                continue
            for batch in file.batches([column], group):
                values = _part(batch, column)
                while first <= row < first + len(values):
                    yield row, values[row - first].as_py()
                    row = next(wanted)
                first += len(values)


def _part(batch: pyarrow.RecordBatch, column: str) -> pyarrow.Array:
    """Returns a column, or the field of a column of structures."""
    if column in batch.schema.names:
        return batch.column(column)
    name, _, field = column.rpartition(".")
    return batch.column(name).field(field)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Parquet | _Arrow]:
    """A file that is open; raises ValueError in place of what pyarrow says of a damaged one."""
    import pyarrow

    regular_files.check_regular(path)
    with open(path, "rb") as file:
        if other := other_kind_of(file.read(HEAD_BYTES)):
            raise ValueError(f"{path} is {other}; expected a Parquet or Arrow file")
        try:
            yield _Parquet(path) if path.suffix.lower() == PARQUET else _Arrow(path)
        except (pyarrow.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            kind = path.suffix.removeprefix(".").capitalize()
            said = str(error).partition("\n")[0]
            raise ValueError(
                f"{path} is no {kind} file that can be read, or not whole: {said}"
            ) from None


class _Parquet:
    """A Parquet file: its columns, `groups` of rows, and batches of them."""

    def __init__(self, path: Path):
        from pyarrow import parquet

        self._file = parquet.ParquetFile(path)
        self.schema = self._file.schema_arrow
        self.groups = [
            self._file.metadata.row_group(n).num_rows for n in range(self._file.num_row_groups)
        ]

    def batches(self, columns: Sequence[str], group: int) -> Iterator[pyarrow.RecordBatch]:
        return self._file.iter_batches(_ROWS, row_groups=[group], columns=list(columns))


class _Arrow:
    """An Arrow file of either kind, mapped to memory, as one group."""

    def __init__(self, path: Path):
        import pyarrow

        with pyarrow.memory_map(str(path)) as file:
            try:
                self._table = pyarrow.ipc.open_stream(file).read_all()
            except pyarrow.ArrowInvalid:
                self._table = pyarrow.ipc.open_file(file).read_all()
        self.schema, self.groups = self._table.schema, [len(self._table)]

    def batches(self, columns: Sequence[str], group: int) -> Iterator[pyarrow.RecordBatch]:
        known = self.schema.names
        names = dict.fromkeys(c if c in known else c.rpartition(".")[0] for c in columns)
        return iter(self._table.select(list(names)).to_batches(_ROWS))
