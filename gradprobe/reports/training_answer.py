"""What trainings came to, in words: sentences that are computed from the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from gradprobe.reports.numbers import (
    MINUS,
    listing,
    names_listed,
    plural,
    printable,
    series_name,
    significant,
    thousands,
)
from gradprobe.reports.survival import FEWEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.reports.survival import Relation

SIGNIFICANT = 0.05
"""A correlation counts if shuffled accuracies correlate as strongly no more often than this."""

MOST_SENTENCES = 24
"""Above so many models the table alone tells each model's accuracy."""


class TrainingAnswer(NamedTuple):
    """What leads, a sentence for each model by task, and what else was found."""

    lead: Markup
    models: dict[str, list[Markup]]
    others: list[Markup]


def answer(outcomes: pd.DataFrame, relations: Sequence[Relation]) -> TrainingAnswer:
    """Return the sentences.

    Parameters
    ----------
    outcomes
        Of `gradprobe.reports.trainings.outcomes`.
    relations
        Of `gradprobe.reports.survival.relations`.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> from gradprobe.reports.trainings import outcomes, trainings
    >>> results = example_trainings(models=2)
    >>> rows = outcomes(trainings(results.table, results.cells), results.cells)
    >>> print(answer(rows, []).lead.striptags().partition(". ")[0])
    On pixel MNIST, AntisymmetricRNN is the most accurate: 88.3 %, 9.7 points below the published
    98.0 %
    """
    lead = Markup(" ").join(_best(rows) for _, rows in outcomes.groupby("task", sort=False))
    few = len(outcomes) <= MOST_SENTENCES
    models = {
        str(task): [_sentence(row) for _, row in _ranked(rows).iterrows()]
        for task, rows in outcomes.groupby("task", sort=False)
        if few
    }
    others = [
        _budget(outcomes),
        _failed(outcomes),
        _diverged(outcomes),
        _relations(relations),
    ]
    return TrainingAnswer(lead, models, [sentence for sentence in others if sentence])


def measure(value: float, metric: str) -> str:
    """Write an accuracy in percent, or a mean squared error.

    Examples
    --------
    >>> measure(98.04, "accuracy"), measure(0.0012, "mean_squared_error")
    ('98.0 %', '0.0012')
    """
    if np.isnan(value):
        return "no value"
    return f"{value:.1f} %" if metric == "accuracy" else significant(value)


def points(difference: float) -> str:
    """Write a difference of percentages with its sign.

    Examples
    --------
    >>> points(-2.06), points(0.5), points(0.04)
    ('−2.1', '+0.5', '±0.0')
    """
    text = f"{difference:+.1f}".replace("-", MINUS)
    return "±0.0" if text[1:] == "0.0" else text


