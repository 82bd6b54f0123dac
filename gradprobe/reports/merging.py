"""Several results as one, for the figures of a page that compares them."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from gradprobe import frame

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gradprobe.reports.contract import Results


class Named(NamedTuple):
    """Results, and what they are called on the page."""

    name: str
    results: Results


@dataclass(frozen=True)
class MergedStudy:
    """The studies of several results."""

    name: str
    question: str
    text: str


@dataclass(frozen=True)
class MergedResults:
    """Several results as one; see `gradprobe.reports.contract.Results`."""

    study: MergedStudy
    table: pd.DataFrame
    cells: list[Any]
    missing: list[Any]


def short_names(folders: Sequence[str | Path]) -> list[str]:
    """Return the shortest ends of the folders' paths that tell them apart.

    Folders that are the same are numbered.

    Examples
    --------
    >>> short_names(["a/results", "b/results", "c"])
    ['a/results', 'b/results', 'c']
    >>> short_names(["old", "new"]), short_names(["old", "old"])
    (['old', 'new'], ['old (1)', 'old (2)'])
    """
    parts = [Path(folder).absolute().parts for folder in folders]
    names = []
    for mine in parts:
        ends = (mine[-size:] for size in range(1, len(mine) + 1))
        shortest = next(
            (end for end in ends if sum(other[-len(end) :] == end for other in parts) == 1), None
        )
        names.append("/".join(shortest) if shortest else mine[-1])
    return [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def merged(every: Sequence[Named], unchanged: Collection[tuple[str, str]] = ()) -> MergedResults:
    """Return results in which each model stands once for each of `every`, named after it.

    Parameters
    ----------
    every
        The results.
    unchanged
        Models by task that are the same everywhere: they stand once, under their own name.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> both = [Named(name, example_results(models=2, lengths=[8])) for name in ("old", "new")]
    >>> joined = merged(both, unchanged={("vanilla", "noise_padded_digits")})
    >>> sorted(joined.table["model"].unique())
    ['LSTM, forget bias 1 · new', 'LSTM, forget bias 1 · old', 'vanilla']
    """
    tables, cells, missing = [], [], []
    for number, (name, results) in enumerate(every):
        table, drop = results.table, unchanged if number else ()
        pairs = list(zip(table["model"], table["task"], strict=True))
        keep = [pair not in drop for pair in pairs]
        model = [_label(*pair, name, unchanged) for pair in pairs]
        tables.append(table.assign(model=pd.array(model, dtype="string"))[keep])
        cells += _relabelled(results.cells, name, unchanged, drop)
        missing += _relabelled(results.missing, name, unchanged, drop)
    order = _order(every, unchanged)
    cells.sort(key=lambda cell: order.get(cell.label, len(order)))
    return MergedResults(_study(every), frame.concatenate(tables), cells, missing)


def _order(every: Sequence[Named], unchanged: Collection[tuple[str, str]]) -> dict[str, int]:
    """Return the places of labels such that the same model's stand together."""
    models = list(
        dict.fromkeys((cell.label, cell.task) for _, results in every for cell in results.cells)
    )
    labels = (
        _label(*pair, name, unchanged) for pair, (name, _) in itertools.product(models, every)
    )
    return {label: place for place, label in enumerate(dict.fromkeys(labels))}


def _label(model: Any, task: Any, name: str, unchanged: Collection[tuple[str, str]]) -> Any:
    return model if pd.isna(model) or (model, task) in unchanged else f"{model} · {name}"


def _relabelled(
    cells: Sequence[Any],
    name: str,
    unchanged: Collection[tuple[str, str]],
    drop: Collection[tuple[str, str]],
) -> list[Any]:
    return [
        dataclasses.replace(cell, label=_label(cell.label, cell.task, name, unchanged))
        for cell in cells
        if (cell.label, cell.task) not in drop
    ]


def _study(every: Sequence[Named]) -> MergedStudy:
    studies = [results.study for _, results in every]
    questions = list(dict.fromkeys(study.question for study in studies))
    texts = {study.text: None for study in studies}
    if len(texts) == 1:
        text = studies[0].text
    else:
        text = "\n\n".join(f"# {name}\n\n{results.study.text}" for name, results in every)
    return MergedStudy(
        name=" against ".join(reversed([name for name, _ in every[:2]]))
        + (f" and {len(every) - 2} more" if len(every) > 2 else ""),
        question=" / ".join(questions),
        text=text,
    )
