"""The summary: one row per series, computed from the table alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gradprobe.reports.series import RUN, gains, select
from gradprobe.reports.verdicts import KEPT, judge

_DOMINANT = 10.0
"""Singular values that are this many nats below the largest add nothing visible to a norm."""


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers of each series at its longest length.

    Medians, minima and maxima are over seeds and sequences; logarithms are natural.  The gain is
    that of `gradprobe.reports.series.gains`; where the norms were not measured it is
    log(‖∂s_T/∂s_0‖_F / ‖I‖_F), from the singular values.

    Parameters
    ----------
    table
        A table with its column ``series``.

    Returns
    -------
    pandas.DataFrame
        Indexed by series.  What was not measured is missing.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> summary = summarise(with_series(example_results(models=2).table))
    >>> summary["verdict"].tolist()
    ['vanishes', 'vanishes']
    """
    names = pd.Index(table["series"].cat.categories, name="series")
    groups = table.groupby("series", observed=False)
    columns = {
        "length": groups["length"].max(),
        "seeds": groups["seed"].nunique(),
        "sequences": groups["sequence"].nunique(),
    }
    parts = [pd.DataFrame(columns), _gain(table), _spectrum(table), _real_parts(table)]
    summary = pd.concat([part.reindex(names) for part in parts], axis=1)
    summary["unresolved"] = _unresolved_share(table).reindex(names)
    summary["verdict"] = [
        str(judge(gain, resolved=bool(resolved)))
        for gain, resolved in zip(summary["gain"], summary["gain_resolved"], strict=True)
    ]
    return summary


def runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the gain of each run (seed and sequence) at the longest length.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> len(runs(with_series(example_results(models=1, seeds=3, sequences=4).table)))
    12
    """
    norms = gains(table)
    norms = norms[norms["step"] == norms["length"]].assign(basis="norm")
    sigma = select(table, "log_sigma", longest=True)
    sigma = sigma[~sigma["series"].isin(norms["series"].unique())]
    columns = [*RUN, "length", "value", "resolved", "basis"]
    found = [part for part in (norms[columns], _gains_of_spectra(sigma, columns)) if len(part)]
    return pd.concat(found, ignore_index=True) if found else norms[columns]


def real_part_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the matrix, and the real parts' range and mean over the sampled steps, per series.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> real_part_summary(with_series(example_results(models=1).table)).columns.tolist()
    ['matrix', 'max_low', 'max_high', 'mean', 'std', 'steps']
    """
    parts = {name: select(table, f"real_{name}", longest=True) for name in ("max", "mean", "std")}
    by = {name: rows.groupby("series", observed=True) for name, rows in parts.items()}
    matrix = parts["max"].astype({"matrix": object}).groupby("series", observed=True)["matrix"]
    return pd.DataFrame(
        {
            "matrix": matrix.first(),
            "max_low": by["max"]["value"].min(),
            "max_high": by["max"]["value"].max(),
            "mean": by["mean"]["value"].median(),
            "std": by["std"]["value"].median(),
            "steps": by["max"]["step"].nunique(),
        }
    )


def _gain(table: pd.DataFrame) -> pd.DataFrame:
    last = runs(table)
    sound = last["resolved"].fillna(True).astype(bool) & last["value"].notna()
    groups = last.assign(sound=sound).groupby("series", observed=True)
    found = groups.agg(
        gain=("value", "median"),
        gain_low=("value", "min"),
        gain_high=("value", "max"),
        gain_resolved=("sound", "all"),
        gain_length=("length", "max"),
        gain_runs=("value", "size"),
        basis=("basis", "first"),
    )
    every = gains(table).groupby("series", observed=True)["value"]
    rows = select(table, "log_norm_fro", "end_to_end", longest=True)
    norm = rows[rows["step"] == rows["length"]].groupby("series", observed=True)["value"]
    return found.assign(
        gain_resolved=found["gain_resolved"].astype(bool),
        rate=found["gain"] / found["gain_length"].astype(float),
        lowest=every.min(),
        highest=every.max(),
        norm=norm.median(),
        norm_low=norm.min(),
        norm_high=norm.max(),
    )


def _gains_of_spectra(sigma: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    if not len(sigma):
        return pd.DataFrame(columns=columns)
    groups = sigma.groupby(RUN, observed=True, dropna=False)
    top = groups["value"].transform("max")
    matters = (sigma["value"] >= top - _DOMINANT) | sigma["value"].isna()
    sound = ~matters | sigma["resolved"].fillna(True).astype(bool)
    again = sigma.assign(sound=sound).groupby(RUN, observed=True, dropna=False)
    gain = groups["value"].agg(_mean_square).rename("value")
    found = pd.concat([gain, again["sound"].all().rename("resolved")], axis=1)
    found = found.assign(length=groups["length"].first(), basis="spectrum")
    return found.reset_index()[columns]


def _mean_square(log_sigma: pd.Series[float]) -> float:
    values = log_sigma.to_numpy()
    top = values.max()
    if not np.isfinite(top):
        return float(top)
    return float(top + 0.5 * np.log(np.mean(np.exp(2 * (values - top)))))


def _spectrum(table: pd.DataFrame) -> pd.DataFrame:
    sigma = select(table, "log_sigma", longest=True)
    resolved = sigma["resolved"].fillna(True).astype(bool)
    sigma = sigma.assign(
        value=sigma["value"].where(resolved), kept=resolved & (sigma["value"].abs() <= KEPT)
    )
    size = sigma.groupby("series", observed=True)["rank"].transform("max")
    largest = sigma[sigma["rank"] == 1].set_index(RUN)["value"]
    smallest = sigma[sigma["rank"] == size].set_index(RUN)["value"]
    kept = sigma.groupby(RUN, observed=True, dropna=False)["kept"].sum().astype(float)
    ends = {
        "largest": largest,
        "smallest": smallest,
        "spread": largest - smallest,
        "kept": kept,
    }
    medians = {
        name: values.groupby(level="series", observed=True).agg(_median)
        for name, values in ends.items()
    }
    return pd.DataFrame({**medians, "size": sigma.groupby("series", observed=True)["rank"].max()})


def _real_parts(table: pd.DataFrame) -> pd.DataFrame:
    real = table[table["quantity"].isin(["real", "real_max"])]
    top = real.groupby("series", observed=True)["value"].max()
    low = real[real["quantity"] == "real"].groupby("series", observed=True)["value"].min()
    matrix = real.astype({"matrix": object}).groupby("series", observed=True)["matrix"].first()
    return pd.DataFrame({"real_high": top, "real_low": low, "matrix": matrix})


def _unresolved_share(table: pd.DataFrame) -> pd.Series[float]:
    open_ = ~table["resolved"].fillna(True).astype(bool) | table["value"].isna()
    return open_.astype(float).groupby(table["series"], observed=True).mean()


def _median(values: pd.Series[float]) -> float:
    """Return the median, NaN if a value is."""
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return float("nan") if np.isnan(numbers).any() else float(np.median(numbers))
