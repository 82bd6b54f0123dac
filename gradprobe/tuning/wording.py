"""The ranking as text for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from gradprobe.tuning.ranking import BOUND

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from typing import Any

MINUS = "−"


def as_text(ranked: pd.DataFrame, *, bound: float = BOUND) -> str:
    """Return the ranking of every task as a table, with a sentence below.

    Parameters
    ----------
    ranked
        Of `gradprobe.tuning.rank`.
    bound
        With which it was ranked.

    Examples
    --------
    >>> from gradprobe.tuning import rank
    >>> from gradprobe.tuning.example import example_table
    >>> print(as_text(rank(example_table())))
    digits
    rank  (95 %) candidate score         (95 %)  log σ_max  |log σ_max| ≤ 10  effective rank
       1 (1 … 1)   σ_w = 4 0.400 (0.350 … 0.450)      2.00               yes             4.0
       2 (2 … 2)   σ_w = 1 0.250 (0.200 … 0.300)      0.50               yes             2.5
       3 (3 … 3)  σ_w = 16 0.650 (0.600 … 0.700)     40.00                no             6.5
    On digits, train σ_w = 4 first, and the next few beside it: it led in 100 % of 2,000 resamples
    of 3 seeds, but the order tells what fails better than what is best.
    """
    parts = []
    for task, rows in ranked.groupby("task", sort=False):
        shown = pd.DataFrame([_row(row, bound) for row in rows.to_dict("records")])
        parts.append(f"{task}\n{shown.to_string(index=False)}\n{suggestion(rows, bound=bound)}")
    return "\n\n".join(parts)


def suggestion(rows: pd.DataFrame, *, bound: float = BOUND) -> str:
    """Return what the ranking of one task suggests, in a sentence that does not overstate it.

    Parameters
    ----------
    rows
        The rows of one task of `gradprobe.tuning.rank`.
    bound
        With which they were ranked.

    Examples
    --------
    >>> from gradprobe.tuning import rank
    >>> from gradprobe.tuning.example import example_table
    >>> suggestion(rank(example_table(), bound=0.1), bound=0.1)
    'On digits, nothing is suggested: no candidate has |log σ_max| ≤ 0.1.'
    """
    best, task = rows.iloc[0], rows["task"].iloc[0]
    if not best["within_bound"]:
        return f"On {task}, nothing is suggested: no candidate has |log σ_max| ≤ {bound:g}."
    if math.isnan(best["score"]):
        return f"On {task}, nothing is suggested: no candidate within the bound has a score."
    if math.isnan(best["first"]):
        return f"On {task}, train {best['model']} first, as far as one seed can tell."
    if best["score_low"] <= 0:
        return (
            f"On {task}, nothing is suggested: no candidate’s state tells the targets better than "
            f"their mean does ({best['model']}, the first, explains {_number(best['score'], 3)})."
        )
    return (
        f"On {task}, train {best['model']} first, and the next few beside it: it led in "
        f"{100 * best['first']:.0f} % of 2,000 resamples of {best['seeds']} seeds, but the order "
        "tells what fails better than what is best."
    )


def _row(row: Mapping[Hashable, Any], bound: float) -> dict[str, str]:
    return {
        "rank": str(row["rank"]),
        " (95 %)": _interval(row["rank_low"], row["rank_high"], 0),
        "candidate": str(row["model"]),
        "score": _number(row["score"], 3),
        "(95 %)": _interval(row["score_low"], row["score_high"], 3),
        " log σ_max": _number(row["log_sigma_max"], 2),
        f" |log σ_max| ≤ {bound:g}": "yes" if row["within_bound"] else "no",
        " effective rank": _number(row["effective_rank"], 1),
    }


def _interval(low: float, high: float, digits: int) -> str:
    if math.isnan(low):
        return "–"
    return f"({_number(low, digits)} … {_number(high, digits)})"


def _number(value: float, digits: int) -> str:
    if math.isnan(value):
        return "not known"
    text = f"{abs(value):.{digits}f}"
    return f"{MINUS}{text}" if value < 0 and float(text) else text
