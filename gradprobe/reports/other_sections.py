"""The sections besides those on gradients: trainings, eigenvalue moduli, trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradprobe.reports import dynamics_answer, training_answer
from gradprobe.reports import training_illustrations as illustrations
from gradprobe.reports.accuracy_tables import accuracy_tables
from gradprobe.reports.illustrations import series_key
from gradprobe.reports.portraits import portraits
from gradprobe.reports.series import present
from gradprobe.reports.survival import relations
from gradprobe.reports.trainings import (
    at_the_end,
    not_learned,
    outcomes,
    training_rows,
    trainings,
)
from gradprobe.reports.tuning_section import tuning_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from gradprobe.reports.contract import Cell


def other_sections(
    table: pd.DataFrame, cells: Sequence[Cell], order: Sequence[str]
) -> dict[str, Any]:
    """Return what the templates of these sections need; what was not measured is empty.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.
    cells
        The finished cells.
    order
        Models in the order in which they are to be shown.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> results = example_results(models=1)
    >>> any(other_sections(results.table, results.cells, []).values())
    False
    """
    rows = training_rows(table, order)
    runs = trainings(table, cells)
    found = outcomes(runs, cells)
    related = relations(table, runs)
    every = portraits(table, order)
    ends = at_the_end(table, order)
    failed = not_learned(ends, found)
    keys = {name: series_key(rows, name) for name in present(rows)}
    return {
        "training_answer": training_answer.answer(found, related) if len(found) else None,
        "accuracy_tables": accuracy_tables(found, cells, keys),
        "learning": illustrations.learning_charts(rows),
        "survival": illustrations.survival_charts(related, list(keys)),
        "moduli": illustrations.moduli_charts(ends, failed) if len(ends) else [],
        "failed": failed,
        "dynamics_answer": dynamics_answer.answer(every) if every else None,
        "portraits": illustrations.portrait_panels(every),
        "tuning": tuning_section(table),
    }
