"""Whether the gradient at initialisation tells how accurate a model becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from gradprobe.reports.series import with_series
from gradprobe.reports.summary import runs as last_gains
from gradprobe.reports.trainings import APART

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 10_000
"""How many bootstrap samples the interval of a correlation is taken from; and permutations."""

SEED = 0
"""Of the bootstrap and of the permutations."""

FEWEST = 4
"""With fewer models than this no correlation is told."""

_RUN = ["task", "model", "seed"]


class Relation(NamedTuple):
    """Accuracy against gradient survival on one task.

    Attributes
    ----------
    task
        Its label.
    points
        A row for each training: ``model``, ``seed``, ``gain``, ``survival`` = −|gain|, ``test``;
        a diverged training has no ``test``.
    length
        T, over which the gain was measured.
    models
        How many models were ranked.
    correlation, low, high
        Spearman's, and its 95 % bootstrap interval; NaN if there are too few models, or nothing
        to rank.
    p_value
        How often shuffled accuracies correlate as strongly, either way round; NaN likewise.
    unresolved
        How many models were left out, since the arithmetic did not determine their gain.
    """

    task: str
    points: pd.DataFrame
    length: int
    models: int
    correlation: float
    low: float
    high: float
    p_value: float
    unresolved: int


def relations(table: pd.DataFrame, trainings: pd.DataFrame) -> list[Relation]:
    """Return how accuracy and gradient survival go together, for each task with both.

    The survival of a training is −|log gain| at initialisation: 0 where the gradient keeps its size
    over T steps, less where it shrinks or grows.  A model's is the median over its seeds and
    sequences, and so is its accuracy.  A diverged training counts as less accurate than every
    other.  The interval is the percentile bootstrap over models: 10,000 samples with replacement,
    drawn from a generator with seed 0; samples in which all models rank alike are left out.  Of few
    models it is too short, of four in the same order a single point: so whether there is a relation
    is judged by a permutation test.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.
    trainings
        Of `gradprobe.reports.trainings.trainings`.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> from gradprobe.reports.trainings import trainings
    >>> results = example_trainings()
    >>> relation = relations(results.table, trainings(results.table, results.cells))[0]
    >>> relation.models, round(relation.correlation, 2)
    (5, 0.7)
    """
    gains = _gains(table)
    points = trainings[trainings["metric"] == "accuracy"].merge(gains, on=_RUN)
    return [_relation(str(task), rows) for task, rows in points.groupby("task", sort=False)]


def _gains(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each model, task and seed: ``gain``, ``sound`` and ``length``."""
    start = table[~table["probe"].isin(APART) & (table["iteration"] == 0)]
    if start.empty:
        return pd.DataFrame(columns=[*_RUN, "gain", "sound", "length"])
    series = with_series(start)
    last = last_gains(series).astype({"series": object})
    names = series.drop_duplicates("series")[["series", "task", "model"]]
    last = last.merge(names.astype({"series": object}), on="series")
    sound = last["resolved"].fillna(True).astype(bool) & last["value"].notna()
    groups = last.assign(sound=sound).groupby(_RUN, sort=False)
    return groups.agg(
        gain=("value", "median"), sound=("sound", "all"), length=("length", "max")
    ).reset_index()


def _relation(task: str, rows: pd.DataFrame) -> Relation:
    sound = rows.groupby("model")["sound"].transform("all").astype(bool)
    unresolved = int(rows.loc[~sound, "model"].nunique())
    points = rows[sound].assign(survival=-rows.loc[sound, "gain"].abs())
    ranked = points.assign(test=points["test"].fillna(-np.inf)).groupby("model", sort=False)
    medians = ranked[["survival", "test"]].median().to_numpy(dtype=float)
    correlation, low, high = spearman(medians)
    keep = ["model", "seed", "gain", "survival", "test"]
    length = int(rows["length"].max())
    return Relation(
        task,
        points[keep].reset_index(drop=True),
        length,
        len(medians),
        correlation,
        low,
        high,
        p_value(medians),
        unresolved,
    )


def spearman(pairs: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return Spearman's rank correlation of `pairs`, shape (n, 2), and its bootstrap interval.

    Examples
    --------
    >>> tuple(round(x, 2) for x in spearman(np.array([[1, 1], [2, 3], [3, 2], [4, 4.0]])))
    (0.8, -1.0, 1.0)
    """
    nothing = float("nan")
    if len(pairs) < FEWEST:
        return nothing, nothing, nothing
    whole = float(_correlations(pairs[None])[0])
    chosen = np.random.default_rng(SEED).integers(len(pairs), size=(RESAMPLES, len(pairs)))
    again = _correlations(pairs[chosen])
    again = again[~np.isnan(again)]
    if np.isnan(whole) or not len(again):
        return nothing, nothing, nothing
    low, high = np.quantile(again, [0.025, 0.975])
    return whole, float(low), float(high)


def p_value(pairs: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of Spearman's rank correlation, by permutations.

    All orders of n ≤ 7 models, 10,000 random ones of more, from a generator with seed 0.  NaN where
    there is no correlation.

    Examples
    --------
    >>> pairs = np.arange(4.0)[:, None] * [1.0, 2.0]
    >>> p_value(pairs) == 2 / 24  # two of the 24 orders of four models
    True
    """
    if len(pairs) < FEWEST or np.isnan(_correlations(pairs[None])[0]):
        return float("nan")
    x, y = pairs.T

    def statistic(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        values = np.moveaxis(np.atleast_2d(values), axis, -1)
        return _correlations(np.stack((values, np.broadcast_to(y, values.shape)), axis=-1))

    test = stats.permutation_test(
        (x,),
        statistic,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=RESAMPLES,
        random_state=np.random.default_rng(SEED),
    )
    return float(np.squeeze(test.pvalue))


def _correlations(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlations of the ranks, shape (samples, n, 2) to (samples,); NaN for ties."""
    ranks = stats.rankdata(pairs, axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt((ranks**2).sum(axis=1)).prod(axis=1)
    with np.errstate(invalid="ignore"):
        correlations: NDArray[np.float64] = ranks.prod(axis=2).sum(axis=1) / norms
    return correlations
