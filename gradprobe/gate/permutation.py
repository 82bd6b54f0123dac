"""A permutation test of many quantities at once, with the level held over all of them together.

If nothing has changed, any split of all units (here: seeds) into two sides is as likely as the one
at hand.  The statistic of a quantity is the squared correlation r² between its value and the side;
it grows with the t statistic, t² = (n − 2) r²/(1 − r²).  The greatest of all quantities is compared
with what it is in random splits, in which each unit takes all its values along, so that their
dependence is accounted for.  This is the single-step maximum method of Westfall and Young,
"Resampling-Based Multiple Testing", 1993; it holds whatever the distributions are.
"""

from __future__ import annotations

import numpy as np

SPLITS = 19_999
"""Random splits; with the one at hand, 20,000."""
_CHUNK = 4_000
_SLACK = 1e-9


def probabilities(
    values: np.ndarray, side: np.ndarray, *, splits: int = SPLITS, seed: int = 0
) -> np.ndarray:
    """Return how often chance makes as great a difference between two sides in any quantity.

    A quantity with an infinity among its values is compared by their ranks.  The order of the units
    does not matter, not even for the random splits.

    Parameters
    ----------
    values
        Of m quantities (rows) at n units (columns); NaN where there is none.
    side
        On which of two sides each unit is, shape (n,), Booleans.
    splits
        How many random splits.
    seed
        Of the random splits.

    Returns
    -------
    numpy.ndarray
        A probability for each quantity, at least 1/(1 + splits).

    Examples
    --------
    >>> side = np.repeat([False, True], 10)
    >>> (probabilities(np.array([np.arange(20.0), np.arange(20) % 2]), side) <= 0.001).tolist()
    [True, False]
    """
    order = np.lexsort((side, *np.where(np.isnan(values), np.inf, values)))
    scores = np.stack([_standardised(_finite(row)) for row in values[:, order]])
    observed = _separation(scores, side[order][None].astype(float))[:, 0]
    greatest = _greatest(scores, int(side.sum()), splits, np.random.default_rng(seed))
    reached = (greatest[None] >= observed[:, None] - _SLACK).sum(axis=1)
    chances: np.ndarray = (1 + reached) / (1 + splits)
    return chances


def _greatest(
    scores: np.ndarray, size: int, splits: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the greatest separation of any quantity, for each of many random splits."""
    side = np.zeros(scores.shape[1])
    side[:size] = 1.0
    parts = []
    for start in range(0, splits, _CHUNK):
        sides = np.tile(side, (min(_CHUNK, splits - start), 1))
        parts.append(_separation(scores, generator.permuted(sides, axis=1)).max(axis=0))
    return np.concatenate(parts)


def _finite(values: np.ndarray) -> np.ndarray:
    """Return values, or their ranks if one is infinite; NaN stays."""
    if not np.isinf(values).any():
        return values
    known = ~np.isnan(values)
    ranks = np.full(len(values), np.nan)
    ranks[known] = np.unique(values[known], return_inverse=True)[1]
    return ranks


def _standardised(values: np.ndarray) -> np.ndarray:
    """Return values of mean 0 and greatest size 1; zeros if they are equal but for rounding."""
    centred = values - np.nanmean(values)
    size, scale = np.nanmax(np.abs(centred)), np.nanmax(np.abs(values))
    return centred / size if size > 1e-12 * scale else np.where(np.isnan(values), np.nan, 0.0)


def _separation(scores: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return the squared correlation of every quantity (rows) with every split (columns)."""
    known = ~np.isnan(scores)
    values = np.where(known, scores, 0.0)
    count = known.sum(axis=1, keepdims=True).astype(float)
    on_side = known.astype(float) @ sides.T
    whole = values.sum(axis=1, keepdims=True)
    excess = values @ sides.T - whole * on_side / count
    spread = (values**2).sum(axis=1, keepdims=True) - whole**2 / count
    room = spread * on_side * (count - on_side) / count
    shared: np.ndarray = np.divide(excess**2, room, out=np.zeros_like(room), where=room > 0)
    return shared
