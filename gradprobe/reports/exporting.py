"""Accuracies for papers and pull requests: as a table of numbers, and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.reports import provenance
from gradprobe.reports.accuracy_tables import accuracy_tables, data_of
from gradprobe.reports.numbers import NOTHING, printable
from gradprobe.reports.survival import relations
from gradprobe.reports.training_answer import answer
from gradprobe.reports.trainings import outcomes, trainings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from markupsafe import Markup

    from gradprobe.reports.accuracy_tables import AccuracyRow
    from gradprobe.reports.contract import Cell, Results

CURVE_COLUMNS = ["task", "model", "seed", "iteration", "quantity", "value"]
_NOT_CURVES = ("test_examples", "validation_examples", "number_of_classes")
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#|~$&"})
_HEADINGS = (
    "model",
    "test",
    "published",
    "difference",
    "iterations",
    "seeds",
    "parameters",
    "units",
    "time",
    "hyper-parameters",
)


def escaped(text: object) -> str:
    r"""Return a text of one line in which Markdown and HTML find no marks of theirs.

    Examples
    --------
    >>> print(escaped("a_b <i>"))
    a\_b \<i\>
    """
    return " ".join(printable(text).translate(_MARKS).split())


def accuracy_numbers(results: Results) -> pd.DataFrame:
    """Return a row for each model on each task, with all that belongs to it.

    Parameters
    ----------
    results
        As `gradprobe.studies.read_results` returns them.

    Returns
    -------
    pandas.DataFrame
        The columns of `gradprobe.reports.trainings.outcomes`; ``seed_list``; ``data``, ``commit``,
        ``versions`` and ``machine``, in words.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> rows = accuracy_numbers(example_trainings(models=1))
    >>> rows[["seed_list", "data"]].head(1).to_dict("list")
    {'seed_list': ['0, 1'], 'data': ['pixel MNIST of nobody: made up']}
    """
    cells = _finished(results)
    runs = trainings(results.table, cells)
    found = outcomes(runs, cells)
    if found.empty:
        return found
    mine = [
        [cell for cell in cells if (cell.task, cell.label) == (row["task"], row["model"])]
        for _, row in found.iterrows()
    ]
    return found.assign(
        seed_list=[", ".join(str(cell.seed) for cell in own) for own in mine],
        data=[data_of(str(own[0].task), own) for own in mine],
        commit=[_agreed(own, "commit") for own in mine],
        versions=[_agreed(own, "versions") for own in mine],
        machine=[_agreed(own, "machine") for own in mine],
    )


def training_curves(results: Results) -> pd.DataFrame:
    """Return every value that trainings recorded: loss and accuracy over the iterations.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> list(training_curves(example_trainings(models=1)).columns)
    ['task', 'model', 'seed', 'iteration', 'quantity', 'value']
    """
    table = results.table
    mine = table[(table["probe"] == "training") & ~table["quantity"].isin(_NOT_CURVES)]
    return mine[CURVE_COLUMNS].reset_index(drop=True)


def accuracy_markdown(results: Results) -> str:
    r"""Return what the trainings of a study came to, in Markdown: sentences, then a table a task.

    Everything from the results is escaped: a model called ``*`` is shown as such.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> print(accuracy_markdown(example_trainings(models=1, labels=["a*"])).splitlines()[0])
    On pixel MNIST, a\* reaches 81.1 %, 16.2 points below the published 97.3 %. On noise-padded
    CIFAR-10, a\* reaches 9.8 %, 1.8 points below the published 11.6 %.
    """
    cells = _finished(results)
    runs = trainings(results.table, cells)
    found = outcomes(runs, cells)
    if found.empty:
        return "No training is finished.\n"
    told = answer(found, relations(results.table, runs))
    parts = [_plain(told.lead), "\n".join(f"- {_plain(sentence)}" for sentence in told.others)]
    for table in accuracy_tables(found, cells, {}):
        parts.append(f"### {escaped(table.task)}")
        parts.append(_markdown(_HEADINGS, (_cells(row) for row in table.rows)))
        if table.data:
            parts.append(f"Data: {escaped(table.data)}")
    return "\n\n".join(part for part in parts if part) + "\n"


def missing_in_words(results: Results) -> str:
    """Return which cells of a study are not there, in one Markdown paragraph; empty if all are.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> missing_in_words(example_trainings(models=1))
    ''
    """
    gaps = provenance.gaps(results)
    listed = "; ".join(escaped(f"{gap.cell} {gap.reason}") for gap in gaps)
    return f"Not in these tables: {listed}." if gaps else ""


def facts_in_words(results: Results) -> str:
    """Return the provenance of a study's cells as a Markdown list.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> print(facts_in_words(example_trainings(models=1, tasks=["t"])).splitlines()[0])
    - cells: 2 cells, 240 s in all
    """
    return "\n".join(
        f"- {escaped(fact.name)}: {'; '.join(escaped(value) for value in fact.values)}"
        for fact in provenance.facts(_finished(results))
    )


def _finished(results: Results) -> list[Cell]:
    return [cell for cell in results.cells if provenance.is_finished(cell)]


def _agreed(cells: Sequence[Cell], name: str) -> str:
    said = [_words(cell.provenance.get(name)) for cell in cells]
    return "; ".join(dict.fromkeys(text for text in said if text))


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(part)}" for name, part in value.items())
    return "" if value is None else printable(value)


def _cells(row: AccuracyRow) -> list[str]:
    ours = f"{row.parameters} (published {row.published_parameters})"
    units = f"{row.units} (published {row.published_units})"
    return [
        row.model,
        "; ".join([row.test, *row.notes]),
        row.published,
        row.difference,
        " ".join([row.iterations, *row.budget[:1]]) + "".join(f"; {n}" for n in row.budget[1:]),
        row.seeds,
        ours if row.published_parameters else row.parameters,
        units if row.published_units else row.units,
        row.seconds,
        row.hyper_parameters or NOTHING,
    ]


def _markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(headings)} |", f"|{'|'.join('---' for _ in headings)}|"]
    lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _plain(sentence: Markup) -> str:
    return escaped(sentence.striptags())
