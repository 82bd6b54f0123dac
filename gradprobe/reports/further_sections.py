"""The sections on spectra over T, on why gradients decay, on Lyapunov exponents and on costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gradprobe.reports import further_alternatives as alternatives
from gradprobe.reports.costs import cost_names, costs
from gradprobe.reports.figures.attribution import NAMES, attribution_sums, decay_areas
from gradprobe.reports.figures.cost import cost_of_models
from gradprobe.reports.figures.lyapunov import lyapunov_band, lyapunov_spectrum
from gradprobe.reports.figures.spectrum_map import (
    CLASSES,
    COLOURS,
    singular_spectrum_map,
    spectrum_runs,
)
from gradprobe.reports.figures.style import INK, PARTS, ROLES
from gradprobe.reports.further_answer import attribution_sentences, lyapunov_sentence
from gradprobe.reports.illustrations import Chart, Key, Panel, chart, series_key
from gradprobe.reports.number_tables import MOST_ROWS, NumberTable, band_table, number_table
from gradprobe.reports.series import present, select
from gradprobe.reports.svg import inline_svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from gradprobe.reports.contract import Cell
    from gradprobe.reports.number_tables import Cell as Number


class PanelSection(NamedTuple):
    """A figure with a panel for each series, its legend, and its numbers."""

    panels: list[Panel]
    keys: list[Key]
    numbers: NumberTable


def further_sections(table: pd.DataFrame | None) -> dict[str, Any]:
    """Return what the templates of these sections need; what was not measured is empty.

    Parameters
    ----------
    table
        A table with its column ``series``; None if nothing but trainings was measured.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> found = further_sections(with_series(example_results(models=1, lengths=[8, 16]).table))
    >>> {name: bool(section) for name, section in found.items()}
    {'spectrum_map': True, 'attribution': False, 'lyapunov': False, 'further_sentences': False}
    """
    if table is None:
        return {"spectrum_map": None, "attribution": None, "lyapunov": [], "further_sentences": []}
    sentences = [lyapunov_sentence(table), *attribution_sentences(table)]
    return {
        "spectrum_map": _spectrum_map(table),
        "attribution": _attribution(table),
        "lyapunov": _lyapunov(table),
        "further_sentences": [sentence for sentence in sentences if sentence],
    }


def cost_charts(table: pd.DataFrame, cells: Sequence[Cell], order: Sequence[str]) -> list[Chart]:
    """Draw what each model costs: a chart for trained ones, and one for the others.

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
    >>> results = example_results(models=2, lengths=[8])
    >>> cost_charts(results.table, results.cells, [])[0].title
    'Seconds per time step'
    """
    return [
        chart(
            f"cost-{str(unit).replace(' ', '-')}",
            f"Seconds per {unit}",
            alternatives.cost(rows),
            [],
            lambda rows=rows, **size: cost_of_models(rows, order, width=size.get("width", 760)),
            numbers=_cost_numbers(rows),
        )
        for unit, rows in costs(table, cells).groupby("unit", sort=False)
    ]


def _cost_numbers(rows: pd.DataFrame) -> NumberTable:
    headings = {
        "name": "Model",
        "seconds": f"seconds per {rows['unit'].iloc[0]}, median",
        "low": "fastest seed",
        "high": "slowest seed",
        "cells": "seeds",
        "parameters": "parameters",
    }
    return number_table("Costs", rows.assign(name=cost_names(rows)), headings)


def _spectrum_map(table: pd.DataFrame) -> PanelSection | None:
    """Draw the map where there are several T: of one, the curve says all."""
    sigma = select(table, "log_sigma", "end_to_end")
    if sigma.empty or sigma["length"].nunique() < 2:
        return None
    panels: list[Panel] = []
    rows: list[tuple[Number, ...]] = []
    for number, name in enumerate(present(sigma)):
        mine = sigma[sigma["series"] == name]
        runs = spectrum_runs(mine)
        rows += [(name, run.length, run.start, run.end, CLASSES[run.kind]) for run in runs]
        figure = singular_spectrum_map(mine, legend=False)
        text = alternatives.spectrum_map(runs)
        svg = inline_svg(figure, f"spectrum-map-{number}", f"Spectrum of {name} over T", text)
        panels.append(Panel(name, svg))
    shown = rows[:: -(-len(rows) // MOST_ROWS)]
    note = f"{len(shown)} of {len(rows)} rows" if len(shown) < len(rows) else ""
    columns = ["Model", "T", "from rank / S", "to", "log σ"]
    keys = [_key(label, colour) for label, colour in _classes()]
    return PanelSection(
        panels, keys, NumberTable("Classes of the singular values over T", columns, shown, note)
    )


def _key(label: str, colour: str) -> Key:
    return Key(label, f"{ROLES[colour]},{colour}", "none")


def _classes() -> list[tuple[str, str]]:
    *known, unknown = zip(CLASSES, COLOURS, strict=True)
    return [*reversed(known), unknown]


def _attribution(table: pd.DataFrame) -> PanelSection | None:
    sums = attribution_sums(table)
    if sums.empty:
        return None
    panels = []
    for number, name in enumerate(present(sums)):
        figure = decay_areas(table[table["series"] == name], legend=False)
        text = alternatives.attribution(sums[sums["series"] == name])
        svg = inline_svg(figure, f"attribution-{number}", f"Growth of {name} by parts", text)
        panels.append(Panel(name, svg))
    looks = zip(["their sum", *NAMES.values()], [INK, *PARTS], strict=True)
    keys = [_key(label, colour) for label, colour in looks]
    headings = {"series": "Model", "step": "t", "total": "log growth", **NAMES}
    headings |= {"runs": "runs", "left_out": "runs left out"}
    every = -(-len(sums) // MOST_ROWS)
    last = sums.groupby("series", observed=True)["step"].transform("max")
    kept = sums[(sums["step"] % every == 0) | (sums["step"] == last)]
    note = f"Every {every}th step" if every > 1 else ""
    return PanelSection(panels, keys, number_table("Growth by parts", kept, headings, note=note))


def _lyapunov(table: pd.DataFrame) -> list[Chart]:
    band = lyapunov_band(table)
    if band.empty:
        return []
    keys = [series_key(table, name) for name in present(band)]
    return [
        chart(
            "lyapunov",
            "Lyapunov exponents over their rank",
            alternatives.lyapunov(band),
            keys,
            lambda **size: lyapunov_spectrum(table, **size),
            numbers=band_table("Lyapunov exponents", band, "exponent", "rank"),
        )
    ]
