"""From the tidy table to metrics: one number per seed out of ranks, steps and sequences.

A spectrum gives three: its largest, its middle and its smallest value.  They are found by sorting,
not by rank, since eigenvalues that are equal but for rounding have no order among themselves; of
imaginary parts and phases, which come in pairs ±, the absolute values are taken.

Along the steps, ∂h_t/∂h_0, ∂h_T/∂h_t and ∂h_T/∂x_t give their value where they have come all the
way, and everything that has many steps gives its mean over them, without the given first state.

Sequences are averaged.  The result is unresolved if anything that went into it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gradprobe.gate.directions import tolerance, worse
from gradprobe.gate.metric import Metric, Name, place

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = ["model", "task", "length", "iteration", "probe", "quantity", "matrix", "block"]
TRAINING = "training"
UNSIGNED = ("imag", "phase")
_DTYPES = {"value": "float64", "known": "bool", "dtype": "string", "statistic": "string"}
_RANKS = {"largest": 0.0, "middle": 0.5, "smallest": 1.0}


def metrics(table: pd.DataFrame) -> list[Metric]:
    """Return all metrics of a table, sorted by name.

    Parameters
    ----------
    table
        With the columns of `gradprobe.frame`; rows without a seed count as of seed 0.

    Examples
    --------
    >>> from gradprobe import frame
    >>> table = frame.rows(
    ...     model="GRU", length=2, seed=[[0], [1]], probe="singular_values", quantity="log_sigma",
    ...     matrix="end_to_end", step=2, rank=[1, 2], value=[[-1.0, -3.0], [-2.0, -4.0]],
    ...     resolved=True, dtype="float64",
    ... )
    >>> for metric in metrics(table):
    ...     print(metric.statistic, metric.values)
    largest, at the end {0: -1.0, 1: -2.0}
    middle, at the end {0: -1.0, 1: -2.0}
    smallest, at the end {0: -3.0, 1: -4.0}
    """
    of_training = (table["probe"] == TRAINING).fillna(False).astype(bool)
    parts = [_training(table[of_training]), *_probed(table[~of_training])]
    filled = [part.astype(_DTYPES) for part in parts if len(part)]
    if not filled:
        return []
    readings = pd.concat(filled, ignore_index=True)
    found = [_metric(rows) for _, rows in readings.groupby([*KEY, "statistic"], dropna=False)]
    return sorted(found, key=lambda metric: metric.name.order())


def not_numbers(table: pd.DataFrame) -> list[str]:
    """Return where the table has NaN that is not marked as unresolved, a sentence each.

    Parameters
    ----------
    table
        With the columns of `gradprobe.frame`.

    Examples
    --------
    >>> from gradprobe import frame
    >>> not_numbers(frame.rows(model="GRU", seed=1, probe="condition", quantity="stable_rank",
    ...                        value=float("nan"), resolved=True))
    ['GRU: condition stable_rank is NaN']
    """
    broken = table[table["value"].isna() & table["resolved"].fillna(True).astype(bool)]
    places = broken[["model", "task", "probe", "quantity"]].drop_duplicates()
    return [
        f"{place(_plain(row.model), _plain(row.task))}: {row.probe} {row.quantity} is NaN"
        for row in places.itertuples()
    ]


def _training(table: pd.DataFrame) -> pd.DataFrame:
    """Return the last value of every quantity of the trainings, whatever its iteration."""
    last = _prepared(table.sort_values("iteration", kind="stable"))
    last["iteration"] = pd.array([pd.NA] * len(last), dtype="Int64")
    last = last.groupby([*KEY, "seed"], dropna=False, as_index=False).last()
    calm = _undiverged(last)
    both = pd.concat([last, calm], ignore_index=True) if len(calm) else last
    return both.assign(statistic="last value")[[*KEY, "seed", *_DTYPES]]


def _undiverged(last: pd.DataFrame) -> pd.DataFrame:
    """Return rows which say that trainings never diverged, for those that did not."""
    trained = last.drop_duplicates(["model", "task", "seed"])
    diverged = last[last["quantity"] == "diverged_at"]
    both = trained.merge(diverged[["model", "task", "seed"]], how="left", indicator=True)
    calm = both[both["_merge"] == "left_only"].drop(columns="_merge")
    return calm.assign(quantity="diverged_at", value=np.inf, known=True)


def _probed(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    rows = _prepared(table)
    signed = ~rows["quantity"].isin(UNSIGNED)
    rows = rows.assign(value=rows["value"].where(signed, rows["value"].abs()))
    scalars, spectra = rows[rows["rank"].isna()], rows[rows["rank"].notna()]
    yield from _along_steps(scalars, "")
    yield from _spectrum(spectra)


def _prepared(table: pd.DataFrame) -> pd.DataFrame:
    resolved = table["resolved"].fillna(True).astype(bool) & table["value"].notna()
    return table.assign(seed=table["seed"].fillna(0), known=resolved)


def _spectrum(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    one = [*KEY, "seed", "sequence", "step"]
    ordered = rows.sort_values("value", ascending=False, kind="stable", na_position="last")
    groups = ordered.groupby(one, dropna=False)
    position, last = groups.cumcount(), groups["value"].transform("size") - 1
    for name, part in _RANKS.items():
        yield from _along_steps(ordered[position == np.floor(last * part)], f"{name}, ")


def _along_steps(rows: pd.DataFrame, prefix: str) -> Iterator[pd.DataFrame]:
    step, matrix = rows["step"], rows["matrix"].fillna("")
    end = (
        (
            ((matrix == "end_to_end") & (step == rows["length"]))
            | ((matrix == "tail") & (step == 0))
            | ((matrix == "input") & (step == 1))
        )
        .fillna(False)
        .astype(bool)
    )
    yield _averaged(rows[end], f"{prefix}at the end")
    given = ((step == 0) & (matrix != "tail")) | ((matrix == "tail") & (step == rows["length"]))
    inner = rows[~given.fillna(False).astype(bool)]
    steps = inner.groupby(KEY, dropna=False)["step"].transform("nunique")
    single = end.loc[inner.index] & (steps == 1)
    yield _averaged(inner[~single], f"{prefix}mean")


def _averaged(rows: pd.DataFrame, statistic: str) -> pd.DataFrame:
    """Return the mean over steps and sequences; infinities of both signs have none, it is NaN."""
    groups = rows.groupby([*KEY, "seed"], dropna=False, as_index=False)
    with np.errstate(invalid="ignore"):
        means = groups.agg(
            value=("value", "mean"), known=("known", "all"), dtype=("dtype", "first")
        )
    return means.assign(statistic=statistic)


def _metric(rows: pd.DataFrame) -> Metric:
    first = rows.iloc[0]
    name = Name(*(_plain(first[column]) for column in [*KEY, "statistic"]))
    trained = name.probe == TRAINING or bool(name.iteration)
    dtype = None if pd.isna(first["dtype"]) else str(first["dtype"])
    values = {
        int(seed): float(value) if known and not np.isnan(value) else None
        for seed, value, known in zip(rows["seed"], rows["value"], rows["known"], strict=True)
    }
    return Metric.of(
        name, values, worse(name.quantity, name.matrix), tolerance(dtype, trained=trained)
    )


def _plain(value: Any) -> Any:
    """Return a table's entry as Python has it: None for what is missing, int for integers."""
    if pd.isna(value):
        return None
    return value if isinstance(value, str) else int(value)
