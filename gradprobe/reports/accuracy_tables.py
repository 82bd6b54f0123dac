"""The tables of accuracies as they are written on the page and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from gradprobe.reports.numbers import NOTHING, plural, seconds, thousands
from gradprobe.reports.training_answer import measure, points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradprobe.reports.contract import Cell


class AccuracyRow(NamedTuple):
    """A model on a task, in words."""

    model: str
    key: Any
    test: str
    notes: list[str]
    published: str
    source: str
    difference: str
    iterations: str
    budget: list[str]
    seeds: str
    parameters: str
    published_parameters: str
    units: str
    published_units: str
    seconds: str
    hyper_parameters: str


class AccuracyTable(NamedTuple):
    """The models of a task, and where its data come from.

    Attributes
    ----------
    compared
        Whether anything is published of one of the rows.
    """

    task: str
    metric: str
    rows: list[AccuracyRow]
    data: str
    compared: bool


def accuracy_tables(
    outcomes: pd.DataFrame, cells: Sequence[Cell], keys: Mapping[str, Any]
) -> list[AccuracyTable]:
    """Return a table for each task.

    Parameters
    ----------
    outcomes
        Of `gradprobe.reports.trainings.outcomes`.
    cells
        The finished cells.
    keys
        The legend's entry of each model.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> from gradprobe.reports.trainings import outcomes, trainings
    >>> results = example_trainings(models=1)
    >>> rows = outcomes(trainings(results.table, results.cells), results.cells)
    >>> table = accuracy_tables(rows, results.cells, {})[0]
    >>> table.rows[0].test, table.rows[0].difference, table.rows[0].budget
    ('81.1 %', '−16.2', ['of 50,000', 'below the full budget'])
    """
    if outcomes.empty:
        return []
    return [
        AccuracyTable(
            str(task),
            str(rows["metric"].iloc[0]),
            [_row(row, keys.get(row["model"])) for _, row in rows.iterrows()],
            data_of(str(task), cells),
            compared=bool(rows["published"].notna().any()),
        )
        for task, rows in outcomes.groupby("task", sort=False)
    ]


def data_of(task: str, cells: Sequence[Cell]) -> str:
    """Return what the cells' provenance says of a task's data, each sentence once.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> data_of("pixel MNIST", example_trainings(models=1).cells)
    'pixel MNIST of nobody: made up'
    """
    said = [
        str(cell.provenance[name])
        for cell in cells
        if cell.task == task
        for name in ("task", "data")
        if cell.provenance.get(name)
    ]
    return " ".join(dict.fromkeys(said))


def _row(row: pd.Series[Any], key: Any) -> AccuracyRow:
    difference = row["difference"]
    accuracy = row["metric"] == "accuracy"
    return AccuracyRow(
        model=row["model"],
        key=key,
        test="diverged" if _all_diverged(row) else _or_nothing(row["test"], row["metric"]),
        notes=_notes(row),
        published=_or_nothing(row["published"], row["metric"]),
        source=row["source"],
        difference=NOTHING
        if pd.isna(difference)
        else (points(difference) if accuracy else f"{difference:+.2g}"),
        iterations=thousands(row["iterations"]),
        budget=_budget(row),
        seeds=str(row["seeds"]),
        parameters=_count(row["parameters"], NOTHING),
        published_parameters=_count(row["published_parameters"]),
        units=_count(row["units"], NOTHING),
        published_units=""
        if row["units"] == row["published_units"]
        else _count(row["published_units"]),
        seconds=NOTHING if pd.isna(row["seconds"]) else seconds(row["seconds"]),
        hyper_parameters=row["hyper_parameters"],
    )


def _all_diverged(row: pd.Series[Any]) -> bool:
    return bool(row["diverged"] == row["seeds"])


def _notes(row: pd.Series[Any]) -> list[str]:
    notes = []
    if row["seeds"] - row["diverged"] > 1:
        low, high = (measure(row[end], row["metric"]) for end in ("low", "high"))
        notes.append(f"{low.removesuffix(' %')} … {high.removesuffix(' %')}")
    if row["diverged"] and not _all_diverged(row):
        notes.append(f"{row['diverged']} of {plural(int(row['seeds']), 'seed')} diverged")
    if row["learned"] is False and not _all_diverged(row):
        notes.append("not beyond chance")
    return notes


def _budget(row: pd.Series[Any]) -> list[str]:
    if pd.isna(row["budget"]):
        return []
    below = "below the full budget" if row["below_budget"] else "the full budget"
    return [f"of {thousands(row['budget'])}", below]


def _or_nothing(value: float, metric: str) -> str:
    return NOTHING if pd.isna(value) else measure(value, metric)


def _count(value: float, nothing: str = "") -> str:
    return nothing if pd.isna(value) else thousands(value)
