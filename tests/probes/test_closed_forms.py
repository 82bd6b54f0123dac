"""Probes where the answer is known: linear networks, and what the paper's propositions say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from gradprobe import models
from gradprobe.models import Cell, Initialiser, RecurrentModel
from gradprobe.probes import probe


class Linear(Cell):
    """h_t = A h_{t-1} + V x_t, or with a step size h_t = h_{t-1} + ε (A h_{t-1} + V x_t)."""

    def __init__(self, matrix: Tensor, step_size: float | None = None) -> None:
        super().__init__(1, matrix.shape[0])
        initialiser = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
        self.matrix = torch.nn.Parameter(matrix)
        self.input_weight = initialiser.normal(matrix.shape[0], 1, standard_deviation=1.0)
        self.step_size = step_size

    def recurrent_matrix(self) -> Tensor:
        return self.matrix

    def input_matrix(self) -> Tensor:
        return self.input_weight

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        if self.step_size is None:
            return recurrent + drive
        return state + self.step_size * (recurrent + drive)


def linear_model(matrix: Tensor, step_size: float | None = None) -> RecurrentModel:
    return RecurrentModel([Linear(matrix, step_size)], name="linear")


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def values(table: pd.DataFrame, quantity: str, **chosen: object) -> np.ndarray:
    table = table[table["quantity"] == quantity]
    for name, value in chosen.items():
        table = table[table[name] == value]
    result: np.ndarray = table["value"].to_numpy()
    return result


def test_a_linear_network_is_a_matrix_power() -> None:
    matrix = draw(6, 6) / 3
    table = probe(linear_model(matrix), torch.zeros(9, 1, 1).double(), lengths=[9])
    power = torch.linalg.matrix_power(matrix, 9)
    expected = torch.linalg.svdvals(power).log()
    np.testing.assert_allclose(values(table, "log_sigma"), expected.numpy(), rtol=0, atol=1e-9)
    norm = torch.linalg.matrix_norm(power).log().item()
    forwards = values(table, "log_norm_fro", matrix="end_to_end", step=9)
    assert forwards.item() == pytest.approx(norm, abs=1e-13)


def test_a_normal_matrix_gives_powers_of_its_singular_values_far_below_underflow() -> None:
    """For A = QDQᵀ, σ_i(A^T) = |d_i|^T: here e^-7.8 … e^-9704 at T = 2000.

    Q is a Hadamard matrix and D has few binary digits, so that A is exact in float64.
    """
    pair = torch.tensor([[0.5, 0.5], [0.5, -0.5]], dtype=torch.float64)
    orthogonal = torch.cat((torch.cat((pair, pair)), torch.cat((pair, -pair))), dim=1)
    diagonal = torch.tensor([1 - 2**-8, -0.6875, 0.25, 2**-7], dtype=torch.float64)
    model = linear_model(orthogonal @ torch.diag(diagonal) @ orthogonal.T)
    table = probe(model, torch.zeros(2000, 1, 1).double(), ["singular_values"], [1, 2000])
    expected = 2000 * diagonal.abs().log().numpy()
    at_2000 = values(table, "log_sigma", length=2000)
    np.testing.assert_allclose(at_2000, expected, rtol=0, atol=1e-10)
    errors = table.loc[table["length"] == 2000, "error"].to_numpy()
    assert (np.abs(at_2000 - expected) <= errors + np.spacing(np.abs(expected))).all()


def test_an_orthogonal_linear_network_keeps_every_singular_value_at_one() -> None:
    model = linear_model(torch.linalg.qr(draw(32, 32)).Q)
    table = probe(model, draw(1500, 2, 1), lengths=[10, 1500])
    assert np.abs(values(table, "log_sigma")).max() < 1e-12
    norms = values(table, "log_norm_fro")
    assert np.abs(norms - math.log(32) / 2).max() < 1e-12
    assert np.abs(values(table, "modulus") - 1).max() < 1e-12


@pytest.mark.parametrize("diffusion", [0.0, 0.01, 0.5])
def test_antisymmetric_linear_dynamics_follow_the_formula(diffusion: float) -> None:
    """σ_i(M_T) = ((1 − εγ)² + ε² ω_i²)^{T/2}, ±iω_i the eigenvalues of W − Wᵀ."""
    step_size, length, size = 0.05, 700, 12
    upper = torch.triu(draw(size, size), diagonal=1)
    skew = upper - upper.T
    model = linear_model(skew - diffusion * torch.eye(size, dtype=torch.float64), step_size)
    table = probe(model, torch.zeros(length, 1, 1).double(), lengths=[length])
    frequencies = np.sort(np.abs(np.linalg.eigvals(skew.numpy()).imag))[::-1]
    modulus = np.hypot(1 - step_size * diffusion, step_size * frequencies)
    expected = length * np.log(modulus)
    np.testing.assert_allclose(values(table, "log_sigma"), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(values(table, "real"), -diffusion, rtol=0, atol=1e-12)
    euler = np.sort(values(table, "euler_modulus"))[::-1]
    np.testing.assert_allclose(euler, modulus, rtol=0, atol=1e-12)


@pytest.mark.parametrize("recurrent_scale", [1.0, 4.0, 16.0])
@pytest.mark.parametrize("diffusion", [0.0, 0.1])
def test_real_parts_of_the_antisymmetric_model_are_where_the_proof_has_them(
    diffusion: float, recurrent_scale: float
) -> None:
    """Re λ(F_t) ∈ [−γ max φ′, −γ min φ′], hence 0 for γ = 0, to rounding relative to ‖F‖."""
    model = models.build(
        "antisymmetric",
        input_size=3,
        hidden_size=32,
        diffusion=diffusion,
        recurrent_scale=recurrent_scale,
        dtype=torch.float64,
    )
    inputs = draw(60, 2, 3)
    table = probe(model, inputs, {"eigenvalue_real_parts": {"samples": 60}}, [60])
    slope = _tanh_slopes(model, inputs)
    real = values(table, "real", step=60).reshape(2, -1)
    rounding = 1e-12 * recurrent_scale
    assert (real <= -diffusion * slope[-1].min(-1).values.numpy()[:, None] + rounding).all()
    assert (real >= -diffusion * slope[-1].max(-1).values.numpy()[:, None] - rounding).all()
    largest = values(table, "real_max").reshape(60, 2)
    assert (largest <= -diffusion * slope.min(-1).values.numpy() + rounding).all()


def _tanh_slopes(model: RecurrentModel, inputs: Tensor) -> Tensor:
    """Return φ′ = 1 − tanh² at every step, shape (T, B, N)."""
    hidden, _ = model(inputs)
    increments = torch.diff(hidden.detach(), dim=0, prepend=torch.zeros_like(hidden[:1]))
    step_size = model.step_size
    assert step_size is not None
    return 1 - (increments / step_size).square()


@pytest.mark.parametrize(("recurrent_scale", "least"), [(1.0, 0.05), (4.0, 0.2), (16.0, 0.8)])
def test_the_gated_model_leaves_the_imaginary_axis_on_both_sides(
    recurrent_scale: float, least: float
) -> None:
    """The proof of Appendix B does not cover equation 13: real parts of order σ_w, both signs."""
    model = models.build(
        "gated_antisymmetric",
        input_size=8,
        hidden_size=64,
        diffusion=0.0,
        recurrent_scale=recurrent_scale,
        dtype=torch.float64,
    )
    table = probe(model, draw(200, 2, 8), ["eigenvalue_real_parts"], [200])
    real = values(table, "real", step=200)
    assert real.max() > least
    assert real.min() < -least
    assert np.abs(real).max() < recurrent_scale


def test_the_log_determinants_of_the_steps_add_up() -> None:
    """Σ_i log σ_i(M_T) = Σ_t log|det J_t|, for the full state."""
    model = models.build("lstm", input_size=2, hidden_size=6, dtype=torch.float64)
    inputs = draw(300, 2, 2)
    table = probe(model, inputs, ["singular_values"], [300])
    total = values(table, "log_sigma").reshape(2, 12).sum(-1)
    path = models.trace(model, inputs)
    steps = [torch.linalg.slogdet(j.dense()).logabsdet for j in path.step_jacobians()]
    np.testing.assert_allclose(total, torch.stack(steps).sum(0).numpy(), rtol=0, atol=1e-8)


def test_dead_relu_units_give_minus_infinity_by_structure() -> None:
    """A unit that is off has a zero row in J_t: one σ is lost for good, the others stay."""
    model = models.build(
        "vanilla",
        input_size=2,
        hidden_size=4,
        nonlinearity="relu",
        recurrent_scale=0.3,
        dtype=torch.float64,
    )
    with torch.no_grad():
        dict(model.named_parameters())["layers.0.biases.input"].copy_(
            torch.tensor([-100.0, 10.0, 10.0, 10.0])
        )
    table = probe(model, draw(5, 1, 2), ["singular_values", "gradient_norm"], [1, 5])
    for length in (1, 5):
        sigma = values(table, "log_sigma", length=length)
        assert np.isneginf(sigma[3])
        assert np.isfinite(sigma[:3]).all()
    assert table["resolved"].all()
