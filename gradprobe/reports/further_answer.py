"""Lyapunov exponents and the attribution of decay in words, from the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from gradprobe.reports.figures.attribution import NAMES, attribution_sums
from gradprobe.reports.numbers import (
    listing,
    logarithm,
    names_listed,
    plural,
    series_name,
    significant,
)
from gradprobe.reports.series import select

if TYPE_CHECKING:
    import pandas as pd

MOST = 8
"""So many models are told one by one."""


def lyapunov_sentence(table: pd.DataFrame) -> Markup:
    """Say in which models the dynamics is chaotic, by the sign of the largest exponent.

    The sign counts where all runs, of seeds and sequences, have it by more than twice their
    standard error.

    Parameters
    ----------
    table
        A table with its column ``series``.

    Examples
    --------
    >>> from gradprobe import frame
    >>> from gradprobe.reports.series import with_series
    >>> rows = frame.rows(model=["a", "b"], quantity="lyapunov_exponent", length=9, rank=1,
    ...                   block="state", value=[0.3, -0.2], error=0.01, resolved=True)
    >>> print(lyapunov_sentence(with_series(rows)).striptags())
    The largest Lyapunov exponent is positive, so that the dynamics is chaotic, in a (0.3); it is
    negative in b (−0.2).
    """
    rows = select(table, "lyapunov_exponent", longest=True)
    first = rows[rows["rank"] == 1]
    if first.empty:
        return Markup("")
    error = 2 * first["error"].fillna(0.0)
    low, high = first["value"] - error, first["value"] + error
    bounds = first.assign(low=low, high=high).groupby("series", observed=True)
    ends = bounds.agg(low=("low", "min"), high=("high", "max"), middle=("value", "median"))
    groups = {
        "positive, so that the dynamics is chaotic,": ends["low"] > 0,
        "negative": ends["high"] < 0,
        "of a sign that is not certain": ~((ends["low"] > 0) | (ends["high"] < 0)),
    }
    parts: list[Markup] = []
    for what, mask in groups.items():
        if mask.any():
            start = "The largest Lyapunov exponent is" if not parts else "it is"
            names = _with_values(ends.loc[mask, "middle"].sort_values(ascending=False))
            parts.append(Markup("{} {} in {}").format(start, what, names))
    return listing(parts, "; ") + "."


def attribution_sentences(table: pd.DataFrame) -> list[Markup]:
    """Say which part does most to the growth of each model's leading direction.

    Parameters
    ----------
    table
        A table with its column ``series``.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> attribution_sentences(with_series(example_results(models=1, lengths=[8]).table))
    []
    """
    sums = attribution_sums(table)
    last = sums.sort_values("step").groupby("series", observed=True).tail(1)
    last = last.assign(size=last["total"].abs()).sort_values("size", ascending=False)
    sentences = [_attribution(row) for _, row in last.head(MOST).iterrows()]
    if len(last) > MOST:
        more = Markup("What the leading direction of {} does, the figure shows.")
        sentences.append(more.format(plural(len(last) - MOST, "more model")))
    return sentences


def _attribution(row: pd.Series[Any]) -> Markup:
    total = row["total"]
    parts = {name: float(row[quantity]) for quantity, name in NAMES.items()}
    towards = {name: value for name, value in parts.items() if value * total > 0}
    most = max(towards, key=lambda name: abs(towards[name]), default=None)
    verb = "shrinks" if total < 0 else "grows"
    text = Markup("The leading direction of {} {} by {} over {}").format(
        series_name(row["series"]),
        verb,
        Markup("e<sup>{}</sup>").format(logarithm(total)),
        plural(int(row["step"]), "step"),
    )
    if most is None:
        return text + "."
    others = [
        Markup("{} {}").format(name, logarithm(value))
        for name, value in parts.items()
        if name != most and value != 0
    ]
    why = Markup(", most by the {} ({}").format(most, logarithm(parts[most]))
    rest = Markup("; {}").format(listing(others)) if others else Markup("")
    runs = Markup("; the mean of {})").format(plural(int(row["runs"]), "run"))
    return text + why + rest + runs + "."


def _with_values(values: pd.Series[Any]) -> Markup:
    if len(values) > MOST:
        ends = names_listed([values.index[0], values.index[-1]])
        return Markup("{}, between {}").format(plural(len(values), "model"), ends)
    return listing(
        [
            Markup("{} ({})").format(series_name(name), significant(float(value)))
            for name, value in values.items()
        ]
    )
