"""A table in a few lines, or in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

PLACE = ["probe", "quantity", "matrix", "block", "length"]
FORMATS = (".parquet", ".csv")
BACKWARDS = ("tail", "input", "loss")
"""Matrices whose far end is the first step, not the last."""


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the largest, median and smallest value of each quantity over ranks and sequences.

    A quantity that is measured along t is given where it has gone the whole length.  Unresolved
    values are counted, and left out of the three.

    Examples
    --------
    >>> import numpy as np
    >>> from gradprobe import frame
    >>> table = frame.rows(probe="p", quantity="q", matrix="m", block="b", length=5, step=5,
    ...                    value=np.array([1.0, 2.0, 4.0]), resolved=np.array([True, True, False]))
    >>> summary(table)[["largest", "median", "smallest", "unresolved"]].to_dict("list")
    {'largest': [2.0], 'median': [1.5], 'smallest': [1.0], 'unresolved': [1]}
    """
    step = table["step"]
    first = step.groupby([table[name] for name in PLACE], dropna=False).transform("min")
    backwards = table["matrix"].isin(BACKWARDS)
    end = step.isna() | (step == table["length"]).mask(backwards, step == first)
    chosen = table[end.fillna(value=True).astype(bool)]
    resolved = chosen["resolved"].fillna(value=True).astype(bool)
    values = chosen.assign(value=chosen["value"].where(resolved), unresolved=~resolved)
    groups = values.groupby(PLACE, dropna=False, sort=False)
    counted: pd.DataFrame = groups.agg(
        largest=("value", "max"),
        median=("value", "median"),
        smallest=("value", "min"),
        values=("value", "size"),
        unresolved=("unresolved", "sum"),
    )
    return counted.reset_index()


def as_text(table: pd.DataFrame) -> str:
    """Return the summary of a table as text.

    Examples
    --------
    >>> from gradprobe import frame
    >>> print(as_text(frame.rows(probe="p", quantity="log_sigma", length=5, step=5, value=-1.5)))
    probe  quantity matrix block  length  largest  median  smallest  values  unresolved
        p log_sigma                    5     -1.5    -1.5      -1.5       1           0
    """
    texts = summary(table).assign(
        **{name: summary(table)[name].fillna("") for name in ("matrix", "block")}
    )
    return texts.to_string(index=False, float_format=lambda value: f"{value:.6g}")


def check_table_path(path: Path) -> None:
    """See that a table can be written to a file of this name."""
    if path.suffix not in FORMATS:
        raise ArgumentError(f"a table is written to a {' or '.join(FORMATS)} file, got {path}")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet or CSV, by the ending of the name."""
    check_table_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
