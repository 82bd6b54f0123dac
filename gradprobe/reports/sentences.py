"""One sentence a model, or one a verdict, on what becomes of the gradient."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from markupsafe import Markup

from gradprobe.reports.numbers import (
    listing,
    logarithm,
    plural,
    power,
    series_name,
    significant,
)
from gradprobe.reports.summary import runs
from gradprobe.reports.verdicts import KEPT, Verdict, judge

_VERBS = {
    Verdict.GROWS: "amplifies",
    Verdict.DECAYS: "weakens",
    Verdict.EXPLODES: "blows up",
    Verdict.VANISHES: "loses",
}


def by_model(table: pd.DataFrame, judged: pd.DataFrame) -> list[Markup]:
    """Return a sentence for each model: those that survive first, the worst last.

    Parameters
    ----------
    table
        A table with its column ``series``.
    judged
        The rows of the summary that have a gain.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.series import with_series
    >>> from gradprobe.reports.summary import summarise
    >>> table = with_series(example_results(models=1).table)
    >>> print(by_model(table, summarise(table))[0].striptags())
    vanilla loses the gradient: ×e−121 (e−122 … e−120 over 2 seeds × 2 sequences), halving every
    5.7 steps.
    """
    every = runs(table)
    rank = {verdict: place for place, verdict in enumerate(Verdict)}
    rows = [(str(name), row) for name, row in judged.iterrows()]
    rows.sort(key=lambda item: (rank[Verdict(item[1]["verdict"])], abs(item[1]["gain"])))
    return [
        _sentence(name, row)
        + _disagreement(Verdict(row["verdict"]), every[every["series"] == name])
        for name, row in rows
    ]


def by_verdict(judged: pd.DataFrame, noun: str = "model") -> list[Markup]:
    """Return a sentence for each verdict, with the models at its two ends.

    Parameters
    ----------
    judged
        The rows of the summary that have a gain.
    noun
        What is counted.

    Examples
    --------
    >>> rows = pd.DataFrame({"gain": [-20.0, -30.0], "verdict": "vanishes"}, index=["a", "b"])
    >>> print(by_verdict(rows)[0].striptags())
    It vanishes in 2 models, from ×e−30.0 (b) to ×e−20.0 (a).
    >>> print(by_verdict(rows[:1], "case")[0].striptags())
    It vanishes in 1 case, to ×e−20.0 (a).
    """
    sentences = []
    for verdict in Verdict:
        group = judged[judged["verdict"] == verdict].sort_values("gain")
        if verdict is Verdict.UNDETERMINED and len(group):
            text = Markup("In {} it could not be determined.").format(plural(len(group), noun))
            sentences.append(text)
        elif len(group):
            ends = [
                Markup("{} ({})").format(_times(gain), series_name(name))
                for name, gain in group["gain"].iloc[[0, -1]].items()
            ]
            range_ = Markup("from {} to {}") if len(group) > 1 else Markup("to {}")
            text = Markup("It {} in {}, {}.")
            counted = plural(len(group), noun)
            sentences.append(text.format(str(verdict), counted, range_.format(*ends)))
    return sentences


def _sentence(name: str, row: pd.Series[Any]) -> Markup:
    verdict = Verdict(row["verdict"])
    if verdict is Verdict.UNDETERMINED:
        return Markup(
            "{}: what becomes of the gradient could not be determined in the arithmetic used."
        ).format(series_name(name))
    if verdict is Verdict.SURVIVES:
        return Markup("{} {}{}").format(series_name(name), _survival(row), _directions(row))
    if row["gain"] == -math.inf:
        return Markup("{} passes on no gradient: it is exactly zero {}.").format(
            series_name(name), _spread(row)
        )
    return Markup("{} {} the gradient: {} {}, {}.").format(
        series_name(name), _VERBS[verdict], _times(row["gain"]), _spread(row), _pace(row)
    )


def _survival(row: pd.Series[Any]) -> Markup:
    """Say within what the gain stays, rounded outwards: over all steps if it never leaves it."""
    end = Markup("ends at {} {}").format(_times(row["gain"]), _spread(row))
    reach = max(abs(row["gain_low"]), abs(row["gain_high"]))
    if reach > KEPT:
        return Markup("{}: within a factor of ten in the median.").format(end)
    where = "at the last step"
    if row["basis"] == "norm" and max(abs(row["lowest"]), abs(row["highest"])) <= KEPT:
        reach = max(abs(row["lowest"]), abs(row["highest"]))
        where = "at every step"
    bound = logarithm(math.ceil(reach * 100 - 1e-6) / 100)
    return Markup("keeps the gradient within e<sup>±{}</sup> {}; it {}.").format(bound, where, end)


def _directions(row: pd.Series[Any]) -> Markup:
    if pd.isna(row["kept"]) or pd.isna(row["size"]):
        return Markup("")
    size = int(row["size"])
    count = f"All {size}" if row["kept"] == size else f"{row['kept']:g} of its {size}"
    return Markup(" {} singular values stay within a factor of ten.").format(count)


def _spread(row: pd.Series[Any]) -> Markup:
    if row["gain_runs"] == 1:
        return Markup("(one run)")
    over = plural(int(row["seeds"]), "seed")
    if row["sequences"] > 1:
        over += f" × {plural(int(row['sequences']), 'sequence')}"
    return Markup("({} … {} over {})").format(power(row["gain_low"]), power(row["gain_high"]), over)


def _times(gain: float) -> Markup:
    return Markup("×{}").format(power(gain))


def _pace(row: pd.Series[Any]) -> str:
    rate, length = float(row["rate"]), int(row["gain_length"])
    word = "halving" if rate < 0 else "doubling"
    steps = math.log(2) / abs(rate)
    if steps > length:
        return f"over {plural(length, 'step')}"
    if steps < 1:
        return f"{word} {significant(1 / steps)} times a step"
    return f"{word} every {significant(steps)} steps"


def _disagreement(verdict: Verdict, mine: pd.DataFrame) -> Markup:
    verdicts = [judge(value) for value in mine["value"]]
    others = [other for other in Verdict if other in verdicts and other is not verdict]
    if not others or verdict is Verdict.UNDETERMINED:
        return Markup("")
    counts = [Markup("in {} it {}").format(verdicts.count(other), str(other)) for other in others]
    return Markup(" Its {} runs do not agree: {}.").format(len(verdicts), listing(counts))