def _ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the models of a task, the best first, those without a value last."""
    rising = rows["metric"].iloc[0] != "accuracy"
    return rows.sort_values("test", ascending=rising, na_position="last", kind="stable")


def _best(rows: pd.DataFrame) -> Markup:
    task, metric = rows["task"].iloc[0], rows["metric"].iloc[0]
    sound = rows.dropna(subset=["test"])
    if sound.empty:
        return Markup("On {}, no training came to its end.").format(_task(task))
    best = _ranked(sound).iloc[0]
    word = "is the most accurate" if metric == "accuracy" else "has the smallest error"
    if len(sound) == 1:
        word = "reaches" if len(rows) == 1 else "alone came to its end"
    text = Markup("On {}, {} {}{} {}").format(
        _task(task),
        series_name(best["model"]),
        word,
        "" if word == "reaches" else ":",
        measure(best["test"], metric),
    )
    return Markup("{}{}.").format(text, _compared(best))


def _compared(row: pd.Series[Any]) -> Markup:
    """Say how far a model is from what is published of it."""
    if pd.isna(row["difference"]):
        return Markup("")
    published = measure(row["published"], row["metric"])
    if row["metric"] != "accuracy":
        return Markup(", against the published {}").format(published)
    if points(row["difference"]) == "±0.0":
        return Markup(", the published {}").format(published)
    word = "above" if row["difference"] > 0 else "below"
    size = f"{abs(row['difference']):.1f}"
    return Markup(", {} {} {} the published {}").format(
        size, "point" if size == "1.0" else "points", word, published
    )


def _sentence(row: pd.Series[Any]) -> Markup:
    name, after = series_name(row["model"]), _after(row)
    if pd.isna(row["test"]):
        word = "diverged" if row["diverged"] else "has no result on the test set"
        return Markup("{} {} {}.").format(name, word, after)
    sound, spread = int(row["seeds"] - row["diverged"]), ""
    if sound > 1:
        low, high = (measure(row[end], row["metric"]) for end in ("low", "high"))
        spread = f" ({low.removesuffix(' %')} … {high} over {plural(sound, 'seed')})"
    guess = ", no better than guessing" if row["learned"] is False else ""
    return Markup("{} reaches {}{} {}{}{}.").format(
        name, measure(row["test"], row["metric"]), spread, after, guess, _compared(row)
    )


def _after(row: pd.Series[Any]) -> str:
    done = f"after {thousands(row['iterations'])}"
    if pd.isna(row["budget"]):
        return f"{done} iterations"
    if row["below_budget"]:
        return f"{done} of the published {thousands(row['budget'])} iterations"
    return f"{done} iterations, the published budget"


def _budget(outcomes: pd.DataFrame) -> Markup:
    known = outcomes[outcomes["budget"].notna()]
    short = known[known["below_budget"]]
    if known.empty:
        return Markup("")
    if short.empty:
        return Markup("Every training had the full published budget.")
    count = "Every row is" if len(short) == len(known) else f"{len(short)} of {len(known)} rows are"
    shares = 100 * short["iterations"] / short["budget"]
    low, high = significant(shares.min()), significant(shares.max())
    return Markup(
        "{} below the full budget, at {} % of the published iterations: what more training would "
        "give is not known, and nothing is extrapolated."
    ).format(count, low if low == high else f"{low} to {high}")


def _failed(outcomes: pd.DataFrame) -> Markup:
    failed = outcomes[outcomes["learned"].eq(False) & outcomes["test"].notna()]
    parts = [
        Markup("{} on {} (at most {} by chance)").format(
            _named(rows["model"], among=outcomes[outcomes["task"] == task]["model"]),
            _task(task),
            measure(rows["chance"].max(), "accuracy"),
        )
        for task, rows in failed.groupby("task", sort=False)
    ]
    if not parts:
        return Markup("")
    return Markup("Not learned, as far as the test set can tell: {}.").format(listing(parts, "; "))


def _named(models: pd.Series[Any], among: pd.Series[Any]) -> Markup:
    """List names, or only count them if nobody would read so many; the table marks each."""
    if len(models) <= MOST_SENTENCES:
        return names_listed(list(models))
    return Markup("{} of {} models").format(thousands(len(models)), thousands(len(among)))


def _diverged(outcomes: pd.DataFrame) -> Markup:
    rows = outcomes[outcomes["diverged"] > 0]
    if len(rows) > MOST_SENTENCES:
        trainings = thousands(int(rows["diverged"].sum()))
        return Markup("Diverged: {} trainings of {} models.").format(
            trainings, thousands(len(rows))
        )
    parts = [
        Markup("{} of {} of {} on {}").format(
            row["diverged"],
            plural(int(row["seeds"]), "training"),
            series_name(row["model"]),
            _task(row["task"]),
        )
        for _, row in rows.iterrows()
    ]
    return Markup("Diverged: {}.").format(listing(parts, "; ")) if parts else Markup("")


def _relations(relations: Sequence[Relation]) -> Markup:
    """Say whether the gradient at initialisation tells the accuracy, task by task."""
    if not relations:
        return Markup("")
    parts = [
        Markup("on {} {}").format(_task(one.task), _told(one))
        for one in relations
        if one.models >= FEWEST
    ]
    few = [_task(one.task) for one in relations if one.models < FEWEST]
    if few:
        told = Markup("on {} it is not known: it takes {} models")
        parts.append(told.format(listing(few), FEWEST))
    return Markup(
        "Does the gradient at initialisation tell the accuracy? By "
        '<a href="#survival">Spearman’s rank correlation</a> of accuracy with −|log gain|: {}.'
    ).format(listing(parts, "; "))


def _told(relation: Relation) -> str:
    models = plural(relation.models, "model")
    if np.isnan(relation.correlation):
        return "it is not known, all rank alike"
    correlation, low, high = (
        f"{value:.2f}".replace("-", MINUS)
        for value in (relation.correlation, relation.low, relation.high)
    )
    verdict = "that cannot be told"
    if relation.p_value <= SIGNIFICANT:
        verdict = "it does" if relation.correlation > 0 else "it does, the other way round"
    left = f", {relation.unresolved} more not resolved" if relation.unresolved else ""
    p_value = f"p = {relation.p_value:.2g}" if relation.p_value >= 0.001 else "p < 0.001"
    return f"{verdict} ({correlation}, 95 % interval {low} to {high}, {p_value}, {models}{left})"


def _task(label: object) -> Markup:
    return Markup("<bdi>{}</bdi>").format(printable(label))
