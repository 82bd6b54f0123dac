"""What each model costs: its time per step, and its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from gradprobe.reports.trainings import trainings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.reports.contract import Cell

TRAINING, PROBING = "training iteration", "time step"
"""What a cell's time is divided by: iterations done, or T, the longest length."""

COLUMNS = ["model", "task", "unit", "seconds", "low", "high", "cells", "parameters"]


def costs(table: pd.DataFrame, cells: Sequence[Cell]) -> pd.DataFrame:
    """Return a row for each model by task: seconds per step, and parameters.

    The time of a trained cell, its probes and evaluations included, is divided by its iterations;
    that of another cell, with all its probes, sequences and lengths, by its longest T.  So the time
    of what is only probed is that of measuring; models that went through the same study on the same
    machine compare.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.
    cells
        The finished cells.

    Returns
    -------
    pandas.DataFrame
        Columns ``model``, ``task``; ``unit``, what the seconds are per; ``seconds``, ``low`` and
        ``high``, median, minimum and maximum over the seeds; ``cells``, how many these are;
        ``parameters``, degrees of freedom with the readout, NaN where they are not stored.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> results = example_results(models=1, lengths=[5, 10])
    >>> costs(results.table, results.cells)[["unit", "seconds"]].to_dict("list")
    {'unit': ['time step'], 'seconds': [0.25]}
    """
    runs = trainings(table, cells)
    done = {
        (str(row.task), str(row.model), row.seed): int(str(row.iterations))
        for row in runs[["task", "model", "seed", "iterations"]].itertuples(index=False)
    }
    lengths = table.groupby(["task", "model"], observed=True)["length"].max().dropna()
    longest = {key: int(length) for key, length in lengths.items()}
    rows: list[tuple[str, str, str, float]] = []
    for cell in cells:
        trained = done.get((cell.task, cell.label, cell.seed))
        steps = trained or longest.get((cell.task, cell.label))
        if cell.seconds is not None and cell.seconds > 0 and steps:
            unit = TRAINING if trained else PROBING
            rows.append((cell.label, cell.task, unit, cell.seconds / float(steps)))
    every = pd.DataFrame(rows, columns=["model", "task", "unit", "seconds"])
    groups = every.groupby(["model", "task", "unit"], sort=False)["seconds"]
    found = groups.agg(seconds="median", low="min", high="max", cells="size").reset_index()
    return found.merge(_parameters(table), on=["model", "task"], how="left").reindex(
        columns=COLUMNS
    )


def _parameters(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[(table["probe"] == "size") & (table["quantity"] == "total")]
    medians = rows.groupby(["model", "task"], observed=True)["value"].median()
    return medians.rename("parameters").reset_index().astype({"model": object, "task": object})


def cost_names(rows: pd.DataFrame) -> list[str]:
    """Return what each row is called: its model, and its task where there are several.

    Parameters
    ----------
    rows
        Of `costs`.

    Examples
    --------
    >>> cost_names(pd.DataFrame({"model": ["a", "a"], "task": ["x", "y"]}))
    ['a · x', 'a · y']
    """
    if rows["task"].nunique() < 2:
        return [str(model) for model in rows["model"]]
    return [f"{model} · {task}" for model, task in zip(rows["model"], rows["task"], strict=True)]
