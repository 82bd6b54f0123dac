"""How a probe's many values become one number per seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradprobe import frame
from gradprobe.gate.reduction import metrics, not_numbers

INF = float("inf")


def found(**columns: Any) -> dict[str, list[float | None]]:
    table = frame.rows(**{"seed": 0, "length": 4, "probe": "p", "resolved": True, **columns})
    return {one.statistic: list(one.values.values()) for one in metrics(table)}


def test_a_spectrum_gives_its_ends_and_its_middle_whatever_the_ranks_are() -> None:
    values = [3.0, 1.0, 5.0, 2.0, 4.0]
    assert found(
        quantity="log_sigma", matrix="end_to_end", step=4, rank=range(1, 6), value=values
    ) == {"largest, at the end": [5.0], "middle, at the end": [3.0], "smallest, at the end": [1.0]}


def test_imaginary_parts_have_no_sign() -> None:
    values = [2.0, -2.0, 0.5, -0.5]
    assert found(quantity="imag", matrix="step", step=2, rank=range(1, 5), value=values) == {
        "largest, mean": [2.0],
        "middle, mean": [2.0],
        "smallest, mean": [0.5],
    }


@pytest.mark.parametrize(
    ("matrix", "end", "mean"),
    [("end_to_end", 4.0, 2.5), ("tail", 0.0, 1.5), ("input", 1.0, 2.5), (None, None, 2.5)],
)
def test_along_steps_there_is_the_value_that_has_come_all_the_way_and_the_mean(
    matrix: str | None, end: float | None, mean: float
) -> None:
    steps = np.arange(5)
    result = found(quantity="log_norm_fro", matrix=matrix, step=steps, value=steps.astype(float))
    assert result == {"mean": [mean]} | ({} if end is None else {"at the end": [end]})


def test_sequences_are_averaged_and_zeros_and_what_is_unresolved_spoil_their_own_seed_only() -> (
    None
):
    table = frame.rows(
        seed=np.arange(4)[:, None],
        sequence=[0, 1],
        length=4,
        step=4,
        probe="p",
        quantity="log_norm_fro",
        matrix="end_to_end",
        value=[[1.0, 3.0], [1.0, -INF], [1.0, 2.0], [INF, -INF]],
        resolved=[[True, True], [True, True], [True, False], [True, True]],
    )
    (one,) = metrics(table)
    assert one.values == {0: 2.0, 1: -INF, 2: None, 3: None}


def test_nan_that_is_not_marked_as_unresolved_is_told() -> None:
    table = frame.rows(
        model="GRU", probe="p", quantity="q", value=[np.nan, np.nan, 1.0],
        resolved=[True, False, True],
    )  # fmt: skip
    assert not_numbers(table) == ["GRU: p q is NaN"]
    assert not_numbers(table.iloc[1:]) == []


def test_a_training_gives_its_last_values_and_whether_it_diverged() -> None:
    table = frame.rows(
        model="GRU",
        probe="training",
        seed=[0, 0, 0, 1, 1],
        iteration=[10, 20, 20, 10, 12],
        quantity=["train_loss", "train_loss", "test_accuracy", "train_loss", "diverged_at"],
        value=[2.0, 1.0, 0.9, 2.5, 12.0],
        resolved=True,
    )
    values = {one.quantity: one.values for one in metrics(table)}
    assert values == {
        "diverged_at": {0: INF, 1: 12.0},
        "test_accuracy": {0: 0.9},
        "train_loss": {0: 1.0, 1: 2.5},
    }
    assert {one.tolerance for one in metrics(table)} == {1e-2}


def test_an_empty_table_has_no_metrics() -> None:
    assert metrics(frame.concatenate([])) == []
