"""Norms over many steps at once: as exact as one at a time, wherever a run of steps fails."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from product_families import Steps, lstm, orthogonal, tanh_network, there_and_back
from torch import Tensor

from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.linalg import Norm, ScaledProduct
from gradprobe.linalg.scaled import STEPS_PER_TRIAL, TRIALS_AT_ONCE

MANY = 2 * STEPS_PER_TRIAL * TRIALS_AT_ONCE + 5
FAMILIES: dict[str, Steps] = {
    "tanh": tanh_network(8, MANY, gain=0.5),
    "to e^-20000": [1e-60 * step for step in orthogonal(8, MANY)],
    "lstm": lstm(4, MANY),
    "a gap": [1e-90 ** (t == 100) * step for t, step in enumerate(orthogonal(8, MANY))],
    "zeros": [np.diag(np.ones(7), 1)] * 12,
    "a dead unit": [np.diag([0.0] + [0.5] * 7) @ step for step in orthogonal(8, MANY)],
    "there and back": there_and_back(8, 40),
}


def tensors(steps: Steps) -> list[Tensor]:
    return [torch.from_numpy(step) for step in steps]


def one_at_a_time(steps: Steps, rows: slice | None = None) -> Norm:
    product = ScaledProduct(len(steps[0]))
    norms = []
    for step in tensors(steps):
        product.absorb(step)
        norms.append(product.log_norm(rows))
    return Norm(*(torch.stack(part) for part in zip(*norms, strict=True)))


@pytest.mark.parametrize("rows", [None, slice(2, 5)])
@pytest.mark.parametrize("family", FAMILIES)
def test_many_steps_give_the_norms_of_one_at_a_time(family: str, rows: slice | None) -> None:
    steps = FAMILIES[family]
    product = ScaledProduct(8)
    together, alone = product.log_norms(tensors(steps), rows), one_at_a_time(steps, rows)
    assert product.steps == len(steps) == len(together.log_norm)
    assert torch.equal(together.error.isinf(), alone.error.isinf())
    known = ~alone.error.isinf()
    off = together.log_norm[known] - alone.log_norm[known]
    off = off.masked_fill(together.log_norm[known] == alone.log_norm[known], 0.0)  # −inf, too
    assert bool((off.abs() <= alone.error[known]).all())
    # Different draws of the same sketch: errors of the same size.
    finite = known & (alone.error > 0)
    ratios = together.error[finite] / alone.error[finite]
    assert bool(((ratios > 0.05) & (ratios < 20)).all())
    assert bool((together.error[known & (alone.error == 0)] == 0).all())


def test_a_generator_of_steps_may_be_cut_into_pieces() -> None:
    steps = tanh_network(8, 50)
    product, remaining = ScaledProduct(8), iter(tensors(steps))
    first = product.log_norms(next(remaining) for _ in range(3))
    product.absorb(next(remaining))
    rest = product.log_norms(remaining)
    expected = one_at_a_time(steps).log_norm
    torch.testing.assert_close(first.log_norm, expected[:3], rtol=0, atol=1e-12)
    torch.testing.assert_close(rest.log_norm, expected[4:], rtol=0, atol=1e-12)
    torch.testing.assert_close(product.log_norm().log_norm, rest.log_norm[-1], rtol=0, atol=0)


@pytest.mark.parametrize("number", [1, 7, STEPS_PER_TRIAL, STEPS_PER_TRIAL + 1, 40])
def test_a_step_that_is_not_finite_is_named_and_those_before_it_are_absorbed(number: int) -> None:
    steps = tensors(tanh_network(8, STEPS_PER_TRIAL + 20))
    steps[number - 1] = steps[number - 1].clone()
    steps[number - 1][2, 3] = torch.nan
    product, expected = ScaledProduct(8), ScaledProduct(8)
    with pytest.raises(NonFiniteError, match=f"step {number} holds NaN or an infinity"):
        product.log_norms(steps)
    for step in steps[: number - 1]:
        expected.absorb(step)
    assert product.steps == number - 1
    torch.testing.assert_close(
        product.log_norm().log_norm, expected.log_norm().log_norm, rtol=0, atol=1e-12
    )


def test_a_step_of_another_shape_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"step 3 must have shape \(2, 2\), got \(3, 3\)"):
        ScaledProduct(2).log_norms([torch.eye(n, dtype=torch.float64) for n in (2, 2, 3)])


def test_no_steps_have_no_norms() -> None:
    with pytest.raises(ArgumentError, match="the number of steps must be a positive integer"):
        ScaledProduct(2).log_norms([])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("factor", [0.01, 30.0])
def test_steady_decay_and_growth_leave_no_digits_behind(dtype: torch.dtype, factor: float) -> None:
    steps = [(factor * torch.eye(4, dtype=torch.float64)).to(dtype)] * 300
    norms = ScaledProduct(4, dtype=dtype).log_norms(steps)
    exact = math.log(2) + torch.arange(1, 301) * steps[0][0, 0].double().log()
    assert bool(((norms.log_norm - exact).abs() <= norms.error).all())
    assert bool((norms.error < (1e-10 if dtype is torch.float64 else 1e-2)).all())


def test_a_batch_is_its_elements_side_by_side_over_many_steps() -> None:
    kinds = [FAMILIES["tanh"], FAMILIES["to e^-20000"], FAMILIES["lstm"]]
    joint = (torch.stack(step) for step in zip(*map(tensors, kinds), strict=True))
    together = ScaledProduct(8, batch_shape=(3,)).log_norms(joint, slice(1, 6))
    assert together.log_norm.shape == (MANY, 3)
    for index, steps in enumerate(kinds):
        alone = ScaledProduct(8).log_norms(tensors(steps), slice(1, 6))
        off = (together.log_norm[:, index] - alone.log_norm).abs()
        assert bool((off <= alone.error).all())


@pytest.mark.parametrize("bits", [-90, -30, -4, 4, 30, 90])
def test_runs_of_steps_grow_as_long_as_the_range_allows(bits: int) -> None:
    """Where a run leaves the range its products are lost: few of them, however steep the steps."""
    products: list[int] = []

    class Counted:
        def __matmul__(self, columns: Tensor) -> Tensor:
            products.append(1)
            return columns * 2.0**bits

        def dense(self) -> Tensor:
            raise AssertionError

    count = 6 * STEPS_PER_TRIAL
    norms = ScaledProduct(3).log_norms([Counted()] * count)
    exact = math.log(3) / 2 + bits * math.log(2) * torch.arange(1, count + 1, dtype=torch.float64)
    torch.testing.assert_close(norms.log_norm, exact, rtol=1e-14, atol=1e-14)
    assert len(products) <= count + 2 * STEPS_PER_TRIAL


def test_only_a_few_steps_are_asked_for_ahead() -> None:
    """A trajectory makes its Jacobians as they are asked for; large ones must not pile up."""
    asked: list[int] = []

    class Reported:
        def __matmul__(self, columns: Tensor) -> Tensor:
            ahead.append(len(asked))
            return columns

        def dense(self) -> Tensor:
            raise AssertionError

    def steps() -> Iterator[Reported]:
        for number in range(6):
            asked.append(number)
            yield Reported()

    ahead: list[int] = []
    ScaledProduct(1 << 11, slice(0, 1), batch_shape=(2,)).log_norms(steps())
    assert ahead == [2, 2, 4, 4, 6, 6]
