"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

import math
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd

from gradprobe import _version
from gradprobe.errors import NothingMeasuredError
from gradprobe.reports import illustrations, number_tables, numbers, provenance, scripts
from gradprobe.reports.choice import choice_of
from gradprobe.reports.findings import find
from gradprobe.reports.further_sections import cost_charts, further_sections
from gradprobe.reports.other_sections import other_sections
from gradprobe.reports.series import with_series
from gradprobe.reports.summary import real_part_summary, summarise
from gradprobe.reports.trainings import APART
from gradprobe.reports.unresolved import unresolved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.reports.choice import Choice
    from gradprobe.reports.comparison import Comparison
    from gradprobe.reports.contract import Cell, Results


GRADIENT_PROBES = ("gradient_norm", "singular_values", "eigenvalue_real_parts")
"""Probes that the sections on gradients show."""


def build_report(
    results: Results,
    command: str = "gradprobe report RESULTS",
    comparison: Comparison | None = None,
) -> str:
    """Return the report as the text of an HTML file; equal results give equal text.

    Parameters
    ----------
    results
        As `gradprobe.studies.store.read_results` returns them.
    command
        What rebuilds the page; it is printed on it.
    comparison
        What differs between results that were merged, if they were; it stands at the top.

    Raises
    ------
    NothingMeasuredError
        No cell is finished.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> build_report(example_results(models=1, lengths=[8]))[:15]
    '<!DOCTYPE html>'
    """
    check_measured(results)
    finished = [cell for cell in results.cells if provenance.is_finished(cell)]
    order = list(dict.fromkeys(cell.label for cell in results.cells))
    measured = results.table[~results.table["probe"].isin(APART)]
    table = with_series(measured, order) if len(measured) else None
    summary = None if table is None else summarise(table)
    choice = choice_of(results, finished, table, summary)
    drawn = table if table is None or not choice.sentence else _only(measured, choice.drawn, order)
    others = other_sections(results.table, finished, order, choice)
    further = further_sections(drawn)
    told = any((*others.values(), *further.values()))
    gradients = {} if drawn is None else _gradients(drawn, order)
    if table is not None and summary is not None:
        gradients |= _answer(table, summary, choice, gradients["keys"])
        gradients["seconds"] = _seconds(table, finished)
    script = scripts.script()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            study=results.study,
            command=command,
            version=_version.__version__,
            css=_template("report.css"),
            script=script,
            policy=scripts.content_security_policy(script),
            comparison=comparison,
            selection=choice.sentence,
            facts=provenance.facts(finished),
            gaps=provenance.gaps(results),
            gradients=table is not None and (_says_much(measured) or not told),
            unresolved=None if drawn is None else unresolved(drawn),
            **gradients,
            **others,
            **further,
            cost=cost_charts(
                results.table, [cell for cell in finished if cell.label in choice.drawn], order
            ),
        )
    )


def check_measured(results: Results) -> None:
    """Check that something was measured.

    Parameters
    ----------
    results
        As `gradprobe.studies.store.read_results` returns them.

    Raises
    ------
    NothingMeasuredError
        No cell is finished.
    """
    if results.table.empty:
        raise NothingMeasuredError(_nothing(results))


def _only(table: pd.DataFrame, models: Sequence[str], order: Sequence[str]) -> pd.DataFrame:
    """Return the rows of some models, with a column ``series`` of its own."""
    rows = table[table["model"].isin(models)]
    return with_series(rows if len(rows) else table.head(1), order)


def _answer(
    table: pd.DataFrame,
    summary: pd.DataFrame,
    choice: Choice,
    keys: dict[str, illustrations.Key],
) -> dict[str, Any]:
    """Return what is said of all models, and the table of those that are listed."""
    models = table.drop_duplicates("series").set_index("series")["model"].astype(object)
    listed = summary[[models.get(name) in {*choice.listed, None} for name in summary.index]]
    unseen = {
        str(name): illustrations.unseen_key(str(name)) for name in listed.index if name not in keys
    }
    return {
        "findings": find(table, summary),
        "lengths": sorted({int(length) for length in summary["length"].dropna()}),
        "summary": listed.reset_index().to_dict("records"),
        "keys": {**keys, **unseen},
    }


def _gradients(table: pd.DataFrame, order: Sequence[str]) -> dict[str, Any]:
    tasks = illustrations.by_task(table, order)
    return {
        "real_parts": real_part_summary(table).reset_index().to_dict("records"),
        "keys": illustrations.series_keys(table, tasks.values()),
        **_figures(table, tasks),
    }


def _figures(table: pd.DataFrame, tasks: dict[str, pd.DataFrame]) -> dict[str, Any]:
    spectra, lengths = illustrations.spectrum_panels(table)
    return {
        "forward": _gradient_charts(tasks, "end_to_end"),
        "backward": _gradient_charts(tasks, "tail"),
        "spectra": spectra,
        "spectrum_numbers": illustrations.spectrum_numbers(table),
        "length_keys": lengths,
        "euler_panels": illustrations.eigenvalue_panels(table, "vector_field"),
        "euler_numbers": illustrations.eigenvalue_numbers(table, "vector_field"),
        "step_panels": illustrations.eigenvalue_panels(table, "step"),
        "step_numbers": illustrations.eigenvalue_numbers(table, "step"),
        "real_part_charts": illustrations.real_part_charts(table),
    }


def _gradient_charts(tasks: dict[str, pd.DataFrame], matrix: str) -> list[illustrations.TaskCharts]:
    found = [
        illustrations.TaskCharts(task, illustrations.gradient_charts(rows, matrix, identifier))
        for number, (task, rows) in enumerate(tasks.items())
        for identifier in [f"gradient-{number}" if task else "gradient"]
    ]
    return [entry for entry in found if entry.charts]


def _says_much(measured: pd.DataFrame) -> bool:
    """Return whether the sections on gradients have anything to show."""
    return bool(measured["probe"].isin(GRADIENT_PROBES).any())


def _seconds(table: pd.DataFrame, cells: Sequence[Cell]) -> dict[str, float]:
    """Return the median time of each series' cells."""
    times = pd.DataFrame(
        {
            "model": [cell.label for cell in cells],
            "task": [cell.task for cell in cells],
            "seconds": [cell.seconds for cell in cells],
        }
    ).astype({"seconds": float})
    names = table[["series", "model", "task"]].drop_duplicates().astype(object)
    medians = names.merge(times, on=["model", "task"]).groupby("series")["seconds"].median()
    return {str(name): float(value) for name, value in medians.items()}


def _nothing(results: Results) -> str:
    gaps = provenance.gaps(results)
    first = f"; the first of them: {gaps[0].cell} {gaps[0].reason}" if gaps else ""
    return (
        f"study {results.study.name!r}: a report needs at least one finished cell, got none of "
        f"{len(results.cells) + len(results.missing)}{first}; run the study first"
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        numbers.logarithm,
        numbers.significant,
        numbers.percent,
        numbers.seconds,
        numbers.printable,
        numbers.printable_lines,
        numbers.plural,
        numbers.subscripts,
        number_tables.written,
    ):
        environment.filters[function.__name__] = function
    environment.tests["finite"] = lambda value: not pd.isna(value) and math.isfinite(value)
    environment.tests["missing"] = lambda value: bool(pd.isna(value))
    return environment


def _template(name: str) -> str:
    place = resources.files("gradprobe.reports") / "templates" / name
    return place.read_text(encoding="utf-8")
