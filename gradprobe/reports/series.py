"""Series: what one line of a figure and one row of a table stand for, and their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gradprobe.reports.numbers import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = ["series", "seed", "sequence"]
"""Columns that tell the repetitions of a measurement apart."""

_KEYS = ["model", "task", "iteration"]
_WORDS = ["probe", "quantity", "matrix", "block"]


def with_series(table: pd.DataFrame, order: Sequence[str] = ()) -> pd.DataFrame:
    """Add the categorical column ``series``: the model, and the task or iteration if they vary.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.
    order
        Models in the order in which they are to be shown; others follow as they come.

    Examples
    --------
    >>> from gradprobe import frame
    >>> rows = frame.rows(model=["b", "a"], task="digits_rows", value=[1.0, 2.0])
    >>> list(with_series(rows, order=["a"])["series"].cat.categories)
    ['a', 'b']
    """
    groups = table.groupby(_KEYS, dropna=False, sort=False)
    keys = table[~groups.ngroup().duplicated()].reset_index(drop=True)
    names = _names(keys)
    place = {model: number for number, model in enumerate(order)}
    ranks = [place.get(str(model), len(place)) for model in keys["model"]]
    shown = [names[index] for index in np.argsort(ranks, kind="stable")]
    codes = groups.ngroup().to_numpy()
    series = pd.Categorical.from_codes(codes, pd.Index(names)).reorder_categories(shown)
    return table.assign(series=series, **{word: table[word].astype("category") for word in _WORDS})


def select(
    table: pd.DataFrame, quantity: str, matrix: str | None = None, *, longest: bool = False
) -> pd.DataFrame:
    """Return the rows of one quantity, of one block: the state's where it was measured.

    Parameters
    ----------
    table
        A table with its column ``series``.
    quantity, matrix
        As in `gradprobe.frame`; any matrix if None.
    longest
        Keep the longest length of each series only.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> rows = select(with_series(example_results().table), "log_sigma", longest=True)
    >>> rows["length"].unique().tolist(), rows["block"].unique().tolist()
    ([1000], ['state'])
    """
    mask = table["quantity"] == quantity
    if matrix is not None:
        mask &= table["matrix"] == matrix
    rows = table[mask]
    state = rows["block"] == "state"
    has_state = state.groupby(rows["series"], observed=True).transform("any")
    rows = rows[state | ~has_state]
    if longest and len(rows):
        lengths = rows.groupby("series", observed=True)["length"].transform("max")
        rows = rows[rows["length"] == lengths]
    return rows


def present(rows: pd.DataFrame) -> list[str]:
    """Return the names of the series that have rows, in the order in which they are shown.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> present(with_series(example_results(models=2).table))
    ['vanilla', 'LSTM, forget bias 1']
    """
    return list(rows["series"].cat.remove_unused_categories().cat.categories)


def position(rows: pd.DataFrame, name: str) -> int:
    """Return the place of a series in the order in which they are shown, from 0.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> position(with_series(example_results(models=2).table), "LSTM, forget bias 1")
    1
    """
    return list(rows["series"].cat.categories).index(name)


def gains(table: pd.DataFrame, matrix: str = "end_to_end") -> pd.DataFrame:
    """Return the Frobenius norms as gains, log(‖∂h_t/∂h_s‖_F / ‖I‖_F), natural logarithms.

    exp(gain) is the root mean square of the factor by which the Jacobian scales a direction that is
    drawn uniformly, hence 0 where a gradient keeps its size.  ‖I‖_F = √N is read off where the two
    times are equal: at t = 0 for ``end_to_end``, at t = T for ``tail``.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> rows = gains(with_series(example_results(models=1).table))
    >>> float(rows.loc[rows["step"] == 0, "value"].abs().max())
    0.0
    """
    rows = select(table, "log_norm_fro", matrix, longest=True)
    start = 0 if matrix == "end_to_end" else rows["length"]
    identity = rows[rows["step"] == start].groupby("series", observed=True)["value"].first()
    baseline = rows["series"].astype(object).map(identity).astype(float)
    return rows.assign(value=rows["value"] - baseline)


def bands(rows: pd.DataFrame, by: str | list[str]) -> pd.DataFrame:
    """Return median, low, high over seeds and sequences, and whether all of them are resolved.

    A value that is missing counts as unresolved.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> band = bands(gains(with_series(example_results(models=1).table)), "step")
    >>> list(band.columns), len(band)
    (['series', 'step', 'median', 'low', 'high', 'resolved'], 1001)
    """
    keys = ["series", by] if isinstance(by, str) else ["series", *by]
    sound = rows["resolved"].fillna(True).astype(bool) & rows["value"].notna()
    groups = rows.assign(sound=sound).groupby(keys, observed=True, sort=True)
    return groups.agg(
        median=("value", "median"),
        low=("value", "min"),
        high=("value", "max"),
        resolved=("sound", "all"),
    ).reset_index()


def _names(keys: pd.DataFrame) -> list[str]:
    varying = [key for key in _KEYS[1:] if keys[key].nunique(dropna=False) > 1]
    names: list[str] = []
    for _, row in keys.iterrows():
        parts = ["unnamed model" if pd.isna(row["model"]) else printable(row["model"])]
        parts += [_detail(key, row[key]) for key in varying]
        name = " · ".join(parts)
        twins = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({twins + 1})" if name in names else name)
    return names


def _detail(key: str, value: object) -> str:
    if value is pd.NA or value is None:
        return f"no {key}"
    return f"iteration {value}" if key == "iteration" else printable(value)
