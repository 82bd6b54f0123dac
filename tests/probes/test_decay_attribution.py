"""The growth along v₁, split over steps and causes, where the split is known."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pandas as pd
import pytest
import torch
from linear_cell import linear_network
from model_cases import BATCH, CASES, build, draw_inputs, draw_state
from torch import Tensor

from gradprobe import models
from gradprobe.errors import ArgumentError, NonFiniteError, UnsupportedModelError
from gradprobe.linalg import GradedProduct
from gradprobe.linalg.leading_vector import LeadingVector
from gradprobe.models import Cell, RecurrentModel, Trajectory
from gradprobe.probes.decay_attribution import decay_attribution

PARTS = ["log_growth_reference", "log_growth_activation", "log_growth_carry"]

ORTHOGONAL_STEPS = {"orthogonal-modrelu", "exprnn", "scornn"}
"""The models in which modReLU lets every unit pass, so that any vector is a v₁."""

JUMPS = [(case, "zero") for case in ("urnn", "full-capacity-urnn", "urnn-stacked", "kru")]
JUMPS.append(("kru", "rest"))
"""The references at which modReLU, (|z| + b) z/|z| with b > 0, has no derivative: where z = 0."""


def measured(
    trajectory: Trajectory, lengths: list[int] | None = None, reference: str = "rest"
) -> pd.DataFrame:
    lengths = [trajectory.length] if lengths is None else lengths
    generator = torch.Generator().manual_seed(0)
    return decay_attribution(trajectory, lengths, generator=generator, reference=reference)


def column(table: pd.DataFrame, quantity: str, matrix: str = "step") -> np.ndarray:
    """Return the values of a quantity, shape (steps, B)."""
    chosen = table[(table["quantity"] == quantity) & (table["matrix"] == matrix)]
    values: np.ndarray = chosen["value"].to_numpy().reshape(-1, chosen["sequence"].nunique())
    return values


class Multiplying(Cell):
    """h_t = x_t ∘ (R h_{t-1}): the inputs are the activations' slopes."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__(matrix.shape[0], matrix.shape[0])
        self.matrix = torch.nn.Parameter(matrix)

    def recurrent_matrix(self) -> Tensor:
        return self.matrix

    def input_matrix(self) -> Tensor:
        return torch.eye(self.hidden_size, dtype=self.matrix.dtype)

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        return recurrent * drive


def multiplying(slopes: list[list[float]], matrix: Tensor | None = None) -> Trajectory:
    """Return the trajectory of one sequence whose J_t = diag(slopes_t) R; R = I if not given."""
    inputs = torch.tensor(slopes, dtype=torch.float64)[:, None]
    cell = Multiplying(torch.eye(inputs.shape[-1]).double() if matrix is None else matrix)
    return models.trace(RecurrentModel([cell], name="multiplying"), inputs)


@pytest.mark.parametrize(
    ("case", "reference"),
    [pair for pair in itertools.product(CASES, ["rest", "zero"]) if pair not in JUMPS],
)
def test_the_steps_and_their_parts_add_up_to_the_largest_singular_value(
    case: str, reference: str
) -> None:
    model = build(case)
    trajectory = models.trace(model, draw_inputs(length=40), draw_state(model))
    table = measured(trajectory, [10, 40], reference)
    product = GradedProduct(
        model.state_size, batch_shape=(BATCH,), generator=torch.Generator().manual_seed(1)
    )
    for t, jacobian in enumerate(trajectory.step_jacobians(), start=1):
        product.absorb(jacobian)
        if t in (10, 40):
            here = table[table["length"] == t]
            growth = column(here, "log_growth")
            parts = sum(column(here, quantity) for quantity in PARTS)
            np.testing.assert_allclose(parts, growth, rtol=0, atol=1e-12)
            expected = product.log_singular_values().log_singular_values[:, 0].numpy()
            total = column(here, "log_growth", "end_to_end")[0]
            np.testing.assert_allclose(total, expected, rtol=0, atol=1e-11)
            # Where all units died there are no steps to tell of.
            alive = total[np.isfinite(total)]
            np.testing.assert_allclose(growth.sum(0), alive, rtol=0, atol=1e-13)
    if case not in ORTHOGONAL_STEPS:
        assert table["resolved"].all()
        assert table["error"].max() < 1e-10


