"""Texts that stand for the figures of trainings and trajectories; from the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradprobe.reports.figures.learning import learning_band
from gradprobe.reports.figures.moduli import moduli_band
from gradprobe.reports.numbers import MINUS, logarithm, plural, significant, thousands

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from gradprobe.reports.portraits import Portrait
    from gradprobe.reports.survival import Relation

_MOST = 12


def learning(rows: pd.DataFrame, quantity: str) -> str:
    """Describe a learning curve by where it ends.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> from gradprobe.reports.trainings import training_rows
    >>> rows = training_rows(example_trainings(models=1, tasks=["digits"]).table)
    >>> learning(rows, "validation_accuracy")
    'Medians at the last iteration: LSTM 81.1 at iteration 1,000.'
    """
    band = learning_band(rows, quantity)
    ends = band.groupby("series", observed=True).last()
    percent = quantity.endswith("accuracy")
    parts = [
        f"{name} {f'{value:.1f}' if percent else significant(value, 3)} at iteration {thousands(x)}"
        for name, value, x in zip(
            ends.index[:_MOST], ends["median"][:_MOST], ends["x"][:_MOST], strict=True
        )
    ]
    diverged = rows[rows["quantity"] == "diverged_at"]
    end = f" {plural(len(diverged), 'training')} diverged." if len(diverged) else ""
    return f"Medians at the last iteration: {'; '.join(parts)}{_more(len(ends))}.{end}"


def survival(relation: Relation) -> str:
    """Describe accuracy against gradient survival, a model at a time.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> from gradprobe.reports.survival import relations
    >>> from gradprobe.reports.trainings import trainings
    >>> results = example_trainings(models=1)
    >>> survival(relations(results.table, trainings(results.table, results.cells))[0])
    'Median log gain and test accuracy: LSTM −163 and 81.1 %.'
    """
    medians = relation.points.groupby("model", sort=False)[["gain", "test"]].median()
    parts = [
        f"{name} {logarithm(gain)} and {'diverged' if np.isnan(test) else f'{test:.1f} %'}"
        for name, gain, test in medians.head(_MOST).itertuples()
    ]
    known = ""
    if not np.isnan(relation.correlation):
        known = f" Rank correlation {relation.correlation:.2f}.".replace("-", MINUS)
    joined = "; ".join(parts)
    return f"Median log gain and test accuracy: {joined}{_more(len(medians))}.{known}"


def moduli(table: pd.DataFrame, quantity: str, failed: Collection[tuple[str, int]]) -> str:
    """Describe eigenvalue moduli over T by their ends.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_moduli
    >>> from gradprobe.reports.trainings import at_the_end
    >>> moduli(at_the_end(example_moduli().table), "log_mean_modulus", [("LSTM", 800)])[:75]
    'Medians, shortest to longest T: LSTM −40.0 to −320 (not learned at T = 800)'
    """
    band = moduli_band(table, quantity)
    parts = []
    for name, rows in band.groupby("series", observed=True):
        ends = (logarithm(float(rows["median"].iloc[place])) for place in (0, -1))
        lengths = [f"{x}" for x in rows["x"] if (name, x) in failed]
        mark = f" (not learned at T = {', '.join(lengths)})" if lengths else ""
        parts.append(f"{name} {' to '.join(ends)}{mark}")
    joined = "; ".join(parts[:_MOST])
    return f"Medians, shortest to longest T: {joined}{_more(len(parts))}."


def portrait(shown: Portrait) -> str:
    """Describe the trajectories of a portrait by their distances from the origin.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_dynamics
    >>> from gradprobe.reports.portraits import portraits
    >>> portrait(portraits(example_dynamics(seeds=1).table)[1])
    '3 trajectories of 50 steps; distance from the origin, first and last: 0.5 and 0.789; 0.71 and
    1.02; 0.9 and 1.19.'
    """
    norms = np.linalg.norm(shown.paths, axis=-1)
    ends = [
        f"{significant(float(first))} and {significant(float(last), 3)}"
        for first, last in zip(norms[0], norms[-1], strict=True)
    ]
    several = "trajectory" if len(ends) == 1 else "trajectories"
    return (
        f"{len(ends)} {several} of {plural(len(norms) - 1, 'step')}; distance from the origin, "
        f"first and last: {'; '.join(ends[:_MOST])}{_more(len(ends))}."
    )


def distance(rows: pd.DataFrame) -> str:
    """Describe the distance from the origin over time by its ends.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_dynamics
    >>> from gradprobe.reports.portraits import distances, portraits
    >>> distance(distances(portraits(example_dynamics(seeds=1).table)))[:41]
    'Median at the last step: Vanilla, random '
    """
    last = rows[rows["step"] == rows["step"].max()]
    medians = last.groupby("series", observed=True)["value"].median()
    parts = [f"{name} {significant(value)}" for name, value in medians.items()]
    return f"Median at the last step: {'; '.join(parts[:_MOST])}{_more(len(parts))}."


def _more(count: int) -> str:
    return f"; and {count - _MOST} more" if count > _MOST else ""
