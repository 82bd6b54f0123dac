"""The page that compares results: what changed, then the figures of all of them together."""

from __future__ import annotations

import difflib
import itertools
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from gradprobe.errors import NotComparableError
from gradprobe.reports.changes import Noise, changes
from gradprobe.reports.changes_in_words import (
    by_rank,
    quantity_in_words,
    told,
)
from gradprobe.reports.differing_settings import differing_settings
from gradprobe.reports.number_tables import NumberTable
from gradprobe.reports.numbers import printable, shorten
from gradprobe.reports.series import with_series
from gradprobe.reports.summary import summarise
from gradprobe.reports.trainings import APART

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.reports.changes import Change, Changes
    from gradprobe.reports.changes_in_words import ChangesAnswer
    from gradprobe.reports.contract import Results
    from gradprobe.reports.differing_settings import Setting
    from gradprobe.reports.merging import Named

ROWS_SHOWN = 300
MOST_SETTINGS = 60


class Section(NamedTuple):
    """What the page says of two results.

    Attributes
    ----------
    before, after
        What they are called.
    answer
        The sentences.
    numbers
        Every quantity that was compared.
    settings, more_settings
        What differs between them besides the numbers, and how many more such lines there are.
    study_files
        The lines in which their study files differ, as ``diff -u`` writes them.
    """

    before: str
    after: str
    answer: ChangesAnswer
    numbers: NumberTable
    settings: list[Setting]
    more_settings: int
    study_files: list[str]


class Comparison(NamedTuple):
    """A section for each of the results but the first, and the models that are the same in all."""

    sections: list[Section]
    unchanged: set[tuple[str, str]]
    frames: list[pd.DataFrame]


def compare_results(every: Sequence[Named]) -> Comparison:
    """Compare the first of several results with each of the others.

    Parameters
    ----------
    every
        Two results or more, of which the first is what the others are held against.

    Raises
    ------
    NotComparableError
        Some results have no quantity that the first have, too.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> from gradprobe.reports.merging import Named
    >>> every = [Named(name, example_results(models=1, lengths=[8])) for name in ("old", "new")]
    >>> comparison = compare_results(every)
    >>> print(comparison.sections[0].answer.lead)
    Nothing changed: all 20 quantities are equal, up to rounding.
    >>> comparison.unchanged
    {('vanilla', 'noise_padded_digits')}
    """
    first, *others = every
    sections, frames, same = [], [], []
    for other in others:
        found = changes(first.results.table, other.results.table)
        if not found.found:
            raise NotComparableError(
                f"{first.name} and {other.name} have nothing in common: no model is measured on "
                f"the same task in the same way; they hold {_content(first.results)}, and "
                f"{_content(other.results)}"
            )
        frame = changes_frame(found)
        frames.append(frame)
        sections.append(_section(first, other, found, frame))
        same.append(_unchanged(found))
    return Comparison(sections, set.intersection(*same), frames)


def changes_frame(found: Changes) -> pd.DataFrame:
    """Return a row for each quantity that was compared, what matters most first.

    Parameters
    ----------
    found
        Of `gradprobe.reports.changes.changes`.

    Examples
    --------
    >>> from gradprobe.reports.changes import changes
    >>> from gradprobe.reports.example import example_results
    >>> table = example_results(models=1, lengths=[8]).table
    >>> changes_frame(changes(table, table))["noise"].unique().tolist()
    ['unchanged']
    """
    ranked = by_rank(found.found)
    return pd.DataFrame(
        [_row(change) for change in ranked],
        columns=list(_COLUMNS),
    ).astype(_COLUMNS)


_COLUMNS = {
    "model": "object",
    "task": "object",
    "quantity": "object",
    "noise": "object",
    "direction": "object",
    "before": "float64",
    "before, lowest": "float64",
    "before, highest": "float64",
    "before, seeds": "int64",
    "after": "float64",
    "after, lowest": "float64",
    "after, highest": "float64",
    "after, seeds": "int64",
    "difference": "float64",
    "difference, lowest": "float64",
    "difference, highest": "float64",
    "common seeds": "int64",
    "p": "float64",
}


def _row(change: Change) -> list[object]:
    return [
        change.name.model or "",
        change.name.task or "",
        quantity_in_words(change.name),
        str(change.noise),
        "" if change.noise in {Noise.EQUAL, Noise.NOT_JUDGED} else str(change.direction),
        *change.before,
        *change.after,
        *change.difference,
        change.chance,
    ]


def _section(first: Named, other: Named, found: Changes, frame: pd.DataFrame) -> Section:
    settings = differing_settings(first.results, other.results)
    return Section(
        first.name,
        other.name,
        told(found, first.name, other.name, _verdicts(first.results, other.results)),
        _numbers(frame, f"Every quantity, {other.name} against {first.name}"),
        settings[:MOST_SETTINGS],
        max(len(settings) - MOST_SETTINGS, 0),
        _difference_of_files(first, other),
    )


def _numbers(frame: pd.DataFrame, name: str) -> NumberTable:
    rows = [tuple(row) for row in frame.head(ROWS_SHOWN).astype(object).to_numpy()]
    more = len(frame) - len(rows)
    note = f"{more:,} more, which changed less, are in the files of --export." if more else ""
    return NumberTable(name, list(frame.columns), rows, note)


def _difference_of_files(first: Named, other: Named) -> list[str]:
    old, new = (named.results.study.text.splitlines() for named in (first, other))
    lines = difflib.unified_diff(old, new, first.name, other.name, lineterm="", n=2)
    return list(itertools.islice(lines, 400))


def _verdicts(before: Results, after: Results) -> dict[str, tuple[str, str]]:
    """Return what becomes of each model's gradient on both sides, where that differs."""
    old, new = _verdicts_of(before.table), _verdicts_of(after.table)
    return {name: (old[name], new[name]) for name in old if name in new and old[name] != new[name]}


def _verdicts_of(table: pd.DataFrame) -> dict[str, str]:
    measured = table[~table["probe"].isin(APART)]
    if measured.empty:
        return {}
    summary = summarise(with_series(measured))
    judged = summary[summary["gain_length"].notna()]
    return {str(name): str(verdict) for name, verdict in judged["verdict"].items()}


def _unchanged(found: Changes) -> set[tuple[str, str]]:
    """Return the models by task that have the same quantities, and equal, at common seeds."""
    places: dict[tuple[str | None, str | None], bool] = {}
    for change in found.found:
        key = (change.name.model, change.name.task)
        places[key] = places.get(key, True) and _is_same(change)
    for name in (*found.only_before, *found.only_after):
        places[name.model, name.task] = False
    return {(str(key[0]), str(key[1])) for key, same in places.items() if same and None not in key}


def _is_same(change: Change) -> bool:
    if change.noise is Noise.NOT_JUDGED:
        return not change.before.seeds and not change.after.seeds
    return change.noise is Noise.EQUAL and change.difference.seeds > 0


def _content(results: Results) -> str:
    named = (results.table[column].dropna().unique()[:3] for column in ("model", "task"))
    models, tasks = ([shorten(printable(name), 40) for name in names] for names in named)
    return f"{', '.join(models)} on {', '.join(tasks)}"