@pytest.mark.parametrize(("case", "reference"), JUMPS)
def test_where_modrelu_jumps_there_is_no_reference(case: str, reference: str) -> None:
    model = build(case)
    trajectory = models.trace(model, draw_inputs(length=5), draw_state(model))
    with pytest.raises(NonFiniteError, match=f"layer . at reference '{reference}' must be finite"):
        measured(trajectory, reference=reference)


def test_a_linear_network_has_nothing_but_its_matrix() -> None:
    """A = QDQᵀ: v₁ is an eigenvector, every step grows by log 0.5, down to e^-763."""
    matrix = torch.diag(torch.tensor([0.5, 0.3, -0.1], dtype=torch.float64))
    trajectory = models.trace(linear_network(matrix), torch.zeros(1100, 1, 1).double())
    table = measured(trajectory)
    np.testing.assert_allclose(column(table, "log_growth"), math.log(0.5), rtol=0, atol=1e-15)
    total = table[table["matrix"] == "end_to_end"].set_index("quantity")["value"]
    assert total["log_growth"] == pytest.approx(1100 * math.log(0.5), rel=1e-14)
    assert total["log_growth_reference"] == total["log_growth"]
    assert total["log_growth_activation"] == total["log_growth_carry"] == 0


@pytest.mark.parametrize("bias", [0.0, 0.7])
def test_a_scalar_tanh_unit_splits_into_its_weight_and_its_slope(bias: float) -> None:
    """h_t = tanh(w h + v x + b): J = φ′ w, and at rest φ′ is 1 − tanh(b)²."""
    model = models.build("vanilla", input_size=1, hidden_size=1, dtype=torch.float64)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), (-0.8, 1.3, bias), strict=True):
            parameter.fill_(value)
    inputs = draw_inputs(length=50)[..., :1]
    hidden = model(inputs)[0].detach()[..., 0].numpy()
    for reference, slope in (("rest", 1 - math.tanh(bias) ** 2), ("zero", 1.0)):
        table = measured(models.trace(model, inputs), reference=reference)
        by_weight = column(table, "log_growth_reference")
        np.testing.assert_allclose(by_weight, math.log(0.8 * slope), rtol=0, atol=1e-14)
        by_slope = column(table, "log_growth_activation")
        expected = np.log1p(-(hidden**2)) - math.log(slope)
        np.testing.assert_allclose(by_slope, expected, rtol=0, atol=1e-12)
        assert (column(table, "log_growth_carry") == 0).all()


def test_a_relu_unit_has_slope_one_at_its_kink() -> None:
    model = models.build("vanilla", input_size=1, hidden_size=4, nonlinearity="relu").double()
    trajectory = models.trace(model, torch.ones(1, 1, 1).double())
    at_first = measured(trajectory).set_index(["quantity", "matrix"])["value"]
    matrix = model.cells[0].recurrent_matrix().detach()
    alive = (model.cells[0].input_matrix().detach()[:, 0] > 0).double()
    v = torch.linalg.svd(alive[:, None] * matrix).Vh[0]
    expected = (matrix @ v).norm().log().item()
    assert at_first["log_growth_reference", "step"] == pytest.approx(expected, abs=1e-14)
    assert at_first["log_growth_activation", "step"] < 0


