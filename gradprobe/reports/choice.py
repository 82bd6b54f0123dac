"""Which models are drawn and listed where there are too many for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradprobe.reports.trainings import outcomes, trainings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from gradprobe.reports.contract import Cell, Results

MOST_DRAWN = 24
"""So many models can be told apart in a figure."""

MOST_LISTED = 200
"""So many rows of a table can be looked through."""


class Choice(NamedTuple):
    """The models that are drawn, those that are listed in tables, and what a reader must know."""

    drawn: list[str]
    listed: list[str]
    sentence: str


def choose(models: Sequence[str], ranks: Mapping[str, float], what: str) -> Choice:
    """Choose models that are spread evenly over a ranking, its two ends included.

    Parameters
    ----------
    models
        All of them, in the order in which they are to be shown.
    ranks
        By model, the value that they are ranked by; a model without one is chosen only where all
        are.
    what
        The value, in words.

    Examples
    --------
    >>> choose(["a", "b"], {}, "gain").sentence
    ''
    >>> many = [f"m{number}" for number in range(1000)]
    >>> choice = choose(many, {name: float(place) for place, name in enumerate(many)}, "gain")
    >>> len(choice.drawn), choice.drawn[0], choice.drawn[-1], len(choice.listed)
    (24, 'm0', 'm999', 200)
    """
    drawn, listed = (_spread(models, ranks, most) for most in (MOST_DRAWN, MOST_LISTED))
    if len(drawn) == len(models):
        return Choice(drawn, listed, "")
    sentence = (
        f"Drawn are {len(drawn)} of {len(models):,} models, spread evenly over the ranking by "
        f"{what}, its two ends included"
    )
    if len(listed) < len(models):
        sentence += f"; the tables list {len(listed)}"
    end = ". All are in the files of gradprobe report RESULTS --export FOLDER."
    return Choice(drawn, listed, sentence + end)


def choice_of(
    results: Results,
    cells: Sequence[Cell],
    table: pd.DataFrame | None,
    summary: pd.DataFrame | None,
) -> Choice:
    """Choose among the models of results: by their accuracy, else by the gain of their gradients.

    Parameters
    ----------
    results
        The results.
    cells
        The finished cells.
    table
        The rows on gradients with their column ``series``; None if there are none.
    summary
        Of `gradprobe.reports.summary.summarise`.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> results = example_results(models=2, lengths=[8])
    >>> choice_of(results, results.cells, None, None).drawn
    ['vanilla', 'LSTM, forget bias 1']
    """
    models = list(dict.fromkeys(cell.label for cell in results.cells))
    if len(models) <= MOST_DRAWN:
        return choose(models, {}, "")
    tests = outcomes(trainings(results.table, cells), cells)
    if len(tests) and tests["test"].notna().any():
        return choose(models, _medians(tests, "test"), "what they reach on the test set")
    if table is not None and summary is not None and summary["gain"].notna().any():
        names = table.drop_duplicates("series")[["series", "model"]].astype(object)
        gains = summary["gain"].rename_axis("series").reset_index().astype({"series": object})
        return choose(models, _medians(names.merge(gains, on="series"), "gain"), "log gain")
    return choose(models, {}, "their place in the study")


def _medians(rows: pd.DataFrame, column: str) -> dict[str, float]:
    medians = rows.groupby("model")[column].median().dropna()
    return {str(name): float(value) for name, value in medians.items()}


def _spread(models: Sequence[str], ranks: Mapping[str, float], most: int) -> list[str]:
    if len(models) <= most:
        return list(models)
    ranked = sorted((name for name in models if name in ranks), key=lambda name: ranks[name])
    pool = ranked or list(models)
    places = np.linspace(0, len(pool) - 1, min(most, len(pool))).round().astype(int)
    chosen = {pool[place] for place in places}
    return [name for name in models if name in chosen]
