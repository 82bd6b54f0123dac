"""The answer in words: sentences that are computed from the numbers, most important first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from markupsafe import Markup, escape

from gradprobe.reports.numbers import (
    listing,
    logarithm,
    names_listed,
    percent,
    plural,
    power,
    series_name,
    significant,
)
from gradprobe.reports.sentences import by_model, by_verdict
from gradprobe.reports.verdicts import KEPT, LOST, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_SENTENCES = 12
"""Above so many models those of one verdict share a sentence."""

MOST_NAMES = 5
"""Above so many models a sentence counts them and does not name them."""

ZERO = 1e-9
"""Real parts below this, relative to the largest |λ|, are called zero to rounding."""


class Findings(NamedTuple):
    """The answer: what leads, a sentence a model, what else was found, and the criterion."""

    lead: Markup
    models: list[Markup]
    others: list[Markup]
    criterion: Markup


def find(table: pd.DataFrame, summary: pd.DataFrame) -> Findings:
    """Return the findings.

    Parameters
    ----------
    table
        A table with its column ``series``.
    summary
        Of `gradprobe.reports.summary.summarise`.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> from gradprobe.reports.summary import summarise
    >>> table = with_series(example_results(models=2).table)
    >>> print(find(table, summarise(table)).lead.striptags())
    Over 1000 steps, the gradient survives in none of the 2 models; it vanishes in both.
    """
    judged = summary[summary["gain_length"].notna()]
    few = len(judged) <= MOST_SENTENCES
    noun = counted_as(table)
    others = [_spectra(summary), _euler(table, summary), _unresolved(table, summary)]
    return Findings(
        _lead(judged, len(summary), noun),
        by_model(table, judged) if few else by_verdict(judged, noun),
        [sentence for sentence in others if sentence],
        _criterion(judged),
    )


def counted_as(table: pd.DataFrame) -> str:
    """Return what a series is called where series are counted: a model, or a case of several.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> counted_as(with_series(example_results(models=2, lengths=[8]).table))
    'model'
    """
    return "model" if table["series"].nunique() == table["model"].nunique() else "case"


def _lead(judged: pd.DataFrame, models: int, noun: str) -> Markup:
    if judged.empty:
        return Markup(
            "Neither gradient norms nor singular values were measured, so whether the gradient "
            "survives is not answered here."
        )
    over = _horizon(judged)
    if len(judged) == 1:
        verdict = str(judged["verdict"].iloc[0])
        return Markup("{}, the gradient of {} {}.").format(
            over, series_name(judged.index[0]), verdict
        )
    groups = {
        verdict: [str(name) for name in judged.index[judged["verdict"] == verdict]]
        for verdict in Verdict
    }
    survivors = _share(groups.pop(Verdict.SURVIVES), len(judged), f" of the {{}} {noun}s")
    rest = [
        Markup("{} in {}").format(str(verdict), _share(names, len(judged)))
        for verdict, names in groups.items()
        if len(names)
    ]
    lead = Markup("{}, the gradient survives in {}").format(over, survivors)
    if rest:
        lead = Markup("{}; it {}").format(lead, listing(rest))
    if models > len(judged):
        return Markup("{}. {} not judged.").format(lead, plural(models - len(judged), noun))
    return lead + "."


def _share(names: Sequence[str], whole: int, of: str = "") -> Markup:
    if len(names) == whole:
        return escape("both" if whole == 2 else f"all {whole}")
    count = Markup("{}{}").format(len(names) or "none", of.format(whole))
    if 0 < len(names) <= MOST_NAMES:
        return Markup("{} ({})").format(count, names_listed(names))
    return count


def _horizon(judged: pd.DataFrame) -> Markup:
    low, high = int(judged["gain_length"].min()), int(judged["gain_length"].max())
    if low == high:
        return Markup("Over {}").format(plural(high, "step"))
    return Markup("Over {} to {} steps (each model’s longest)").format(low, high)


def _spectra(summary: pd.DataFrame) -> Markup:
    """Say how far the singular values spread."""
    measured = summary[summary["size"].notna()]
    if measured.empty:
        return Markup("")
    finite = measured["spread"].where(measured["spread"] < math.inf).dropna().sort_values()
    zeros = int((measured["spread"] == math.inf).sum())
    ends = [
        Markup("{} ({})").format(power(finite[name]), series_name(name))
        for name in dict.fromkeys([*finite.index[:1], *finite.index[-1:]])
    ]
    notes = [
        Markup("it {} {}").format("runs from" if len(ends) > 1 else "is", Markup(" to ").join(ends))
        if ends
        else None,
        Markup("it is infinite in {}").format(plural(zeros, "model")) if zeros else None,
        Markup("in {} the smallest is not resolved").format(plural(open_, "model"))
        if (open_ := int(measured["spread"].isna().sum()))
        else None,
    ]
    return Markup("How far the largest singular value exceeds the smallest: {}.").format(
        listing([note for note in notes if note], "; ")
    )


def _euler(table: pd.DataFrame, summary: pd.DataFrame) -> Markup:
    """Say where the real parts of the vector field's eigenvalues lie."""
    euler = summary[summary["matrix"] == "vector_field"]
    if euler.empty:
        return Markup("")
    rows = table[table["quantity"].isin(["real", "imag"])]
    scale = rows.groupby("series", observed=True)["value"].agg(lambda value: value.abs().max())
    parts = [
        Markup("{} in {}").format(_sign(row, scale.get(name, 0.0)), series_name(name))
        for name, row in euler.iterrows()
    ]
    return Markup(
        "The real parts of the eigenvalues of <i>F<sub>t</sub></i>, critical at zero, are {}."
    ).format(listing(parts[:MOST_SENTENCES], "; "))


