"""What a study has swept: a column for each parameter, to be merged with its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from gradprobe.studies.settings import settings
from gradprobe.studies.store import read_results

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.studies.schema import Study


def parameters(folder: str | Path, study: str | None = None) -> pd.DataFrame:
    """Return the swept values of every model on every task of a folder of results.

    The table of results says them in the labels only, which a person reads; here they are numbers.
    They stand apart so that the results' table has the same columns for all studies: one row here
    belongs to thousands there.

    Parameters
    ----------
    folder
        The results' folder; a run may be writing to it.
    study
        Which study, if it holds several; the one that ran last if not given.

    Returns
    -------
    pandas.DataFrame
        Columns ``model`` and ``task``, the labels, by which it is merged with the results;
        ``model_family`` and ``task_family``, the labels that stand in the study file; and a column
        for each swept key, missing where a model or a task has none.

    Raises
    ------
    StoreError
        There is no store of this format, or it is damaged.

    Examples
    --------
    >>> import gradprobe as gp
    >>> def accuracies(folder):
    ...     table = gp.load(folder).query("quantity == 'test_accuracy'")
    ...     table = table.merge(gp.studies.parameters(folder), on=["model", "task"])
    ...     return table.pivot_table("value", index="recurrent_scale", columns="learning_rate")
    >>> accuracies("missing")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StoreError: missing: holds no results (results.sqlite is not there)
    """
    return swept(read_results(folder, study).study)


def swept(study: Study) -> pd.DataFrame:
    """Return the swept values of every model on every task of `study`, as `parameters` does.

    Parameters
    ----------
    study
        A checked study.

    Examples
    --------
    >>> from gradprobe.studies.reading import parse_study
    >>> study = parse_study('''
    ... name = "biases"
    ... question = "?"
    ... [[tasks]]
    ... name = "digits_rows"
    ... [grid]
    ... seeds = [0]
    ... sequences = 1
    ... [[models]]
    ... label = "LSTM"
    ... name = "lstm"
    ... hidden_size = 2
    ... sweep.options.forget_bias = [1.0, 5.0]
    ... [probes.gradient_norm]
    ... ''', "biases.toml")
    >>> swept(study)[["model", "model_family", "forget_bias"]]
                      model model_family  forget_bias
    0  LSTM (forget_bias=1)         LSTM          1.0
    1  LSTM (forget_bias=5)         LSTM          5.0
    """
    rows: list[dict[str, Any]] = [
        {
            "model": setting.model.label,
            "task": setting.task.label,
            "model_family": setting.model.family,
            "task_family": setting.task.family,
            **setting.task.parameters,
            **setting.model.parameters,
        }
        for setting in settings(study)
    ]
    return pd.DataFrame(rows)
