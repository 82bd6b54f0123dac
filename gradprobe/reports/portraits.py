"""Trajectories in the plane: which there are, and how far they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from gradprobe.reports.series import with_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PLANE = 2
TOLERANCE = 1e-12
"""Seeds whose states differ by no more than this, everywhere, show the same picture."""


class Portrait(NamedTuple):
    """The trajectories of one model on one task at one seed.

    Attributes
    ----------
    series
        The model, and the task if there are several.
    task, seed
        The task's label, and the seed.
    paths
        States, shape (T + 1, sequences, 2).
    mesh, velocity
        Points of a mesh and the vector field there, shape (points, 2), or None.
    """

    series: str
    task: str
    seed: int
    paths: NDArray[np.float64]
    mesh: NDArray[np.float64] | None
    velocity: NDArray[np.float64] | None


def portraits(table: pd.DataFrame, order: Sequence[str] = ()) -> list[Portrait]:
    """Return the portrait of every model with two units, task and seed, in that order.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.
    order
        Models in the order in which they are to be shown.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_dynamics
    >>> [(portrait.series, portrait.seed) for portrait in portraits(example_dynamics().table)][:2]
    [('Vanilla, random W', 0), ('Vanilla, random W', 1)]
    """
    rows = table[table["probe"].isin(["state_trajectory", "vector_field"])]
    if rows.empty:
        return []
    rows = with_series(rows, order)
    units = rows.groupby("series", observed=True)["rank"].transform("max")
    plane = rows[units == PLANE]
    found = []
    for key, mine in plane.groupby(["series", "seed"], observed=True):
        series, seed = str(key[0]), int(mine["seed"].iloc[0])
        paths = _entries(mine, "hidden_state")
        if paths is not None:
            found.append(
                Portrait(
                    series,
                    str(mine["task"].iloc[0]),
                    seed,
                    paths,
                    _flat(_entries(mine, "mesh")),
                    _flat(_entries(mine, "velocity")),
                )
            )
    return found


def seeds_differ(of_one_series: Sequence[Portrait]) -> bool:
    """Return whether the seeds of a series show different trajectories.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_dynamics
    >>> every = portraits(example_dynamics().table)
    >>> seeds_differ(every[:3]), seeds_differ(every[3:])
    (True, False)
    """
    first = of_one_series[0].paths
    return any(
        other.paths.shape != first.shape or np.abs(other.paths - first).max() > TOLERANCE
        for other in of_one_series[1:]
    )


def distances(every: Sequence[Portrait]) -> pd.DataFrame:
    """Return ‖h_t‖ of every trajectory: columns series, seed, sequence, step, value, resolved.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_dynamics
    >>> rows = distances(portraits(example_dynamics().table))
    >>> rows[rows["step"] == 0]["value"].round(3).unique().tolist()
    [0.5, 0.707, 0.901]
    """
    names = list(dict.fromkeys(portrait.series for portrait in every))
    tables = []
    for portrait in every:
        norms = np.linalg.norm(portrait.paths, axis=-1)
        steps, sequences = np.indices(norms.shape)
        tables.append(
            pd.DataFrame(
                {
                    "series": portrait.series,
                    "task": portrait.task,
                    "seed": portrait.seed,
                    "sequence": sequences.ravel(),
                    "step": steps.ravel(),
                    "value": norms.ravel(),
                }
            )
        )
    rows = pd.concat(tables, ignore_index=True)
    return rows.assign(series=pd.Categorical(rows["series"], categories=names), resolved=True)


def _entries(rows: pd.DataFrame, quantity: str) -> NDArray[np.float64] | None:
    mine = rows[rows["quantity"] == quantity].sort_values(["step", "sequence", "rank"])
    if mine.empty:
        return None
    steps, sequences = max(mine["step"].nunique(), 1), mine["sequence"].nunique()
    return mine["value"].to_numpy(dtype=float).reshape(steps, sequences, PLANE)


def _flat(entries: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    return None if entries is None else entries.reshape(-1, PLANE)
