"""The figures of the page: drawn, turned into SVG, each with its text for screen readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gradprobe.reports import alternatives
from gradprobe.reports.figures.eigenvalues import eigenvalue_plane, eigenvalues, plane_limits
from gradprobe.reports.figures.gradient import close_up, gradient_norm, norm_band
from gradprobe.reports.figures.real_parts import largest_real_part
from gradprobe.reports.figures.spectrum import (
    chosen_lengths,
    length_looks,
    singular_spectrum,
)
from gradprobe.reports.figures.style import ROLES, look
from gradprobe.reports.number_tables import band_table, eigenvalue_table, spectrum_table
from gradprobe.reports.numbers import printable
from gradprobe.reports.series import bands, gains, position, present, select, with_series
from gradprobe.reports.svg import inline_svg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from markupsafe import Markup
    from matplotlib.figure import Figure

    from gradprobe.reports.number_tables import NumberTable

_PHONE: dict[str, Any] = {"width": 360, "height": 320, "room": 18}
_LINE = 1.7
_MATRICES = {"vector_field": "vector field", "step": "step Jacobian"}
_TIMES = {"end_to_end": "t", "tail": "T − t"}
_PLANE = ("real", "imag", "modulus", "euler_modulus")


class Key(NamedTuple):
    """An entry of a legend: a name, the CSS variable of its colour, the dashes of its line."""

    name: str
    variable: str
    dashes: str


class Chart(NamedTuple):
    """A figure in two sizes, its legend, which the wide one writes at its lines, its numbers.

    The identifier is what links lead to.
    """

    wide: Markup
    narrow: Markup
    keys: list[Key]
    identifier: str
    title: str
    numbers: NumberTable | None = None


class Panel(NamedTuple):
    """A panel of small multiples, and the series that it shows."""

    name: str
    svg: Markup


def series_key(table: pd.DataFrame, name: str) -> Key:
    """Return the legend's entry of a series.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> table = with_series(example_results(models=2).table)
    >>> series_key(table, "LSTM, forget bias 1")
    Key(name='LSTM, forget bias 1', variable='--series-2', dashes='8.5 3.4')
    """
    style = look(position(table, name))
    return Key(name, ROLES[style.colour], _dashes(style.dashes))


def unseen_key(name: str) -> Key:
    """Return the legend's entry of a series that is listed, but not drawn.

    Examples
    --------
    >>> unseen_key("LSTM").variable
    '--muted'
    """
    return Key(name, "--muted", "1.7 3.4")


class TaskCharts(NamedTuple):
    """The charts of one task; it has no name if there is no other."""

    task: str
    charts: list[Chart]


def by_task(table: pd.DataFrame, order: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the rows of each task with a column ``series`` of its own, in which no task stands.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`, with or without its column ``series``.
    order
        Models in the order in which they are to be shown.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> list(by_task(example_results(models=1, lengths=[8]).table, []))
    ['']
    """
    groups = dict(iter(table.groupby("task", sort=False, dropna=False)))
    only = len(groups) == 1
    return {
        "" if only else printable(task): with_series(rows, order) for task, rows in groups.items()
    }


def series_keys(table: pd.DataFrame, tasks: Iterable[pd.DataFrame]) -> dict[str, Key]:
    """Return the legend's entry of every series, with the look that it has among those of its task.

    Parameters
    ----------
    table
        A table with its column ``series``.
    tasks
        Of `by_task`.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> table = with_series(example_results(models=2, lengths=[8]).table)
    >>> [key.variable for key in series_keys(table, by_task(table, []).values()).values()]
    ['--series-1', '--series-2']
    """
    columns = ["model", "task", "iteration"]
    found = {}
    names = table[["series", *columns]].drop_duplicates()
    for mine in tasks:
        own = mine[["series", *columns]].drop_duplicates().rename(columns={"series": "own"})
        both = names.astype({"series": object}).merge(own.astype({"own": object}), on=columns)
        for name, local in zip(both["series"], both["own"], strict=True):
            found[str(name)] = series_key(mine, str(local))
    return found


def gradient_charts(table: pd.DataFrame, matrix: str, identifier: str = "gradient") -> list[Chart]:
    """Draw the gradient's norm over time, and enlarged if that shows more."""
    table = table[(table["quantity"] == "log_norm_fro") & (table["matrix"] == matrix)]
    rows = gains(table, matrix)
    if rows.empty:
        return []
    last = rows[rows["step"] == (rows["length"] if matrix == "end_to_end" else 0)]
    order = bands(last, "length").sort_values("median", ascending=False)["series"]
    keys = [series_key(table, str(name)) for name in order]
    title = "‖∂h_t/∂h_0‖ over t" if matrix == "end_to_end" else "‖∂h_T/∂h_t‖ over T − t"
    text = alternatives.norms(table, matrix)
    table_of_numbers = band_table(
        f"Log gradient norm {title}", norm_band(table, matrix), "log norm", _TIMES[matrix]
    )
    charts = []
    windows = [None] if (window := close_up(table, matrix)) is None else [None, window]
    for number, shown in enumerate(windows):
        charts.append(
            chart(
                f"{identifier}-{matrix.replace('_', '-')}-{number}",
                f"Log gradient norm {title}{', enlarged' if shown else ''}",
                text,
                keys,
                lambda shown=shown, **size: gradient_norm(table, matrix, window=shown, **size),
                numbers=None if shown else table_of_numbers,
            )
        )
    return charts


