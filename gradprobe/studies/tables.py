"""The tidy table as Parquet bytes, and back."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet

from gradprobe import frame
from gradprobe.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd


def encode_table(table: pd.DataFrame) -> bytes:
    """Return `table` as Parquet, compressed by Zstandard.

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
    buffer = io.BytesIO()
    arrow = pa.Table.from_pandas(frame.conform(table), preserve_index=False)
    parquet.write_table(arrow, buffer, compression="zstd")
    return buffer.getvalue()


def decode_table(data: bytes, name: str) -> pd.DataFrame:
    """Return the table that `encode_table` wrote.

    Parameters
    ----------
    data
        Parquet bytes.
    name
        What an error calls them.

    Raises
    ------
    StoreError
        The bytes are not Parquet.

    Examples
    --------
    >>> decode_table(b"PAR0", "the table")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: the table is damaged: ...
    """
    try:
        table = parquet.read_table(io.BytesIO(data)).to_pandas()
    except pa.ArrowException as error:
        raise StoreError(f"{name} is damaged: {error}") from error
    return frame.conform(table)
