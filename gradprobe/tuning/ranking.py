"""The candidates in order, with what their order is uncertain by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gradprobe import checks
from gradprobe.tuning.component_table import BOUNDED, COMPONENTS, SCORE, median
from gradprobe.tuning.component_table import components as components_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOUND = 10.0
"""Greatest |log σ_max| of the end-to-end Jacobian of a candidate that is suggested.

e^10 is about 22,000, as many examples as a short training sees: beyond it, all that these say of
the first step weighs less than what one of them says of the last, or the other way round.  At first
it was 5, the root of that, above which the first step's part of the gradient can be made out in the
noise of the others; the trainings on noise-padded digits that ``reports/tuning`` tells of showed
that it left out what learned best, so it was changed before any of the others were looked at.
"""

RESAMPLES = 2_000
SEED = 0
"""Of the bootstrap."""

INTERVAL = (0.025, 0.975)


def rank(table: pd.DataFrame, *, bound: float = BOUND) -> pd.DataFrame:
    r"""Rank candidates, task by task: those within the bound first, then by falling score.

    The score is the mean over seeds of the explained variance of a linear readout of the last
    states (`gradprobe.probes.linear_readout.linear_readout`); a candidate is within the bound if
    :math:`|\log σ_{\max}(∂s_T/∂s_0)|`, the median over seeds and sequences, is at most `bound`; one
    that could not be determined is not.

    What the order is uncertain by is told by a bootstrap over seeds: the seeds are drawn with
    replacement, the same ones for all candidates, since these share their sequences and random
    numbers; 2,000 times, from a generator with seed 0.  It knows of other seeds, not of other data.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.
    bound
        Greatest |log σ_max|, in natural-log units.

    Returns
    -------
    pandas.DataFrame
        For each task the candidates in order, with ``task``, ``model``, ``rank`` from 1,
        ``rank_low`` and ``rank_high`` (95 % interval), ``first`` (share of the resamples in which
        it was first), ``score``, ``score_low``, ``score_high``, ``within_bound``, the other
        components of `gradprobe.tuning.components` (medians over seeds), and ``seeds``.  With one
        seed there are no intervals.

    Examples
    --------
    >>> from gradprobe.tuning.example import example_table
    >>> ranked = rank(example_table())
    >>> ranked[["rank", "model", "score", "within_bound"]].round(2).to_dict("list")
    {'rank': [1, 2, 3], 'model': ['σ_w = 4', 'σ_w = 1', 'σ_w = 16'], 'score': [0.4, 0.25, 0.65],
     'within_bound': [True, True, False]}
    """
    checks.positive_number("bound", bound)
    rows = components_of(table)
    tasks = [_ranked(mine, bound) for _, mine in rows.groupby("task", sort=False)]
    return pd.concat(tasks, ignore_index=True) if tasks else pd.DataFrame(columns=["task", "model"])


def _ranked(rows: pd.DataFrame, bound: float) -> pd.DataFrame:
    """Return the candidates of one task in order."""
    groups = rows.groupby("model", sort=False)
    others = [name for name in COMPONENTS if name != SCORE]
    found = groups[others].agg(median)
    found = found.assign(within_bound=found[BOUNDED].abs() <= bound, seeds=groups["seed"].nunique())
    scores = rows.pivot_table(index="model", columns="seed", values=SCORE, dropna=False)
    scores = scores.reindex(found.index)
    within = found["within_bound"].to_numpy(dtype=bool)
    found = found.assign(**_with_intervals(scores.to_numpy(dtype=float), within))
    first = ["model", "rank", "rank_low", "rank_high", "first", "score", "score_low", "score_high"]
    ordered = found.reset_index().sort_values("rank", kind="stable")
    ordered.insert(0, "task", rows["task"].iloc[0])
    return ordered[["task", *first, "within_bound", *others, "seeds"]]


def _with_intervals(
    scores: NDArray[np.float64], within: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Return scores and ranks with intervals, from scores of shape (candidates, seeds)."""
    candidates, seeds = scores.shape
    names = ("rank_low", "rank_high", "first", "score_low", "score_high")
    unknown = {name: np.full(candidates, np.nan) for name in names}
    mean = _mean(scores)
    found = {**unknown, "rank": positions(mean, within), "score": mean}
    return found if seeds == 1 else {**found, **_intervals(scores, within)}


def _intervals(
    scores: NDArray[np.float64], within: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Return what resampling the seeds, the same for all candidates, gives."""
    seeds = scores.shape[1]
    drawn = np.random.default_rng(SEED).integers(seeds, size=(RESAMPLES, seeds))
    again = np.stack([_mean(scores[:, chosen]) for chosen in drawn])
    ranks = positions(again, within)
    low, high = _quantiles(again)
    lowest, highest = _quantiles(ranks)
    return {
        "rank_low": lowest,
        "rank_high": highest,
        "first": np.asarray((ranks == 1).mean(axis=0)),
        "score_low": low,
        "score_high": high,
    }


def _quantiles(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.quantile(values, INTERVAL, axis=0), dtype=np.float64)


def _mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over seeds, of those that were measured."""
    known = ~np.isnan(scores)
    total = np.where(known, scores, 0.0).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / known.sum(axis=-1))


def positions(scores: NDArray[np.float64], within: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return ranks from 1: those within the bound first, then by falling score.

    Parameters
    ----------
    scores
        One for each candidate, shape (…, candidates); NaN, where there is none, ranks last.
    within
        Which candidates are within the bound.

    Returns
    -------
    numpy.ndarray
        Equal candidates share the smallest rank.

    Examples
    --------
    >>> positions(np.array([0.5, 0.9, 0.5]), np.array([True, False, True])).tolist()
    [1, 3, 1]
    """
    worth = np.where(np.isnan(scores), -np.inf, scores)
    ahead = worth[..., None, :] > worth[..., :, None]
    sooner = np.where(within[:, None] == within, ahead, within)
    return np.asarray(1 + sooner.sum(axis=-1))
