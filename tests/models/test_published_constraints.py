"""What published cells hold their recurrent matrices to: constraints, bounds and penalties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_cases import build, draw_inputs
from published_cells import cell_of

from gradprobe.models import Initialiser
from gradprobe.models.kru import Kru
from gradprobe.models.lipschitz import SymmetricSkewMatrix
from gradprobe.models.soft_orthogonal import SoftOrthogonal


@pytest.mark.parametrize("case", ["exprnn", "scornn", "soft-orthogonal", "lipschitz"])
def test_the_constraint_holds_while_the_network_is_trained(case: str) -> None:
    model = build(case, hidden_size=12)
    start = model.cells[0].recurrent_matrix().detach().clone()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        model(draw_inputs())[0].square().sum().backward()
        optimiser.step()
    assert model.cells[0].constraint_error() < 1e-12
    assert (model.cells[0].recurrent_matrix() - start).abs().max() > 0.1


@pytest.mark.parametrize("name", ["exprnn", "scornn", "soft_orthogonal", "lipschitz"])
def test_a_matrix_that_breaks_the_constraint_is_seen(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = cell_of(name, 6)
    broken = cell.recurrent_matrix().detach().clone()
    broken[0, 0] += 0.5
    monkeypatch.setattr(cell, "recurrent_matrix", lambda: broken)
    assert cell.constraint_error() > 0.01


def test_the_singular_values_are_those_that_the_margin_gives() -> None:
    """1 + m tanh(p/2), as geotorch's AlmostOrthogonal with its scaled sigmoid states them."""
    cell = cell_of("soft_orthogonal", 6, margin=0.7)
    assert isinstance(cell, SoftOrthogonal)
    assert cell.constraint_error() < 1e-14
    parameters = torch.tensor([-50.0, -2.0, -0.1, 0.0, 1.0, 50.0], dtype=torch.float64)
    with torch.no_grad():
        cell.spectrum.copy_(parameters)
    expected = 1 + 0.7 * torch.tanh(parameters / 2)
    found = torch.linalg.svdvals(cell.recurrent_matrix())
    torch.testing.assert_close(found.flip(0), expected, rtol=0, atol=1e-14)
    assert cell.constraint_error() < 1e-14


@pytest.mark.parametrize(("skew_level", "diffusion"), [(0.0, 0.1), (0.75, 0.001), (1.0, 0.3)])
def test_the_symmetric_share_of_the_lipschitz_matrices(skew_level: float, diffusion: float) -> None:
    initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = SymmetricSkewMatrix(9, skew_level, diffusion, 5.0, initialiser)
    symmetric = (matrix.weight + matrix.weight.T).detach().numpy()
    real_parts = np.linalg.eigvals(matrix().detach().numpy()).real + diffusion
    bound = (1 - skew_level) * np.linalg.eigvalsh(symmetric)
    assert real_parts.max() <= bound.max() + 1e-12
    assert real_parts.min() >= bound.min() - 1e-12


# ---- Kronecker products


def test_kronecker_factors_of_any_sizes_make_the_matrix() -> None:
    cell = cell_of("kru", 12, factor_sizes=[3, 4])
    assert isinstance(cell, Kru)
    first, second = (factor.detach().numpy() for factor in cell.complex_factors())
    assert first.shape == (3, 3)
    whole = np.kron(first, second)
    np.testing.assert_allclose(cell.complex_matrix().detach().numpy(), whole, rtol=0, atol=1e-15)


def test_the_penalty_of_kronecker_units_draws_the_factors_to_unitary_ones() -> None:
    cell = cell_of("kru", 12, features=2)
    assert isinstance(cell, Kru)
    assert [len(factor) for factor in cell.complex_factors()] == [2, 2, 3]
    assert cell.penalty().item() < 1e-28
    with torch.no_grad():
        cell.factors[0].copy_(torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 2.0]]]))
    # diag(1, 2i): WᴴW − I = diag(0, 3).
    assert cell.penalty().item() == pytest.approx(9.0, rel=1e-14)
    assert cell.unitarity_error() == pytest.approx(3.0, rel=1e-14)
    assert cell.constraint_error() == 0.0
    optimiser = torch.optim.SGD(cell.parameters(), lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        cell.penalty().backward()
        optimiser.step()
    assert cell.unitarity_error() < 1e-6
    matrix = cell.complex_matrix().detach()
    identity = torch.eye(12, dtype=matrix.dtype)
    torch.testing.assert_close(matrix.mH @ matrix, identity, rtol=0, atol=1e-5)


def test_kronecker_units_train_on_sequences_that_begin_with_zeros() -> None:
    """Where h = V x = 0 and b > 0 modReLU jumps; the gradient must not be NaN."""
    model = build("kru")
    inputs = draw_inputs().requires_grad_()
    hidden, _ = model(torch.cat((torch.zeros_like(inputs), inputs)))
    later, _ = model(inputs)
    assert not hidden[: len(inputs)].any()
    torch.testing.assert_close(hidden[len(inputs) :], later, rtol=0, atol=1e-14)
    leaves = [inputs, *model.parameters()]
    padded = torch.autograd.grad(hidden[-1].square().sum(), leaves)
    for ours, expected in zip(
        padded, torch.autograd.grad(later[-1].square().sum(), leaves), strict=True
    ):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-13)
