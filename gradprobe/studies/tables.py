"""The tidy table of a cell as bytes, and back: Arrow's stream if it is small, Parquet if it is not.

Ten thousand small tables are read from Arrow's stream in a fraction of a second, from Parquet in
many; large ones take much less room as Parquet.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from gradprobe import frame
from gradprobe.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

PARQUET_MAGIC = b"PAR1"
FEW_ROWS = 1000
ARROW_TYPES = {
    "string": pa.string(),
    "Int64": pa.int64(),
    "float64": pa.float64(),
    "boolean": pa.bool_(),
}
SCHEMA = pa.schema([(name, ARROW_TYPES[dtype]) for name, dtype in frame.COLUMNS.items()])
NULLABLE = {
    pa.string(): pd.StringDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
UNTHREADED = pa.ipc.IpcReadOptions(use_threads=False)


def encode_table(table: pd.DataFrame) -> bytes:
    """Return `table` as compressed bytes: Arrow's stream or Parquet.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.

    Examples
    --------
    >>> from gradprobe import frame
    >>> table = frame.rows(value=[0.5, float("-inf")])
    >>> decode_table(encode_table(table), "example")["value"].tolist()
    [0.5, -inf]
    """
    types = {name: str(dtype) for name, dtype in table.dtypes.items()}
    conforming = table if types == frame.COLUMNS else frame.conform(table)
    arrow = pa.Table.from_pandas(conforming, schema=SCHEMA, preserve_index=False)
    arrow = arrow.replace_schema_metadata(None)
    buffer = io.BytesIO()
    if len(table) > FEW_ROWS:
        parquet.write_table(arrow, buffer, compression="zstd")
    else:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(buffer, SCHEMA, options=options) as stream:
            stream.write_table(arrow)
    return buffer.getvalue()


def decode_table(data: bytes, name: str) -> pd.DataFrame:
    """Return the table that `encode_table` wrote.

    Parameters
    ----------
    data
        Its bytes.
    name
        What an error calls them.

    Raises
    ------
    StoreError
        The bytes are neither of the formats.

    Examples
    --------
    >>> decode_table(b"PAR0", "the table")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: the table is damaged: ...
    """
    return decode_tables([data], [name])


def decode_tables(
    data: Sequence[bytes], names: Sequence[str], **columns: Sequence[Any]
) -> pd.DataFrame:
    """Return tables below each other, at once: with many, that is much faster.

    Parameters
    ----------
    data, names
        As of `decode_table`, for each.
    **columns
        A value for each table, which all its rows get.

    Raises
    ------
    StoreError
        Bytes are neither of the formats.

    Examples
    --------
    >>> from gradprobe import frame
    >>> data = [encode_table(frame.rows(value=values)) for values in ([0.5, 1.5], [2.5])]
    >>> decode_tables(data, ["first", "second"], seed=[0, 1])[["seed", "value"]].to_dict("list")
    {'seed': [0, 0, 1], 'value': [0.5, 1.5, 2.5]}
    """
    tables = [_arrow_table(*pair) for pair in zip(data, names, strict=True)]
    lengths = [len(table) for table in tables]
    whole = pa.concat_tables([SCHEMA.empty_table(), *tables])
    for name, values in columns.items():
        column = pa.array(values, SCHEMA.field(name).type).take(
            pa.array(np.repeat(np.arange(len(values)), lengths))
        )
        whole = whole.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), column)
    return frame.conform(whole.to_pandas(types_mapper=NULLABLE.get))


def _arrow_table(data: bytes, name: str) -> pa.Table:
    try:
        if data.startswith(PARQUET_MAGIC):
            table = parquet.read_table(io.BytesIO(data))
        else:
            table = pa.ipc.open_stream(pa.py_buffer(data), options=UNTHREADED).read_all()
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{name} is damaged: {error}") from error
    if table.schema.equals(SCHEMA):
        return table.replace_schema_metadata(None)
    return pa.Table.from_pandas(
        frame.conform(table.to_pandas()), schema=SCHEMA, preserve_index=False
    ).replace_schema_metadata(None)
