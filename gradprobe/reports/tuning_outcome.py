"""Whether the ranking before training told how well each candidate learned."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from gradprobe.reports.survival import spearman
from gradprobe.tuning.ranking import positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_BOUND = 5.0
"""The bound before trainings were looked at; see `gradprobe.tuning.ranking.BOUND`."""


class Paired(NamedTuple):
    """The suggested candidate against the default, seed by seed.

    Attributes
    ----------
    suggested, default
        Their labels.
    differences
        Suggested less default, for each seed: percentage points of accuracy, or by how much the
        mean squared error is *smaller*; above 0 the suggestion is better.
    mean, low, high
        Their mean, and its 95 % interval by Student's t.
    probability
        Of a mean as far from 0, if each difference were as likely to have the other sign: exact,
        two-sided, no less than 2^(1 − n).
    """

    suggested: str
    default: str
    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    probability: float


def predictors(ranked: pd.DataFrame) -> dict[str, pd.Series[float]]:
    """Return what might tell the outcome, by name, each larger where a candidate is to be better.

    Parameters
    ----------
    ranked
        The rows of one task of `gradprobe.tuning.rank`.

    Examples
    --------
    >>> from gradprobe.tuning import rank
    >>> from gradprobe.tuning.example import example_table
    >>> predictors(rank(example_table()))["order of gradprobe tune"].to_dict()
    {'σ_w = 4': -1, 'σ_w = 1': -2, 'σ_w = 16': -3}
    """
    rows = ranked.set_index("model")
    scores = rows["score"].to_numpy(dtype=float)
    first = positions(scores, (rows["log_sigma_max"].abs() <= FIRST_BOUND).to_numpy(dtype=bool))
    return {
        "order of gradprobe tune": -rows["rank"],
        f"order with the bound {FIRST_BOUND:g}": pd.Series(-first, index=rows.index),
        "score, without the bound": rows["score"],
        "score at scale one": rows["explained_variance_rescaled"],
        "effective rank": rows["effective_rank"],
        "log spread": rows["log_spread"],
        "isometry: −RMS log σ": -rows["rms_log_sigma"],
        "bound alone: −|log σ_max|": -rows["log_sigma_max"].abs(),
    }


def worth(runs: pd.DataFrame) -> pd.Series[float]:
    """Return how good each training is: its accuracy, or less its error; −inf if it diverged.

    Parameters
    ----------
    runs
        Of `gradprobe.reports.trainings.trainings`, of tasks with one metric.

    Examples
    --------
    >>> runs = pd.DataFrame({"metric": "mean_squared_error", "test": [0.25, float("nan")]})
    >>> worth(runs).tolist()
    [-0.25, -inf]
    """
    sign = 1.0 if runs["metric"].iloc[0] == "accuracy" else -1.0
    return (sign * runs["test"].astype(float)).fillna(-np.inf)


def correlations(ranked: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's rank correlation of each predictor with the outcome, over candidates.

    The outcome of a candidate is the median over its seeds; the interval is a percentile bootstrap
    over candidates, as `gradprobe.reports.survival.spearman` has it.

    Parameters
    ----------
    ranked
        The rows of one task of `gradprobe.tuning.rank`.
    runs
        Those of `gradprobe.reports.trainings.trainings` of the same task.

    Returns
    -------
    pandas.DataFrame
        Columns ``predictor``, ``correlation``, ``low``, ``high``, ``candidates``: those that have
        both.

    Examples
    --------
    >>> from gradprobe.tuning import rank
    >>> from gradprobe.tuning.example import example_table
    >>> ranked = rank(example_table())
    >>> runs = pd.DataFrame({"model": ranked["model"], "metric": "accuracy", "test": 50.0})
    >>> correlations(ranked, runs)["candidates"].unique().tolist()
    [3]
    """
    outcomes = runs.assign(worth=worth(runs)).groupby("model")["worth"].median()
    rows = []
    for name, predictor in predictors(ranked).items():
        both = pd.concat([predictor, outcomes], axis=1, join="inner").dropna()
        values = both.to_numpy(dtype=float)
        correlation, low, high = spearman(values)
        rows.append(
            {
                "predictor": name,
                "correlation": correlation,
                "low": low,
                "high": high,
                "candidates": len(both),
            }
        )
    return pd.DataFrame(rows)


def paired(runs: pd.DataFrame, suggested: str, default: str) -> Paired:
    """Return how much better the suggested candidate learned than the default, at equal seeds.

    Parameters
    ----------
    runs
        Of `gradprobe.reports.trainings.trainings`, of one task, none of these two diverged.
    suggested, default
        Labels of candidates.

    Examples
    --------
    >>> runs = pd.DataFrame({
    ...     "model": ["a", "a", "a", "b", "b", "b"], "seed": [0, 1, 2, 0, 1, 2],
    ...     "metric": "accuracy", "test": [52.0, 53.0, 54.0, 50.0, 52.0, 51.0],
    ... })
    >>> found = paired(runs, "a", "b")
    >>> found.differences, found.mean, round(found.low, 2), found.probability
    ((2.0, 1.0, 3.0), 2.0, -0.48, 0.25)
    """
    by_seed = runs.assign(worth=worth(runs)).pivot_table(
        index="seed", columns="model", values="worth"
    )
    differences = (by_seed[suggested] - by_seed[default]).dropna().to_numpy(dtype=float)
    mean, count = float(differences.mean()), len(differences)
    half = np.nan
    if count > 1:
        error = float(differences.std(ddof=1)) / count**0.5
        half = float(stats.t.ppf(0.975, count - 1)) * error
    return Paired(
        suggested,
        default,
        tuple(float(value) for value in differences),
        mean,
        mean - half,
        mean + half,
        _sign_flips(differences),
    )


def _sign_flips(differences: NDArray[np.float64]) -> float:
    """Return the share of all choices of signs whose mean is as far from 0."""
    signs = np.array(list(product((-1.0, 1.0), repeat=len(differences))))
    means = np.abs(signs @ differences)
    observed = abs(float(differences.sum()))
    return float((means >= observed * (1 - 1e-12)).mean())
