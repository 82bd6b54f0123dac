"""A small table of three candidates, for examples and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe import frame

if TYPE_CHECKING:
    import pandas as pd

CANDIDATES = {
    "σ_w = 1": ((0.20, 0.25, 0.30), 0.5),
    "σ_w = 4": ((0.40, 0.35, 0.45), 2.0),
    "σ_w = 16": ((0.60, 0.65, 0.70), 40.0),
}
"""The explained variance at each of three seeds, and log σ_max, which leaves the bound last."""

SIGMAS = (0.0, -1.0)
"""What the two singular values have beside log σ_max."""


def example_table(task: str = "digits") -> pd.DataFrame:
    """Return a table as a study that tunes stores it, with two sequences for the singular values.

    Parameters
    ----------
    task
        What the task is called.

    Examples
    --------
    >>> sorted(example_table()["probe"].unique())
    ['linear_readout', 'singular_values', 'state_separation']
    """
    tables = [
        _cell(score, log_sigma).assign(model=label, task=task, seed=seed)
        for label, (scores, log_sigma) in CANDIDATES.items()
        for seed, score in enumerate(scores)
    ]
    return frame.concatenate(tables, iteration=0, length=100, step=100, resolved=True, error=0.0)


def _cell(score: float, log_sigma: float) -> pd.DataFrame:
    scalars = {
        ("linear_readout", "explained_variance"): score,
        ("linear_readout", "explained_variance_rescaled"): score / 2,
        ("state_separation", "effective_rank"): 10 * score,
        ("state_separation", "log_spread"): -score,
    }
    tables = [
        frame.rows(probe=probe, quantity=quantity, value=value, block="hidden")
        for (probe, quantity), value in scalars.items()
    ]
    spectrum = [
        frame.rows(
            probe="singular_values",
            quantity="log_sigma",
            matrix="end_to_end",
            block="state",
            sequence=sequence,
            rank=rank,
            value=log_sigma + beside,
        )
        for sequence in range(2)
        for rank, beside in enumerate(SIGMAS, start=1)
    ]
    return frame.concatenate([*tables, *spectrum])