def _sign(row: pd.Series[Any], scale: float) -> str:
    low, high = row["real_low"], row["real_high"]
    low = high if pd.isna(low) else low
    largest = max(abs(low), abs(high))
    if largest <= ZERO * scale:
        return f"zero to rounding (at most {significant(largest)})"
    between = f"({significant(low)} to {significant(high)})"
    if low < 0 < high and min(-low, high) > ZERO * scale:
        return f"of both signs {between}"
    return f"{'never positive' if low < 0 else 'never negative'} {between}"


def _unresolved(table: pd.DataFrame, summary: pd.DataFrame) -> Markup:
    open_ = ~table["resolved"].fillna(True).astype(bool) | table["value"].isna()
    if not open_.any():
        return Markup("Every value was resolved.")
    names = [str(name) for name in summary.index[summary["unresolved"] > 0]]
    where = names_listed(names) if len(names) <= MOST_NAMES else None
    return Markup(
        "{} of {} values ({}) could not be determined, in {}: they are drawn hollow, and listed "
        '<a href="#unresolved">below</a>.'
    ).format(
        int(open_.sum()),
        len(table),
        percent(int(open_.sum()), len(table)),
        where or plural(len(names), "model"),
    )


def _criterion(judged: pd.DataFrame) -> Markup:
    if judged.empty:
        return Markup("")
    state = Markup(
        "; where norms were not measured, of ∂s<sub>T</sub>/∂s<sub>0</sub> from its spectrum"
    )
    return Markup(
        "The size of the gradient is ‖∂h<sub>T</sub>/∂h<sub>0</sub>‖<sub>F</sub> against the "
        "identity’s{}: the root mean square of the factor by which it scales a direction. It "
        "<i>survives</i> if it ends within a factor of ten of where it began (|log| ≤ {}). It "
        "<i>vanishes</i> below 2<sup>−24</sup> = e<sup>−{}</sup>, where in single precision "
        "nothing of it is left when it is added to a gradient of ordinary size, and "
        "<i>explodes</i> above the inverse of that. Between these it <i>decays</i> or "
        "<i>grows</i>. The median over seeds and sequences decides."
    ).format(
        state if (judged["basis"] != "norm").any() else "",
        logarithm(KEPT),
        logarithm(LOST),
    )
