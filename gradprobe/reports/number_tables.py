"""The numbers of a figure as a table that stands behind it on the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradprobe.reports.numbers import MINUS, NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from gradprobe.reports.portraits import Portrait

MOST_ROWS = 600
"""A table has about so many rows at most; what is left out is said."""

_FEWEST = 5

Cell = str | float | int | None


class NumberTable(NamedTuple):
    """Numbers as they are shown, sorted and saved.

    Attributes
    ----------
    name
        What the table holds, as plain text; also the name of its CSV file.
    columns
        Headings, as plain text; the first column names the series.
    rows
        A cell is a text, a number, or None where there is none.
    note
        What was left out.
    """

    name: str
    columns: list[str]
    rows: list[tuple[Cell, ...]]
    note: str = ""


def written(cell: Cell) -> str:
    """Write a cell: numbers to six significant digits.

    Examples
    --------
    >>> [written(cell) for cell in ("LSTM", 1000, -120.4567891, 1e-14, float("-inf"), None)]
    ['LSTM', '1000', '−120.457', '1e−14', '−∞', '–']
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return NOTHING
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float):
        return f"{cell:.6g}".replace("inf", "∞").replace("-", MINUS)
    return f"{cell}".replace("-", MINUS)


def number_table(
    name: str, frame: pd.DataFrame, columns: Mapping[str, str], note: str = ""
) -> NumberTable:
    """Return columns of a frame as a table, without those that hold nothing.

    Parameters
    ----------
    name, note
        Of the table.
    frame
        A row for each row of the table.
    columns
        The heading of each column of the frame that is shown.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"series": ["a"], "x": [1], "y": [0.5], "z": [float("nan")]})
    >>> number_table("norms", frame, {"series": "Model", "x": "t", "y": "norm", "z": "low"})
    NumberTable(name='norms', columns=['Model', 't', 'norm'], rows=[('a', 1, 0.5)], note='')
    """
    shown = [column for column in columns if frame[column].notna().any()]
    cells = [_cells(frame[column]) for column in shown]
    rows = list(zip(*cells, strict=True))
    return NumberTable(name, [columns[column] for column in shown], rows, note)


def band_table(
    name: str, band: pd.DataFrame, value: str, x: str, *, most: int = MOST_ROWS
) -> NumberTable:
    """Return the table of medians with their ranges over some x.

    Parameters
    ----------
    name
        Of the table.
    band
        Columns ``series``, ``x``, ``median``, ``low``, ``high``, ``resolved``.
    value, x
        The headings of the median and of ``x``.
    most
        About how many rows are kept, spread evenly over ``x``.

    Examples
    --------
    >>> import pandas as pd
    >>> band = pd.DataFrame({"series": "a", "x": range(1001), "median": 0.5})
    >>> table = band_table("norm", band.assign(low=0.0, high=1.0, resolved=True), "norm", "t")
    >>> table.columns, len(table.rows), table.rows[-1]
    (['Model', 't', 'norm, median', 'lowest', 'highest'], 600, ('a', 1000, 0.5, 0.0, 1.0))
    >>> table.note
    '600 of 1001 values of t a model; all are in the folder of results.'
    """
    kept, note = _thinned(band, "x", x, most)
    one_run = bool((kept["low"].isna() | (kept["low"] == kept["high"])).all())
    headings = {"series": "Model", "x": x, "median": value if one_run else f"{value}, median"}
    if not one_run:
        headings |= {"low": "lowest", "high": "highest"}
    return _resolved_table(name, kept, headings, note)


