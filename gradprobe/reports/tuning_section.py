"""The ranking of initialisations before any training, for the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from gradprobe.reports.numbers import MINUS
from gradprobe.tuning.component_table import NEEDED
from gradprobe.tuning.ranking import BOUND, rank
from gradprobe.tuning.wording import suggestion

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

NOT_KNOWN = "not known"


class TaskRanking(NamedTuple):
    """The candidates of one task, in order.

    Attributes
    ----------
    task
        Its label.
    suggestion
        What they suggest, in a sentence.
    rows
        What the table shows of each.
    """

    task: str
    suggestion: str
    rows: list[dict[str, Any]]


class TuningSection(NamedTuple):
    """The rankings by task, and the bound that they keep."""

    bound: str
    tasks: list[TaskRanking]


def tuning_section(table: pd.DataFrame) -> TuningSection | None:
    """Return the rankings, or None if the study does not measure what they need.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.

    Examples
    --------
    >>> from gradprobe.tuning.example import example_table
    >>> section = tuning_section(example_table())
    >>> section.bound, [row["model"] for row in section.tasks[0].rows]
    ('10', ['σ_w = 4', 'σ_w = 1', 'σ_w = 16'])
    """
    start = table[table["iteration"] == 0]
    if not set(NEEDED) <= set(start["probe"].dropna()):
        return None
    ranked = rank(start)
    tasks = [
        TaskRanking(str(task), suggestion(rows), [_row(row) for row in rows.to_dict("records")])
        for task, rows in ranked.groupby("task", sort=False)
    ]
    return TuningSection(f"{BOUND:g}", tasks)


def _row(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    return {
        "model": str(row["model"]),
        "rank": str(row["rank"]),
        "ranks": _interval(row["rank_low"], row["rank_high"], 0),
        "score": _number(row["score"], 3),
        "scores": _interval(row["score_low"], row["score_high"], 3),
        "within_bound": bool(row["within_bound"]),
        "log_sigma_max": _number(row["log_sigma_max"], 2),
        "rms_log_sigma": _number(row["rms_log_sigma"], 2),
        "rescaled": _number(row["explained_variance_rescaled"], 3),
        "effective_rank": _number(row["effective_rank"], 1),
        "log_spread": _number(row["log_spread"], 2),
        "first": "" if math.isnan(row["first"]) else f"{100 * row['first']:.0f} %",
        "seeds": str(row["seeds"]),
    }


def _interval(low: float, high: float, digits: int) -> str:
    return "" if math.isnan(low) else f"{_number(low, digits)} … {_number(high, digits)}"


def _number(value: float, digits: int) -> str:
    if math.isnan(value):
        return NOT_KNOWN
    text = "∞" if math.isinf(value) else f"{abs(value):.{digits}f}"
    negative = value < 0 and (math.isinf(value) or float(text) > 0)
    return f"{MINUS}{text}" if negative else text
