"""What the probes say of each candidate at each seed: the score, the bound's quantity, the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

KEYS = ["task", "model", "seed"]

SCORE = "explained_variance"
"""What candidates are ranked by."""

BOUNDED = "log_sigma_max"
"""What must be within the bound, in absolute value."""

NEEDED = ("linear_readout", "singular_values", "state_separation")
"""The probes of a study that tunes."""


class Source(NamedTuple):
    """Where the values of a component stand in the table.

    Attributes
    ----------
    probe, quantity
        As in the table.
    first_rank
        Whether only the first of a spectrum is meant.

    Examples
    --------
    >>> Source("state_separation", "log_spread").first_rank
    False
    """

    probe: str
    quantity: str
    first_rank: bool = False


COMPONENTS = {
    SCORE: Source("linear_readout", "explained_variance"),
    "explained_variance_rescaled": Source("linear_readout", "explained_variance_rescaled"),
    "effective_rank": Source("state_separation", "effective_rank"),
    "log_spread": Source("state_separation", "log_spread"),
    BOUNDED: Source("singular_values", "log_sigma", first_rank=True),
    "rms_log_sigma": Source("singular_values", "log_sigma"),
}
"""Every component by name: medians over sequences, of ``rms_log_sigma`` over all values of each."""


def components(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each candidate on each task at each seed, with a column per component.

    Values are those at initialisation, at the longest length.  One that was not resolved is
    missing, and so is one that was not measured.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`, with models, tasks and seeds.

    Returns
    -------
    pandas.DataFrame
        Columns ``task``, ``model``, ``seed``, and

        - ``explained_variance``: of `gradprobe.probes.linear_readout.linear_readout`, the score;
        - ``explained_variance_rescaled``: the same whatever the scale of the states;
        - ``effective_rank``, ``log_spread``: of
          `gradprobe.probes.state_separation.state_separation`;
        - ``log_sigma_max``: natural logarithm of the largest singular value of ∂s_T/∂s_0, the
          median over sequences;
        - ``rms_log_sigma``: root mean square over all singular values of their logarithms, the
          median over sequences; infinite if one is zero.

    Examples
    --------
    >>> from gradprobe.tuning.example import example_table
    >>> rows = components(example_table())
    >>> rows[["model", "seed", "explained_variance", "log_sigma_max"]].head(2).to_dict("list")
    {'model': ['σ_w = 1', 'σ_w = 1'], 'seed': [0, 1], 'explained_variance': [0.2, 0.25],
     'log_sigma_max': [0.5, 0.5]}
    """
    start = table[(table["iteration"] == 0) & table["probe"].isin(NEEDED)]
    longest = start["length"] == start.groupby(KEYS)["length"].transform("max")
    rows = start[longest].assign(
        value=start["value"].where(start["resolved"].fillna(False).astype(bool))
    )
    columns = {name: _column(rows, name, source) for name, source in COMPONENTS.items()}
    index = pd.MultiIndex.from_frame(rows[KEYS].drop_duplicates())
    found = pd.DataFrame({name: column.reindex(index) for name, column in columns.items()})
    return found.reset_index().astype({"task": object, "model": object, "seed": "int64"})


def _column(rows: pd.DataFrame, name: str, source: Source) -> pd.Series[float]:
    chosen = rows[(rows["probe"] == source.probe) & (rows["quantity"] == source.quantity)]
    if source.first_rank:
        chosen = chosen[chosen["rank"] == 1]
    groups = chosen.groupby([*KEYS, "sequence"], dropna=False, sort=False)["value"]
    reduced = groups.apply(_root_mean_square if name == "rms_log_sigma" else _only)
    return reduced.groupby(level=KEYS, sort=False).agg(median).astype(float)


def _root_mean_square(values: pd.Series[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values.to_numpy(dtype=float)))))


def _only(values: pd.Series[float]) -> float:
    return float(values.to_numpy(dtype=float).item())


def median(values: pd.Series[float]) -> float:
    """Return the median, which is missing if one of the values is.

    Examples
    --------
    >>> median(pd.Series([1.0, 2.0, 4.0])), median(pd.Series([1.0, float("nan")]))
    (2.0, nan)
    """
    return float(np.median(values.to_numpy(dtype=float)))
