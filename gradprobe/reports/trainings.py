"""What trainings came to: a row for each of them, and one for each model on each task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from gradprobe.reports.series import with_series
from gradprobe.reports.settings_in_words import hyper_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.reports.contract import Cell

APART = (
    "training",
    "size",
    "state_trajectory",
    "vector_field",
    "linear_readout",
    "state_separation",
)
"""Probes whose rows say nothing of gradients; they have sections of their own."""

CONFIDENCE = 0.95
"""Of the interval about chance within which a model counts as not having learned."""

KEYS = ["task", "model"]
_METRICS = {"test_accuracy": "accuracy", "test_mean_squared_error": "mean_squared_error"}


def training_rows(table: pd.DataFrame, order: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of trainings with the categorical column ``series``, the model.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.
    order
        Models in the order in which they are to be shown; others follow as they come.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> rows = training_rows(example_trainings().table)
    >>> list(rows["series"].cat.categories)[:2]
    ['LSTM', 'AntisymmetricRNN']
    """
    rows = table[table["probe"] == "training"]
    names = [str(name) for name in rows["model"].dropna().unique()]
    shown = [name for name in dict.fromkeys(order) if name in names]
    shown += [name for name in names if name not in shown]
    series = pd.Categorical(rows["model"].astype(object), categories=shown)
    return rows.assign(series=series)


def trainings(table: pd.DataFrame, cells: Sequence[Cell]) -> pd.DataFrame:
    """Return a row for each training: what it reached, after how many iterations, in what time.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.
    cells
        The finished cells.

    Returns
    -------
    pandas.DataFrame
        Columns ``task``, ``model``, ``seed``; ``metric`` and ``test``, the accuracy in percent or
        the mean squared error on the test set, NaN if the training diverged; ``iterations``,
        those done, and ``asked``; ``diverged_at``, NaN if it did not; ``seconds``;
        ``test_examples`` and ``number_of_classes``, NaN where they are not stored; ``parameters``.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> results = example_trainings()
    >>> rows = trainings(results.table, results.cells)
    >>> rows[["task", "model", "seed", "iterations"]].head(1).to_dict("list")
    {'task': ['pixel MNIST'], 'model': ['LSTM'], 'seed': [0], 'iterations': [1000]}
    """
    mine = table[table["probe"].isin(["training", "size"])]
    groups = dict(iter(mine.groupby([*KEYS, "seed"], observed=True, sort=False)))
    rows = []
    for cell in cells:
        key = (cell.task, cell.label, cell.seed)
        if key in groups and (groups[key]["probe"] == "training").any():
            rows.append({**dict(zip([*KEYS, "seed"], key, strict=True)), **_one(groups[key], cell)})
    return pd.DataFrame(rows, columns=[*KEYS, "seed", *_ONE])


_ONE = (
    "metric",
    "test",
    "iterations",
    "asked",
    "diverged_at",
    "seconds",
    "test_examples",
    "number_of_classes",
    "parameters",
)


def _one(rows: pd.DataFrame, cell: Cell) -> dict[str, Any]:
    last = rows.sort_values("iteration", kind="stable").groupby("quantity").last()["value"]
    quantity = next((name for name in _METRICS if name in last.index), "test_accuracy")
    test = float(last.get(quantity, np.nan))
    protocol = cell.specification.get("training") or {}
    diverged = float(last.get("diverged_at", np.nan))
    trained = rows.loc[rows["probe"] == "training", "iteration"].max()
    return {
        "metric": _METRICS[quantity],
        "test": 100 * test if quantity == "test_accuracy" else test,
        "iterations": int(trained if np.isnan(diverged) else diverged),
        "asked": float(protocol.get("iterations", np.nan)),
        "diverged_at": diverged,
        "seconds": np.nan if cell.seconds is None else float(cell.seconds),
        "test_examples": float(last.get("test_examples", np.nan)),
        "number_of_classes": float(last.get("number_of_classes", np.nan)),
        "parameters": float(last.get("total", np.nan)),
    }


def outcomes(runs: pd.DataFrame, cells: Sequence[Cell]) -> pd.DataFrame:
    """Return a row for each model on each task: medians over seeds beside what is published.

    Parameters
    ----------
    runs
        Of `trainings`.
    cells
        The finished cells.

    Returns
    -------
    pandas.DataFrame
        ``task``, ``model``, ``metric``; ``seeds`` and ``diverged``, how many trainings and how many
        of them diverged; ``test``, ``low``, ``high``, median, minimum and maximum over those that
        did not; ``chance``, the accuracy in percent that guessing exceeds with a probability of
        2.5 %, and ``learned``, whether the median is above it (None if that is not known);
        ``published`` and ``difference`` from it; ``iterations`` (the median over those that did not
        diverge), ``budget`` (the published one) and ``below_budget``; ``parameters``,
        ``published_parameters``, ``units``, ``published_units``; ``hyper_parameters`` in words;
        ``seconds``, the median; ``source``.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_trainings
    >>> results = example_trainings()
    >>> rows = outcomes(trainings(results.table, results.cells), results.cells)
    >>> rows[["model", "published", "below_budget"]].iloc[:2].to_dict("list")
    {'model': ['LSTM', 'AntisymmetricRNN'], 'published': [97.3, 98.0], 'below_budget': [True, True]}
    """
    first: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        first.setdefault((cell.task, cell.label), cell)
    rows = [
        _outcome(str(task), str(model), mine, first[str(task), str(model)])
        for (task, model), mine in runs.groupby(KEYS, sort=False)
    ]
    found = pd.DataFrame(rows)
    return found.astype({"learned": object}) if rows else found


