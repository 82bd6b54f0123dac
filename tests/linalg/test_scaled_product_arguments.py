"""Wrong arguments are refused with what was expected and what was got."""

from __future__ import annotations

import pytest
import torch

from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg import ScaledProduct


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be a positive integer, got 0"),
        ({"size": 3, "columns": 2}, "columns must be a slice, or None for all, got 2"),
        ({"size": 3, "columns": slice(3, 5)}, "the number of columns must be a positive integer"),
        ({"size": 3, "batch_shape": (2, 0)}, "each of batch_shape must be a positive integer"),
        ({"size": 3, "dtype": torch.bfloat16}, "dtype must be torch.float64 or torch.float32"),
        ({"size": 3, "sketches": 0}, "sketches must be a positive integer, got 0"),
        ({"size": 3, "tolerance": -1.0}, "tolerance must be a positive number, got -1.0"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ScaledProduct(**options)  # type: ignore[arg-type]


def test_wrong_steps_are_refused_with_their_number() -> None:
    product = ScaledProduct(3)
    product.absorb(torch.eye(3, dtype=torch.float64))
    with pytest.raises(ArgumentError, match=r"step 2 must have shape \(3, 3\), got \(2, 3\)"):
        product.absorb(torch.ones(2, 3, dtype=torch.float64))
    with pytest.raises(ArgumentError, match=r"step 2 must have dtype torch.float64"):
        product.absorb(torch.eye(3))
    with pytest.raises(ArgumentError, match="step 2 must be a tensor or have `@` and dense"):
        product.absorb([[1.0]])  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_step_that_is_not_finite_is_refused_and_leaves_the_product_alone(bad: float) -> None:
    product = ScaledProduct(3)
    step = torch.eye(3, dtype=torch.float64) / 2
    for _ in range(300):
        product.absorb(step)
    before = product.log_norm()
    broken = step.clone()
    broken[1, 2] = bad
    with pytest.raises(NonFiniteError, match="step 301 holds NaN or an infinity"):
        product.absorb(broken)
    assert product.steps == 300
    assert product.log_norm().log_norm == before.log_norm
    product.absorb(step)
    assert product.log_norm().log_norm < before.log_norm


@pytest.mark.parametrize("rows", [torch.tensor([3]), torch.tensor([0.5]), "h"])
def test_rows_that_do_not_exist_are_refused(rows: object) -> None:
    with pytest.raises(ArgumentError, match="rows must be a slice or a tensor of indices below 3"):
        ScaledProduct(3).log_norm(rows)  # type: ignore[arg-type]


def test_no_rows_have_no_norm() -> None:
    with pytest.raises(ArgumentError, match="the number of rows must be a positive integer, got 0"):
        ScaledProduct(3).log_spectral_norm(slice(3, 5))
