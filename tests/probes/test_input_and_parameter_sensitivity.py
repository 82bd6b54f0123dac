"""∂h_T/∂x_t and ∂h_T/∂θ: against autograd through a loop, and where a closed form is known."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest
import torch
from linear_cell import linear_network, scalar_network
from model_cases import BATCH, CASES, build, draw_inputs, draw_state, loop
from torch import Tensor, nn

from gradprobe import models
from gradprobe.errors import UnsupportedModelError
from gradprobe.models import RecurrentModel
from gradprobe.probes.input_sensitivity import input_sensitivity as by_input
from gradprobe.probes.parameter_sensitivity import parameter_sensitivity as by_parameter

LENGTHS = [3, 7]


def new_generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def value_of(table: pd.DataFrame, **chosen: object) -> float:
    """Return the one value of a row, which must be resolved."""
    for name, value in chosen.items():
        table = table[table[name] == value]
    assert len(table) == 1
    assert table["resolved"].item()
    assert table["error"].item() < 1e-11
    return float(table["value"].item())


def rows_of_jacobian(units: Tensor, arguments: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the derivative of each unit by each argument, by autograd: shape (N, …)."""
    rows = [
        torch.autograd.grad(
            unit, list(arguments.values()), retain_graph=True, materialize_grads=True
        )
        for unit in units
    ]
    return {name: torch.stack([row[index] for row in rows]) for index, name in enumerate(arguments)}


@pytest.mark.parametrize("case", CASES)
def test_both_are_autograds(case: str) -> None:
    model = build(case)
    inputs, state = draw_inputs(), draw_state(model)
    trajectory = models.trace(model, inputs, state)
    to_parameters = by_parameter(trajectory, LENGTHS, generator=new_generator())
    to_inputs = by_input(trajectory, LENGTHS, generator=new_generator())
    parameters = dict(model.named_parameters())
    assert set(to_parameters["block"]) == set(parameters)
    for length in LENGTHS:
        for b in range(BATCH):
            here = inputs[:length, b : b + 1].clone().requires_grad_()
            units = loop(model, here, state[b : b + 1])[-1, 0, model.hidden_slice]
            expected = rows_of_jacobian(units, {**parameters, "inputs": here})
            chosen: dict[str, object] = {"length": length, "sequence": b}
            for name in parameters:
                ours = value_of(to_parameters, block=name, step=length, **chosen)
                assert ours == pytest.approx(expected[name].norm().log().item(), abs=1e-13)
            for t in range(1, length + 1):
                norm = expected["inputs"][:, t - 1].norm().log().item()
                assert value_of(to_inputs, step=t, **chosen) == pytest.approx(norm, abs=1e-13)