def spectrum_table(band: pd.DataFrame, *, most: int = MOST_ROWS) -> NumberTable:
    """Return the table of singular values: a row for each model, length and rank.

    Parameters
    ----------
    band
        Columns ``series``, ``length``, ``rank``, ``median``, ``low``, ``high``, ``resolved``.
    most
        About how many rows are kept, spread evenly over the ranks.

    Examples
    --------
    >>> import pandas as pd
    >>> band = pd.DataFrame({"series": "a", "length": 9, "rank": [1, 2], "median": [0.5, -0.5]})
    >>> spectrum_table(band.assign(low=0.0, high=1.0, resolved=True)).rows[0]
    ('a', 9, 1, 0.5, 0.0, 1.0)
    """
    several = max(int(band["length"].nunique()), 1)
    kept, note = _thinned(band, "rank", "the rank", most // several)
    headings = {
        "series": "Model",
        "length": "T",
        "rank": "rank",
        "median": "log σ, median",
        "low": "lowest",
        "high": "highest",
    }
    return _resolved_table("Singular values", kept, headings, note)


def eigenvalue_table(name: str, points: pd.DataFrame, *, most: int = MOST_ROWS) -> NumberTable:
    """Return the table of eigenvalues, of one run a model if those of all are too many.

    Parameters
    ----------
    name
        Of the table.
    points
        Of `gradprobe.reports.figures.eigenvalues.eigenvalues`, of one matrix.
    most
        How many rows may be kept.

    Examples
    --------
    >>> import pandas as pd
    >>> points = pd.DataFrame({"series": ["a"], "seed": [0], "sequence": [1], "real": [0.5]})
    >>> points = points.assign(imag=0.0, modulus=0.5, matrix="step", resolved=True)
    >>> eigenvalue_table("Eigenvalues of J", points).rows
    [('a', 0, 1, 0.5, 0.0, 0.5)]
    """
    kept, note = points, ""
    if len(kept) > most:
        first = points.drop_duplicates("series")[["series", "seed", "sequence"]]
        kept = points.merge(first, on=["series", "seed", "sequence"])
        note = f"The first run of each model, {len(kept)} of {len(points)} eigenvalues"
    if len(kept) > most:
        kept = kept.iloc[:: -(-len(kept) // most)]
        note = f"{len(kept)} of {len(points)} eigenvalues"
    headings = {
        "series": "Model",
        "seed": "seed",
        "sequence": "sequence",
        "real": "Re λ",
        "imag": "Im λ",
        "modulus": "|1 + ελ|" if points["matrix"].iloc[0] == "vector_field" else "|λ|",
    }
    return _resolved_table(name, kept, headings, _elsewhere(note))


def survival_table(name: str, points: pd.DataFrame) -> NumberTable:
    """Return the table of trainings: gain at initialisation and accuracy.

    Parameters
    ----------
    name
        Of the table.
    points
        Of a `gradprobe.reports.survival.Relation`.

    Examples
    --------
    >>> import pandas as pd
    >>> points = pd.DataFrame({"model": ["a"], "seed": [0], "gain": [-1.5], "test": [88.0]})
    >>> survival_table("Survival", points).columns
    ['Model', 'seed', 'log gain', 'test accuracy, %']
    """
    headings = {
        "model": "Model",
        "seed": "seed",
        "gain": "log gain",
        "test": "test accuracy, %",
    }
    return number_table(name, points, headings)


def portrait_table(name: str, every: Sequence[Portrait], *, most: int = MOST_ROWS) -> NumberTable:
    """Return the table of the states along some trajectories.

    Parameters
    ----------
    name
        Of the table.
    every
        The portraits whose trajectories are told.
    most
        About how many rows are kept, spread evenly over the steps.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_dynamics
    >>> from gradprobe.reports.portraits import portraits
    >>> table = portrait_table("Trajectories", portraits(example_dynamics().table)[:1])
    >>> table.columns, table.rows[0][:3]
    (['Model', 'trajectory', 't', 'h₁', 'h₂'], ('Vanilla, random W', 1, 0))
    """
    count = max(sum(portrait.paths.shape[1] for portrait in every), 1)
    rows: list[tuple[Cell, ...]] = []
    left_out = ""
    for portrait in every:
        steps = _spread(len(portrait.paths), max(most // count, _FEWEST))
        if len(steps) < len(portrait.paths):
            left_out = f"{len(steps)} of {len(portrait.paths)} steps"
        for number, path in enumerate(portrait.paths.swapaxes(0, 1)):
            places = path.tolist()
            rows += [(portrait.series, number + 1, step, *places[step]) for step in steps]
    columns = ["Model", "trajectory", "t", "h₁", "h₂"]
    return NumberTable(name, columns, rows, _elsewhere(left_out))


def _resolved_table(
    name: str, rows: pd.DataFrame, headings: dict[str, str], note: str
) -> NumberTable:
    """Say of each row whether it is resolved, if one is not."""
    if rows["resolved"].all():
        return number_table(name, rows, headings, note)
    state = np.where(rows["resolved"], "yes", "no")
    return number_table(name, rows.assign(state=state), {**headings, "state": "resolved"}, note)


def _thinned(band: pd.DataFrame, by: str, word: str, most: int) -> tuple[pd.DataFrame, str]:
    """Keep values of a column spread evenly between its ends, and say how many."""
    values = np.sort(band[by].unique())
    each = max(most // max(int(band["series"].nunique()), 1), _FEWEST)
    if len(values) <= each:
        return band, ""
    kept = values[_spread(len(values), each)]
    note = f"{len(kept)} of {len(values)} values of {word} a model"
    return band[band[by].isin(kept)], _elsewhere(note)


def _spread(count: int, most: int) -> list[int]:
    """Return up to `most` places spread evenly over `count`, both ends among them."""
    if count <= most:
        return list(range(count))
    return [int(place) for place in np.unique(np.linspace(0, count - 1, most).round())]


def _elsewhere(left_out: str) -> str:
    return f"{left_out}; all are in the folder of results." if left_out else ""


def _cells(column: pd.Series) -> list[Cell]:
    values = column.astype(object)
    return values.where(column.notna(), None).tolist()