def test_an_lstm_without_recurrent_weights_loses_by_its_forget_gate_only() -> None:
    """(h, c) by c is (o φ′ f, f): nothing comes through R = 0, all is carry."""
    model = models.build("lstm", input_size=1, hidden_size=1, forget_bias=2.0, dtype=torch.float64)
    with torch.no_grad():
        recurrent, weight, _ = model.parameters()
        recurrent.zero_()
        weight.copy_(torch.tensor([[0.3], [-1.5], [0.4], [0.8]], dtype=torch.float64))
    inputs = draw_inputs(length=30)[:, :1, :1]
    table = measured(models.trace(model, inputs))
    x = inputs[:, 0, 0].numpy()
    input_gate, forget, output = (
        1 / (1 + np.exp(-(w * x + b))) for w, b in ((0.3, 0), (-1.5, 2), (0.8, 0))
    )
    memory = [0.0]
    for i, f, g in zip(input_gate, forget, np.tanh(0.4 * x), strict=True):
        memory.append(f * memory[-1] + i * g)
    of_hidden = output * (1 - np.tanh(memory[1:]) ** 2)
    length = np.hypot(1, np.concatenate(([0.0], of_hidden)))  # of w_t, relative to its c; v₁ = c
    growth = np.log(forget * length[1:] / length[:-1])
    at_rest = math.log(1 / (1 + math.exp(-2)) * math.hypot(1, 0.5)) - np.log(length[:-1])
    np.testing.assert_allclose(column(table, "log_growth")[:, 0], growth, rtol=0, atol=1e-13)
    np.testing.assert_allclose(
        column(table, "log_growth_reference")[:, 0], at_rest, rtol=0, atol=1e-13
    )
    carry = column(table, "log_growth_carry")[:, 0]
    np.testing.assert_allclose(carry, growth - at_rest, rtol=0, atol=1e-13)
    assert (column(table, "log_growth_activation") == 0).all()


def test_v1_is_that_of_the_end_not_of_the_beginning() -> None:
    """diag(3, 1), then diag(1, 10): v₁ = e₂, which does not grow at first."""
    table = measured(multiplying([[3.0, 1.0], [1.0, 10.0]]), [1, 2])
    first, second = (column(table[table["length"] == n], "log_growth")[:, 0] for n in (1, 2))
    np.testing.assert_allclose(first, [math.log(3)], rtol=0, atol=1e-15)
    np.testing.assert_allclose(second, [0.0, math.log(10)], rtol=0, atol=1e-15)


def test_without_a_single_v1_the_steps_are_not_resolved_but_their_sum_is() -> None:
    """diag(2, 1), diag(1, 2) in turn make M = 2^50 I: every vector is a v₁."""
    table = measured(multiplying([[2.0, 1.0], [1.0, 2.0]] * 50))
    growth = table[table["quantity"] == "log_growth"]
    assert not growth.loc[growth["matrix"] == "step", "resolved"].any()
    total = growth[growth["matrix"] == "end_to_end"]
    assert total["resolved"].item()
    assert total["value"].item() == pytest.approx(50 * math.log(2), abs=1e-12)


def growths_in_arbitrary_precision(trajectory: Trajectory) -> list[float]:
    """Return log‖J_t w‖/‖w‖ along v₁ for the first sequence, all in 200 digits."""
    with mpmath.workdps(200):
        steps = [mpmath.matrix(j.dense()[0].tolist()) for j in trajectory.step_jacobians()]
        product = mpmath.eye(steps[0].rows)
        for step in steps:
            product = step * product
        values, vectors = mpmath.eigsy(product.T * product)
        vector = vectors[:, len(values) - 1]
        growths = []
        for step in steps:
            image = step * vector
            growths.append(float(mpmath.log(mpmath.norm(image) / mpmath.norm(vector))))
            vector = image
        return growths


@pytest.mark.parametrize("spread", [0.3, 2.0, 6.0])
@pytest.mark.parametrize("seed", range(6))
def test_the_stated_errors_cover_those_against_arbitrary_precision(
    seed: int, spread: float
) -> None:
    """Uneven steps turn the leading direction around, until v₁ is below the rounding of M."""
    generator = torch.Generator().manual_seed(seed)
    slopes = torch.randn(30, 3, generator=generator, dtype=torch.float64).mul(spread).exp()
    matrix = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    trajectory = multiplying(slopes.tolist(), matrix)
    growth = measured(trajectory)
    growth = growth[(growth["quantity"] == "log_growth") & (growth["matrix"] == "step")]
    off = (growth["value"] - growths_in_arbitrary_precision(trajectory)).abs()
    assert (off <= growth["error"]).all()
    if spread < 1:
        assert growth["resolved"].all()