def real_part_charts(table: pd.DataFrame) -> list[Chart]:
    """Draw the largest real part of the vector field's eigenvalues over time."""
    rows = select(table, "real_max", "vector_field", longest=True)
    if rows.empty or rows["step"].nunique() < 2:
        return []
    order = bands(rows, "length").sort_values("median", ascending=False)["series"]
    return [
        chart(
            "real-parts",
            "Largest real part of the eigenvalues of F_t over t",
            alternatives.real_parts(table, "vector_field"),
            [series_key(table, str(name)) for name in order],
            lambda **size: largest_real_part(table, **size),
            numbers=band_table(
                "Largest real part of the eigenvalues of F",
                bands(rows, "step").rename(columns={"step": "x"}),
                "max Re λ",
                "t",
            ),
        )
    ]


def spectrum_panels(table: pd.DataFrame) -> tuple[list[Panel], list[Key]]:
    """Draw each series' spectrum, and return the legend of the lengths."""
    sigma = select(table, "log_sigma", "end_to_end")
    if sigma.empty:
        return [], []
    lengths = chosen_lengths(sigma)
    panels = []
    for number, name in enumerate(present(sigma)):
        mine = sigma[sigma["series"] == name]
        figure = singular_spectrum(mine, lengths=lengths, legend=False)
        text = alternatives.spectrum(mine)
        svg = inline_svg(figure, f"spectrum-{number}", f"Singular spectrum of {name}", text)
        panels.append(Panel(name, svg))
    keys = [
        Key(f"T = {length}", ROLES[colour], _dashes(dashes))
        for length, colour, dashes in length_looks(lengths)
    ]
    return panels, keys


def spectrum_numbers(table: pd.DataFrame) -> NumberTable | None:
    """Return the numbers of the spectra that are drawn; None if there are none.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> table = with_series(example_results(models=1).table)
    >>> spectrum_numbers(table).columns
    ['Model', 'T', 'rank', 'log σ, median', 'lowest', 'highest']
    """
    sigma = select(table, "log_sigma", "end_to_end")
    if sigma.empty:
        return None
    drawn = sigma[sigma["length"].isin(chosen_lengths(sigma))]
    return spectrum_table(bands(drawn, ["length", "rank"]))


def eigenvalue_numbers(table: pd.DataFrame, matrix: str) -> NumberTable | None:
    """Return the eigenvalues of one matrix that are drawn; None if there are none.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> eigenvalue_numbers(with_series(example_results(models=1).table), "step").name
    'Eigenvalues of the step Jacobian'
    """
    points = eigenvalues(table[table["matrix"] == matrix])
    points = points[points["matrix"] == matrix]
    return (
        None
        if points.empty
        else eigenvalue_table(f"Eigenvalues of the {_MATRICES[matrix]}", points)
    )


def eigenvalue_panels(table: pd.DataFrame, matrix: str) -> list[Panel]:
    """Draw the eigenvalues of each series of one matrix, ``vector_field`` or ``step``."""
    table = table[(table["matrix"] == matrix) & table["quantity"].isin(_PLANE)]
    points = eigenvalues(table)
    points = points[points["matrix"] == matrix]
    if points.empty:
        return []
    limits = plane_limits(points)[matrix]
    panels = []
    for number, name in enumerate(present(points)):
        figure = eigenvalue_plane(table[table["series"] == name], limits=limits)
        text = alternatives.eigenvalues(points[points["series"] == name])
        identifier = f"eigenvalues-{matrix.replace('_', '-')}-{number}"
        svg = inline_svg(figure, identifier, f"Eigenvalues of {name}", text)
        panels.append(Panel(name, svg))
    return panels


def chart(
    identifier: str,
    title: str,
    text: str,
    keys: list[Key],
    draw: Callable[..., Figure],
    *,
    numbers: NumberTable | None = None,
) -> Chart:
    """Draw a figure in its two sizes.

    Parameters
    ----------
    identifier
        Unique in the page.
    title, text
        What a screen reader says.
    keys
        The legend.
    draw
        Takes ``width``, ``height`` and ``room``, or none of them.
    numbers
        What is drawn, as a table.
    """
    return Chart(
        inline_svg(draw(), identifier, title, text),
        inline_svg(draw(**_PHONE), f"{identifier}-narrow", title, text),
        keys,
        identifier,
        title,
        numbers,
    )


def _dashes(dashes: object) -> str:
    if isinstance(dashes, str):
        return "none"
    pattern: Sequence[float] = dashes[1]  # type: ignore[index]
    return " ".join(f"{length * _LINE:.3g}" for length in pattern)
