"""The figures of some results for papers and pull requests: how each is drawn, and its numbers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from gradprobe.reports import alternatives, further_alternatives, training_alternatives
from gradprobe.reports.costs import costs
from gradprobe.reports.figures.attribution import attribution_sums, decay_areas
from gradprobe.reports.figures.cost import cost_of_models
from gradprobe.reports.figures.distance import distance_from_origin
from gradprobe.reports.figures.eigenvalues import eigenvalue_plane, eigenvalues
from gradprobe.reports.figures.gradient import gradient_norm, norm_band
from gradprobe.reports.figures.learning import LABELS, learning_band, learning_curve
from gradprobe.reports.figures.lyapunov import lyapunov_band, lyapunov_spectrum
from gradprobe.reports.figures.moduli import LABELS as MODULI
from gradprobe.reports.figures.moduli import eigenvalue_moduli, moduli_band
from gradprobe.reports.figures.portrait import phase_portraits
from gradprobe.reports.figures.real_parts import largest_real_part
from gradprobe.reports.figures.spectrum import singular_spectrum
from gradprobe.reports.figures.spectrum_map import singular_spectrum_map
from gradprobe.reports.figures.survival import accuracy_against_gradient
from gradprobe.reports.illustrations import by_task
from gradprobe.reports.portraits import distances, portraits
from gradprobe.reports.series import bands, present, select, with_series
from gradprobe.reports.survival import relations
from gradprobe.reports.trainings import (
    APART,
    at_the_end,
    not_learned,
    outcomes,
    training_rows,
    trainings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.figure import Figure

    from gradprobe.reports.contract import Cell
    from gradprobe.reports.portraits import Portrait

MOST_TOLD = 12
"""So many panels are told in words."""


class Exhibit(NamedTuple):
    """A figure: the name of its files, its title, what it shows in words, how it is drawn.

    `numbers` are those of all that is drawn.
    """

    name: str
    title: str
    text: str
    draw: Callable[[], Figure]
    numbers: pd.DataFrame


def exhibits(table: pd.DataFrame, cells: Sequence[Cell], order: Sequence[str]) -> Iterator[Exhibit]:
    """Yield the figures for which something was measured.

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
    >>> results = example_results(models=1, lengths=[8])
    >>> [exhibit.name for exhibit in exhibits(results.table, results.cells, [])]
    ['gradient', 'backward', 'spectrum', 'eigenvalues-step', 'cost-time-step']
    """
    measured = table[~table["probe"].isin(APART)]
    if len(measured):
        yield from _of_gradients(measured, order)
    yield from _of_trainings(table, cells, order)
    yield from _of_trajectories(table, order)
    for unit, rows in costs(table, cells).groupby("unit", sort=False):
        yield Exhibit(
            f"cost-{str(unit).replace(' ', '-')}",
            f"Seconds per {unit}",
            further_alternatives.cost(rows),
            partial(cost_of_models, rows, order),
            rows,
        )


def _of_gradients(measured: pd.DataFrame, order: Sequence[str]) -> Iterator[Exhibit]:
    tasks = by_task(measured, order)
    for number, (task, rows) in enumerate(tasks.items(), start=1):
        for name, matrix, what in (
            ("gradient", "end_to_end", "‖∂h_t/∂h_0‖ over t"),
            ("backward", "tail", "‖∂h_T/∂h_t‖ over T − t"),
        ):
            if not select(rows, "log_norm_fro", matrix).empty:
                yield Exhibit(
                    f"{name}-{number}" if len(tasks) > 1 else name,
                    f"Log gradient norm {what}{f', {task}' if task else ''}",
                    alternatives.norms(rows, matrix),
                    partial(gradient_norm, rows, matrix),
                    norm_band(rows, matrix),
                )
    table = with_series(measured, order)
    yield from _of_spectra(table)
    yield from _of_eigenvalues(table)
    yield from _of_parts(table)


def _of_spectra(table: pd.DataFrame) -> Iterator[Exhibit]:
    sigma = select(table, "log_sigma", "end_to_end")
    if sigma.empty:
        return
    text = " ".join(
        f"{name}: {alternatives.spectrum(sigma[sigma['series'] == name])}"
        for name in present(sigma)[:MOST_TOLD]
    )
    numbers = bands(sigma, ["length", "rank"])
    title = "Singular values of ∂s_T/∂s_0"
    yield Exhibit("spectrum", title, text, partial(singular_spectrum, sigma), numbers)
    if sigma["length"].nunique() > 1:
        yield Exhibit(
            "spectrum-map",
            f"{title} over T",
            text,
            partial(singular_spectrum_map, sigma),
            numbers,
        )


def _of_eigenvalues(table: pd.DataFrame) -> Iterator[Exhibit]:
    points = eigenvalues(table)
    for matrix in ("vector_field", "step"):
        mine = points[points["matrix"] == matrix]
        if len(mine):
            rows = table[table["matrix"] == matrix]
            text = " ".join(
                f"{name}: {alternatives.eigenvalues(mine[mine['series'] == name])}"
                for name in present(mine)[:MOST_TOLD]
            )
            yield Exhibit(
                f"eigenvalues-{matrix.replace('_', '-')}",
                "Eigenvalues of F_t" if matrix == "vector_field" else "Eigenvalues of J_t",
                text,
                partial(eigenvalue_plane, rows),
                mine,
            )
    real = select(table, "real_max", "vector_field", longest=True)
    if real["step"].nunique() > 1:
        yield Exhibit(
            "real-parts",
            "Largest real part of the eigenvalues of F_t over t",
            alternatives.real_parts(table, "vector_field"),
            partial(largest_real_part, table),
            bands(real, "step"),
        )


def _of_parts(table: pd.DataFrame) -> Iterator[Exhibit]:
    sums = attribution_sums(table)
    if len(sums):
        text = " ".join(
            f"{name}: {further_alternatives.attribution(sums[sums['series'] == name])}"
            for name in present(sums)[:MOST_TOLD]
        )
        title = "Growth of the leading direction by parts"
        yield Exhibit("attribution", title, text, partial(decay_areas, table), sums)
    band = lyapunov_band(table)
    if len(band):
        text = further_alternatives.lyapunov(band)
        draw = partial(lyapunov_spectrum, table)
        yield Exhibit("lyapunov", "Lyapunov exponents over their rank", text, draw, band)


def _of_trainings(
    table: pd.DataFrame, cells: Sequence[Cell], order: Sequence[str]
) -> Iterator[Exhibit]:
    rows, runs = training_rows(table, order), trainings(table, cells)
    for number, (task, mine) in enumerate(rows.groupby("task", sort=False), start=1):
        for quantity, label in LABELS.items():
            if (mine["quantity"] == quantity).any():
                yield Exhibit(
                    f"learning-{number}-{quantity.replace('_', '-')}",
                    f"{label.capitalize()} over iterations, {task}",
                    training_alternatives.learning(mine, quantity),
                    partial(learning_curve, mine, quantity),
                    learning_band(mine, quantity),
                )
    for number, relation in enumerate(relations(table, runs), start=1):
        if len(relation.points):
            yield Exhibit(
                f"survival-{number}",
                f"Test accuracy over |log gain| at initialisation, {relation.task}",
                training_alternatives.survival(relation),
                partial(accuracy_against_gradient, relation.points, order, length=relation.length),
                relation.points,
            )
    ends = at_the_end(table, order)
    failed = not_learned(ends, outcomes(runs, cells))
    for quantity, label in MODULI.items():
        if (ends["quantity"] == quantity).any():
            yield Exhibit(
                f"moduli-{quantity.replace('_', '-')}",
                f"{label.capitalize()} over T",
                training_alternatives.moduli(ends, quantity, failed),
                partial(eigenvalue_moduli, ends, quantity, failed=failed),
                moduli_band(ends, quantity),
            )


def _of_trajectories(table: pd.DataFrame, order: Sequence[str]) -> Iterator[Exhibit]:
    every = portraits(table, order)
    for number, task in enumerate(dict.fromkeys(portrait.task for portrait in every), start=1):
        mine = [portrait for portrait in every if portrait.task == task]
        first = list({portrait.series: portrait for portrait in reversed(mine)}.values())[::-1]
        rows = distances(mine)
        text = training_alternatives.distance(rows)
        titles = f"Phase portraits, {task}", f"Distance from the origin over t, {task}"
        draw = partial(phase_portraits, first)
        yield Exhibit(f"portraits-{number}", titles[0], text, draw, _paths(first))
        draw = partial(distance_from_origin, rows)
        yield Exhibit(f"distance-{number}", titles[1], text, draw, rows)


def _paths(every: Sequence[Portrait]) -> pd.DataFrame:
    tables = []
    for portrait in every:
        steps, count, units = portrait.paths.shape
        index = pd.MultiIndex.from_product([range(steps), range(count)], names=["t", "trajectory"])
        names = [f"h{unit}" for unit in range(1, units + 1)]
        flat = pd.DataFrame(portrait.paths.reshape(-1, units), index=index, columns=names)
        tables.append(flat.reset_index().assign(series=portrait.series, seed=portrait.seed))
    return pd.concat(tables, ignore_index=True)
