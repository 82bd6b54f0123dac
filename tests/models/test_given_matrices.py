"""Vanilla and feedback networks with matrices that are given, not drawn."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from gradprobe import models
from gradprobe.errors import ArgumentError, NonFiniteError

W, V = [[0.0, -2.0], [2.0, 0.0]], [[1.0, 0.5, 0.0], [0.0, -1.0, 3.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vanilla_steps_with_the_given_matrices(dtype: torch.dtype) -> None:
    model = models.build(
        "vanilla", input_size=3, hidden_size=2, recurrent_matrix=W, input_matrix=V, dtype=dtype
    )
    h, x = torch.tensor([[0.3, -0.7]], dtype=dtype), torch.tensor([[0.1, 0.2, -0.4]], dtype=dtype)
    w, v = torch.tensor(W, dtype=dtype), torch.tensor(V, dtype=dtype)
    assert torch.allclose(model.step(x, h), torch.tanh(h @ w.T + x @ v.T), rtol=1e-6)
    assert model.stored_parameters == 2 * 2 + 2 * 3 + 2


def test_feedback_steps_with_the_given_matrices() -> None:
    model = models.build(
        "feedback",
        input_size=3,
        hidden_size=2,
        step_size=0.1,
        recurrent_matrix=W,
        dtype=torch.float64,
    )
    h = torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    zero = torch.zeros(1, 3, dtype=torch.float64)
    expected = [0.3 + 0.1 * math.tanh(1.4), -0.7 + 0.1 * math.tanh(0.6)]
    assert model.step(zero, h)[0].tolist() == pytest.approx(expected, abs=1e-15)


def test_what_is_not_given_is_drawn_as_always() -> None:
    drawn = models.build("vanilla", input_size=3, hidden_size=2)
    given = models.build("vanilla", input_size=3, hidden_size=2, recurrent_matrix=W)
    same = [torch.equal(a, b) for a, b in zip(drawn.parameters(), given.parameters(), strict=True)]
    assert same.count(False) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"recurrent_matrix": [[1.0, 0.0]]}, ArgumentError, r"recurrent_matrix must have shape"),
        ({"input_matrix": [[1.0], [0.0]]}, ArgumentError, r"input_matrix must have shape"),
        ({"recurrent_matrix": [[1.0], [0.0, 2.0]]}, ArgumentError, "given row by row"),
        ({"recurrent_matrix": "identity"}, ArgumentError, "given row by row"),
        ({"recurrent_matrix": [[1.0, float("nan")], [0.0, 1.0]]}, NonFiniteError, "finite"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        models.build("feedback", input_size=3, hidden_size=2, **options)