def test_what_leads_at_the_end_but_was_lost_on_the_way_is_not_resolved() -> None:
    """Up by e^80 along one direction and down by e^100, between two quarter turns of R."""
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    up_and_down = [[math.exp(2.0), 1.0]] * 40 + [[math.exp(-2.5), 1.0]] * 40
    in_place = measured(multiplying(up_and_down))
    # Along the axes nothing mixes: v₁ = e₂, which never moves, however e₁ grows meanwhile.
    assert (column(in_place, "log_growth") == 0).all()
    assert in_place.loc[in_place["quantity"] == "log_growth", "resolved"].all()
    mixed = measured(multiplying([[1.0, 1.0], *up_and_down, [1.0, 1.0]], turn))
    reference = growths_in_arbitrary_precision(
        multiplying([[1.0, 1.0], *up_and_down, [1.0, 1.0]], turn)
    )
    growth = mixed[(mixed["quantity"] == "log_growth") & (mixed["matrix"] == "step")]
    assert ((growth["value"] - reference).abs() <= growth["error"]).all()


def test_a_product_that_is_exactly_zero_has_only_its_sum() -> None:
    nilpotent = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    trajectory = models.trace(linear_network(nilpotent), torch.zeros(3, 1, 1).double())
    table = measured(trajectory, [1, 3])
    assert len(table[table["length"] == 1]) == 8
    (last,) = table[table["length"] == 3].to_dict("records")
    assert (last["quantity"], last["matrix"], last["value"]) == (
        "log_growth",
        "end_to_end",
        -math.inf,
    )
    assert last["resolved"]
    assert last["error"] == 0


def test_a_reference_without_any_slope_is_told() -> None:
    """relu units whose bias keeps them off at rest, but whose inputs switch them on."""
    model = models.build("vanilla", input_size=1, hidden_size=1, nonlinearity="relu").double()
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), (0.5, 1.0, -1.0), strict=True):
            parameter.fill_(value)
    table = measured(models.trace(model, torch.full((4, 1, 1), 9.0).double()))
    at_rest = table[table["quantity"] == "log_growth_reference"]
    assert np.isneginf(at_rest["value"]).all()
    assert at_rest["resolved"].all()
    rest = table[table["quantity"].isin(["log_growth_activation", "log_growth_carry"])]
    assert not rest["resolved"].any()
    growth = column(table, "log_growth")
    np.testing.assert_allclose(growth, math.log(0.5), rtol=0, atol=1e-15)


def test_the_leading_vector_is_that_of_the_dense_product() -> None:
    generator = torch.Generator().manual_seed(3)
    steps = torch.randn(12, 2, 5, 5, generator=generator, dtype=torch.float64)
    leading = LeadingVector(5, batch_shape=(2,), generator=torch.Generator().manual_seed(0))
    product = torch.eye(5, dtype=torch.float64)
    for step in steps:
        leading.absorb(step)
        product = step @ product
    expected = torch.linalg.svd(product).Vh[:, 0]
    cosine = torch.einsum("cbs,bs->cb", leading.vectors(), expected).abs()
    torch.testing.assert_close(cosine, torch.ones(3, 2).double(), rtol=0, atol=1e-14)
    assert not leading.is_zero().any()


def test_it_refuses_what_it_cannot_tell_apart() -> None:
    opaque = models.adapt(lambda x, h: torch.tanh(x + h.roll(1, -1)), state_size=2)
    trajectory = models.trace(opaque, torch.zeros(4, 1, 2).double())
    with pytest.raises(UnsupportedModelError, match="known as a function only, whose Jacobian is"):
        measured(trajectory)
    trajectory = models.trace(build("gru"), draw_inputs())
    with pytest.raises(ArgumentError, match="reference must be one of 'rest', 'zero', got 'open'"):
        measured(trajectory, reference="open")