def chance_level(examples: float, classes: float) -> float:
    """Return the share of `examples` that guessing gets right at most, with 97.5 % probability.

    The upper end of the central 95 % interval of a binomial distribution with probability one over
    the number of classes.

    Examples
    --------
    >>> chance_level(10_000, 10)
    0.1059
    """
    if not (examples > 0 and classes > 0):
        return float("nan")
    quantile = 1 - (1 - CONFIDENCE) / 2
    return float(stats.binom.ppf(quantile, int(examples), 1 / classes) / examples)


def _outcome(task: str, model: str, runs: pd.DataFrame, cell: Cell) -> dict[str, Any]:
    published, specification = cell.published, cell.specification
    metric = str(runs["metric"].iloc[0])
    sound = runs["test"].dropna()
    test = float(sound.median()) if len(sound) else float("nan")
    chance = 100 * chance_level(runs["test_examples"].max(), runs["number_of_classes"].max())
    known = _number(published.get(f"test_{metric}"))
    whole = runs[runs["diverged_at"].isna()] if len(sound) else runs
    budget, done = _number(published.get("iterations")), float(whole["iterations"].median())
    return {
        "task": task,
        "model": model,
        "metric": metric,
        "seeds": len(runs),
        "diverged": int(runs["diverged_at"].notna().sum()),
        "test": test,
        "low": float(sound.min()) if len(sound) else float("nan"),
        "high": float(sound.max()) if len(sound) else float("nan"),
        "chance": chance if metric == "accuracy" else float("nan"),
        "learned": _learned(metric, test, chance, runs),
        "published": known,
        "difference": test - known,
        "iterations": done,
        "budget": budget,
        "below_budget": bool(done < budget),
        "parameters": float(runs["parameters"].median()),
        "published_parameters": _number(published.get("parameters")),
        "units": _number((specification.get("model") or {}).get("hidden_size")),
        "published_units": _number(published.get("units")),
        "hyper_parameters": hyper_parameters(specification),
        "seconds": float(runs["seconds"].median()),
        "source": str(published.get("source") or ""),
    }


def _learned(metric: str, test: float, chance: float, runs: pd.DataFrame) -> bool | None:
    """Return whether a model is better than guessing; None if that cannot be said."""
    if runs["diverged_at"].notna().all():
        return False
    if metric != "accuracy" or np.isnan(chance) or np.isnan(test):
        return None
    return test > chance


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def at_the_end(table: pd.DataFrame, order: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of ``end_to_end_eigenvalues`` of each model at its last iteration.

    Parameters
    ----------
    table
        A table of `gradprobe.frame`.
    order
        Models in the order in which they are to be shown.

    Returns
    -------
    pandas.DataFrame
        With the categorical column ``series``: the model alone if no two tasks share a length, as
        where a model was trained for each length; else the model and the task.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_moduli
    >>> list(at_the_end(example_moduli().table)["series"].cat.categories)
    ['LSTM', 'AntisymmetricRNN', 'AntisymmetricRNN with gating']
    """
    rows = table[table["probe"] == "end_to_end_eigenvalues"]
    last = rows.groupby(KEYS, dropna=False)["iteration"].transform("max")
    # Iterations may differ between models; what is shown of each is its last.
    kept = rows[(rows["iteration"] == last) | last.isna()].assign(iteration=0)
    tasks = kept.groupby("length")["task"].nunique()
    named = with_series(kept.assign(task="") if (tasks <= 1).all() else kept, order)
    return named.assign(task=kept["task"])


def not_learned(ends: pd.DataFrame, found: pd.DataFrame) -> set[tuple[str, int]]:
    """Return the series and lengths of `ends` whose models did not learn their task.

    Parameters
    ----------
    ends
        Of `at_the_end`.
    found
        Of `outcomes`.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_moduli
    >>> results = example_moduli()
    >>> found = outcomes(trainings(results.table, results.cells), results.cells)
    >>> sorted(not_learned(at_the_end(results.table), found))
    [('LSTM', 100), ('LSTM', 200), ('LSTM', 400), ('LSTM', 800)]
    """
    if ends.empty or found.empty:
        return set()
    failed = found.loc[found["learned"].eq(False), KEYS].astype(str)
    names = ends[["series", "length", *KEYS]].drop_duplicates()
    both = names.astype({"series": object, "task": str, "model": str}).merge(failed, on=KEYS)
    return {(str(name), int(n)) for name, n in zip(both["series"], both["length"], strict=True)}
