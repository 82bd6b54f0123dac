"""The sections besides those on gradients: trainings, eigenvalue moduli, trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradprobe.reports import dynamics_answer, training_answer
from gradprobe.reports import training_illustrations as illustrations
from gradprobe.reports.accuracy_tables import accuracy_tables
from gradprobe.reports.illustrations import series_key, unseen_key
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
    from collections.abc import Collection, Mapping, Sequence

    import pandas as pd

    from gradprobe.reports.choice import Choice
    from gradprobe.reports.contract import Cell
    from gradprobe.reports.illustrations import Key
    from gradprobe.reports.survival import Relation


def other_sections(
    table: pd.DataFrame,
    cells: Sequence[Cell],
    order: Sequence[str],
    choice: Choice | None = None,
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
    choice
        Those that are drawn and listed; all if None.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> results = example_results(models=1)
    >>> any(other_sections(results.table, results.cells, []).values())
    False
    """
    runs = trainings(table, cells)
    found = outcomes(runs, cells)
    related = relations(table, runs)
    shown = table if choice is None else table[table["model"].isin(choice.drawn)]
    rows = training_rows(shown, order)
    every = portraits(shown, order)
    ends = at_the_end(shown, order)
    failed = not_learned(ends, found)
    drawn = {name: series_key(rows, name) for name in present(rows)}
    listed = found if choice is None or found.empty else found[found["model"].isin(choice.listed)]
    return {
        "training_answer": training_answer.answer(found, related) if len(found) else None,
        "accuracy_tables": accuracy_tables(listed, cells, _keys(listed, drawn)),
        "learning": illustrations.learning_charts(rows),
        "survival": illustrations.survival_charts(
            [_of(relation, drawn) for relation in related], list(drawn)
        ),
        "moduli": illustrations.moduli_charts(ends, failed) if len(ends) else [],
        "failed": failed,
        "dynamics_answer": dynamics_answer.answer(every) if every else None,
        "portraits": illustrations.portrait_panels(every),
        "tuning": tuning_section(table),
    }


def _of(relation: Relation, models: Collection[str]) -> Relation:
    """Keep the points of the models that are drawn."""
    points = relation.points
    return relation._replace(points=points[points["model"].isin(list(models))])


def _keys(listed: pd.DataFrame, drawn: Mapping[str, Key]) -> dict[str, Key]:
    """Return the legend's entries; models that are listed and not drawn have a dotted grey one."""
    models = [] if listed.empty else [str(model) for model in listed["model"].unique()]
    return {model: drawn.get(model, unseen_key(model)) for model in models}