@pytest.mark.parametrize("case", ["lstm-stacked", "orthogonal-tanh"])
def test_neither_chunks_nor_blocks_of_units_change_the_values(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(case)
    trajectory = models.trace(model, draw_inputs(), draw_state(model))

    def measured() -> list[np.ndarray]:
        return [
            probe(trajectory, LENGTHS, generator=new_generator())["value"].to_numpy()
            for probe in (by_input, by_parameter)
        ]

    whole = measured()
    for module, limit in (("backward_sweep", "CHUNK"), ("parameter_sensitivity", "SUM")):
        place = importlib.import_module(f"gradprobe.probes.{module}")
        monkeypatch.setattr(place, f"{limit}_ELEMENTS", 1)
    for one, other in zip(whole, measured(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


def test_by_the_factor_of_a_scalar_network_it_is_the_derivative_of_a_power() -> None:
    """h_t = λ h_{t-1}: ∂h_T/∂λ = T λ^{T−1} h_0."""
    factor, length = 0.9, 400
    state = torch.tensor([[2.0], [-1e-3]], dtype=torch.float64)
    inputs = torch.zeros(length, 2, 1, dtype=torch.float64)
    trajectory = models.trace(scalar_network(factor), inputs, state)
    table = by_parameter(trajectory, [1, length], generator=new_generator())
    for sequence, initial in enumerate(state[:, 0].tolist()):
        for steps in (1, length):
            expected = math.log(steps * abs(initial)) + (steps - 1) * math.log(factor)
            ours = value_of(table, block="layers.0.matrix", sequence=sequence, length=steps)
            assert ours == pytest.approx(expected, abs=1e-12)


def test_a_diagonal_network_adds_up_over_its_units() -> None:
    """∂h_{T,i}/∂A_{jk} = δ_ij Σ_t λ_i^{T−t} h_{t−1,k}, here with h_{t,k} = λ_k^t h_{0,k}."""
    factors = torch.tensor([0.9, 0.7, -0.5], dtype=torch.float64)
    state, length = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64), 30
    trajectory = models.trace(
        linear_network(torch.diag(factors)), torch.zeros(length, 1, 1).double(), state
    )
    table = by_parameter(trajectory, [length], generator=new_generator())
    t = torch.arange(1, length + 1)[:, None, None]
    terms = factors[:, None] ** (length - t) * factors[None] ** (t - 1) * state
    expected = terms.sum(0).norm().log().item()
    assert value_of(table, block="layers.0.matrix") == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize(("factor", "length"), [(0.5, 1100), (2.0, 1100), (1e-80, 60)])
def test_an_input_long_ago_is_a_power_far_out_of_range(factor: float, length: int) -> None:
    """∂h_T/∂x_t = λ^{T−t} v; by v, with the state at zero but for x_1, it is λ^{T−1} x_1."""
    inputs = torch.zeros(length, 1, 1, dtype=torch.float64)
    if factor < 1:
        inputs[0] = 1.0  # otherwise the state itself would overflow
    trajectory = models.trace(scalar_network(factor), inputs)
    table = by_input(trajectory, [length], generator=new_generator())
    steps = np.arange(1, length + 1)
    values = table["value"].to_numpy()
    expected = (length - steps) * math.log(factor)
    np.testing.assert_allclose(values, expected, rtol=1e-14, atol=1e-11)
    assert abs(values[0]) > 745  # out of the range of float64
    assert table["resolved"].all()
    if factor < 1:
        table = by_parameter(trajectory, [length], generator=new_generator())
        ours = value_of(table, block="layers.0.input_weight")
        assert ours == pytest.approx((length - 1) * math.log(factor), rel=1e-14)


@pytest.mark.parametrize("factor", [0.9, 0.99, 0.999])
def test_the_curse_of_memory(factor: float) -> None:
    """With x = 1, ∂h_T/∂λ = (1 − λ^T)/(1 − λ)² − T λ^{T−1}/(1 − λ), about memory squared."""
    lengths = [10, 1000]
    trajectory = models.trace(scalar_network(factor), torch.ones(1000, 1, 1).double())
    table = by_parameter(trajectory, lengths, generator=new_generator())
    memory = 1 / (1 - factor)
    for length in lengths:
        power = factor**length
        expected = (1 - power) * memory**2 - length * power / factor * memory
        ours = value_of(table, block="layers.0.matrix", length=length)
        assert ours == pytest.approx(math.log(expected), abs=1e-9)


def test_what_the_state_never_uses_is_exactly_zero() -> None:
    """With all states at zero h_T does not depend on R; x_T reaches a dead relu unit never."""
    model = build("vanilla-no-bias")
    trajectory = models.trace(model, torch.zeros(9, 1, 2).double())
    table = by_parameter(trajectory, [9], generator=new_generator())
    assert value_of(table, block="layers.0.recurrent_weight") == -math.inf
    model = models.build("vanilla", input_size=2, hidden_size=3, nonlinearity="relu").double()
    with torch.no_grad():
        dict(model.named_parameters())["layers.0.biases.input"].fill_(-100.0)
    trajectory = models.trace(model, draw_inputs())
    for probe in (by_input, by_parameter):
        table = probe(trajectory, [7], generator=new_generator())
        assert np.isneginf(table["value"]).all()
        assert table["resolved"].all()


@pytest.mark.parametrize("probe", [by_input, by_parameter])
def test_the_stated_error_covers_single_precision(probe: Callable[..., pd.DataFrame]) -> None:
    model = build("lstm").float()
    inputs = draw_inputs(length=100).float()
    single = probe(models.trace(model, inputs, dtype=None), [100], generator=new_generator())
    double = probe(models.trace(model, inputs), [100], generator=new_generator())
    off = (single["value"] - double["value"]).abs()
    assert off.max() > 1e-9
    assert (off <= single["error"] + double["error"]).all()
    assert single["error"].max() < 1e-2


class Branching(nn.Module):
    """A cell that looks at its whole batch: no two steps may be taken together."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 3, dtype=torch.float64)

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        new: Tensor = torch.tanh(self.linear(torch.cat((inputs, state), dim=-1)))
        return new.sin() if bool(inputs.sum() > 0) else new


class Counting(Branching):
    """A cell that does something else with a batch of two or six: two steps of one or three."""

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        new: Tensor = torch.tanh(self.linear(torch.cat((inputs, state), dim=-1)))
        return new.sin() if len(inputs) in (2, 6) else new


class FixedBatch(Branching):
    """A cell that takes three sequences, no more and no fewer."""

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        offset = torch.arange(BATCH, dtype=torch.float64)[:, None] / 10
        return torch.tanh(self.linear(torch.cat((inputs, state), dim=-1)) + offset)


class Complex(nn.Module):
    """A cell with a complex parameter, its state being real and imaginary parts."""

    def __init__(self) -> None:
        super().__init__()
        self.rotation = nn.Parameter(torch.tensor([0.6 + 0.7j, -0.3 + 0.9j]).to(torch.complex128))

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        value = torch.view_as_complex(state.unflatten(-1, (2, 2)))
        new = torch.view_as_real(value * self.rotation + inputs).flatten(-2)
        return torch.tanh(new)


def test_a_complex_parameter_counts_by_its_real_and_imaginary_part() -> None:
    module, inputs = Complex(), draw_inputs()
    trajectory = models.trace(models.adapt(module, state_size=4), inputs)
    table = by_parameter(trajectory, [7], generator=new_generator())
    parts = torch.view_as_real(module.rotation.detach()).clone().requires_grad_()
    for b in range(BATCH):
        state = torch.zeros(1, 4, dtype=torch.float64)
        for now in inputs[:, b : b + 1]:
            rotation = {"rotation": torch.view_as_complex(parts)}
            state = torch.func.functional_call(module, rotation, (now, state))
        expected = rows_of_jacobian(state[0], {"rotation": parts})["rotation"].norm().log()
        assert value_of(table, sequence=b) == pytest.approx(expected.item(), abs=1e-13)


class OneGradientAtATime(torch.autograd.Function):
    """tanh, in a form that torch.vmap refuses."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        ctx.save_for_backward(value.tanh())  # type: ignore[attr-defined]
        return value.tanh()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors  # type: ignore[attr-defined]
        slope: Tensor = 1 - result**2
        return gradients[0] * slope if bool(gradients[0].any()) else gradients[0]


class Custom(Branching):
    """A cell with an autograd function of its own."""

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        argument = self.linear(torch.cat((inputs, state), dim=-1))
        result: Tensor = OneGradientAtATime.apply(argument)  # type: ignore[no-untyped-call]
        return result


@pytest.mark.parametrize("kind", [Branching, Counting, FixedBatch, Custom])
def test_a_module_of_ones_own_is_measured_too(
    kind: type[Branching], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind is Counting:  # two steps of three sequences in a chunk make six
        place = importlib.import_module("gradprobe.probes.backward_sweep")
        monkeypatch.setattr(place, "CHUNK_ELEMENTS", 2 * BATCH * 3 * 8)
    torch.manual_seed(0)
    module, inputs = kind(), draw_inputs()
    trajectory = models.trace(models.adapt(module, state_size=3), inputs)
    to_parameters = by_parameter(trajectory, [7], generator=new_generator())
    to_inputs = by_input(trajectory, [7], generator=new_generator())
    here = inputs.clone().requires_grad_()
    state = torch.zeros(BATCH, 3, dtype=torch.float64)
    for now in here:
        state = module(now, state)
    for b in range(BATCH):
        expected = rows_of_jacobian(state[b], {**dict(module.named_parameters()), "inputs": here})
        for name in ("linear.weight", "linear.bias"):
            mine = to_parameters[to_parameters["block"].str.endswith(name)]
            norm = expected[name].norm().log().item()
            assert value_of(mine, sequence=b) == pytest.approx(norm, abs=1e-13)
        for t in range(1, 8):
            norm = expected["inputs"][:, t - 1].norm().log().item()
            assert value_of(to_inputs, sequence=b, step=t) == pytest.approx(norm, abs=1e-13)


class Embedded(nn.Module):
    """A cell that takes class indices."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        return torch.tanh(self.embedding(inputs) + state.roll(1, -1))


def test_integers_have_no_derivative_but_their_embedding_has() -> None:
    indices = torch.tensor([[0, 1], [2, 1], [2, 4]])
    trajectory = models.trace(models.adapt(Embedded(), state_size=3), indices)
    with pytest.raises(UnsupportedModelError, match=r"but these are torch\.int64; probe the part"):
        by_input(trajectory, [3], generator=new_generator())
    table = by_parameter(trajectory, [1], generator=new_generator())
    # At T = 1 only row x_1 of the embedding counts, by ∂tanh(e)/∂e.
    weight = next(p for _, p in trajectory.model.named_parameters())
    for sequence in (0, 1):
        slopes = 1 - weight[indices[0, sequence]].tanh().square()
        assert value_of(table, sequence=sequence) == pytest.approx(slopes.norm().log().item())


def test_the_model_is_left_as_it_was() -> None:
    model = build("orthogonal-tanh")
    trajectory = models.trace(model, draw_inputs())
    before = {name: value.clone() for name, value in trajectory.model.named_parameters()}
    by_parameter(trajectory, [7], generator=new_generator())
    for name, parameter in trajectory.model.named_parameters():
        assert torch.equal(before[name], parameter)
        assert not parameter.requires_grad
    assert isinstance(trajectory.model, RecurrentModel)
