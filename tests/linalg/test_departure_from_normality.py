"""Henrici's departure from normality against closed forms and arbitrary precision."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from gradprobe.linalg.non_normality import Departure, departure_from_normality


def draw(size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, size, generator=generator, dtype=torch.float64)


def departure_of(matrix: Tensor) -> Departure:
    rounding = 4 * torch.finfo(matrix.dtype).eps * torch.linalg.matrix_norm(matrix)[None]
    return departure_from_normality(matrix[None], rounding, generator=torch.Generator())


def exact_departure(matrix: Tensor) -> float:
    """√(‖A‖_F² − Σ|λ|²) with sixty digits."""
    with mpmath.workdps(60):
        A = mpmath.matrix(matrix.tolist())
        values = mpmath.eig(A, left=False, right=False)
        rest = mpmath.mnorm(A, "f") ** 2 - sum(abs(value) ** 2 for value in values)
        return float(mpmath.sqrt(rest))


def assert_honest(matrix: Tensor, exact: float, largest: float) -> None:
    got = departure_of(matrix)
    assert abs(got.departure.item() - exact) <= got.error.item() <= largest


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_any_matrix(size: int, seed: int) -> None:
    matrix = draw(size, seed)
    assert_honest(matrix, exact_departure(matrix) if size > 1 else 0.0, 1e-12)


@pytest.mark.parametrize("departure", [1e-3, 1e-6, 1e-9])
def test_a_small_departure_keeps_its_digits_where_the_difference_of_squares_has_none(
    departure: float,
) -> None:
    upper = torch.triu(draw(8), diagonal=1)
    basis = torch.linalg.qr(draw(8, 1)).Q
    diagonal = torch.diag(torch.arange(1.0, 9.0, dtype=torch.float64))
    matrix = basis @ (diagonal + departure * upper) @ basis.T
    exact = exact_departure(matrix)
    assert_honest(matrix, exact, 1e-11)
    assert abs(departure_of(matrix).departure.item() / exact - 1) < 1e-4
    values = np.linalg.eigvals(matrix.numpy())
    naive = np.linalg.norm(matrix.numpy()) ** 2 - np.square(np.abs(values)).sum()
    if departure == 1e-9:
        assert abs(naive) > 100 * exact**2


def test_normal_matrices_have_none() -> None:
    skew = draw(9) - draw(9).T
    for matrix in (skew, draw(9) + draw(9).T, torch.linalg.qr(draw(9)).Q):
        got = departure_of(matrix)
        assert got.departure.item() <= got.error.item() < 1e-13 * got.norm.item() * 9


@pytest.mark.parametrize("size", [2, 4, 8, 12, 24])
def test_a_defective_matrix_is_honest(size: int) -> None:
    """A Jordan block has √(n − 1); rounding splits its eigenvalue by u^(1/n)."""
    basis = torch.linalg.qr(draw(size)).Q
    jordan = torch.eye(size, dtype=torch.float64) / 2 + torch.diag(
        torch.ones(size - 1, dtype=torch.float64), 1
    )
    matrix = basis @ jordan @ basis.T
    assert_honest(matrix, math.sqrt(size - 1), math.inf)
    assert math.isinf(departure_of(matrix).error.item()) == (size > 3)


def test_a_pair_on_the_diagonal_is_not_normal_by_itself() -> None:
    """[[a, b], [c, a]] with bc < 0: dep = |b + c|."""
    matrix = torch.tensor([[0.3, 5.0], [-0.2, 0.3]], dtype=torch.float64)
    assert departure_of(matrix).departure.item() == pytest.approx(4.8, abs=1e-14)


def test_it_does_not_depend_on_the_basis_and_scales_with_the_matrix() -> None:
    matrix, basis = draw(7), torch.linalg.qr(draw(7, 1)).Q
    first = departure_of(matrix).departure.item()
    assert departure_of(basis @ matrix @ basis.T).departure.item() == pytest.approx(first)
    assert departure_of(1e9 * matrix).departure.item() == pytest.approx(1e9 * first)


def test_single_precision_says_so() -> None:
    matrix = draw(6).float()
    got = departure_of(matrix)
    assert abs(got.departure.item() - exact_departure(matrix)) <= got.error.item()
    assert 1e-7 < got.error.item() < 1e-3
