"""Modules and functions of a caller's own: what they compute, and that they stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError, NonFiniteError, UnsupportedModelError
from gradprobe.models.opaque import opaque_model
from gradprobe.models.opaque.structure import StateStructure
from gradprobe.probes.dense_reference import end_to_end_jacobian

LENGTH, BATCH, FEATURES, UNITS = 6, 3, 2, 4


class Pair(NamedTuple):
    h: Any
    c: Any


class Base(nn.Module):
    """Weights for the cells below."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.W = nn.Parameter(torch.randn(UNITS, UNITS, generator=generator) / 2)
        self.U = nn.Parameter(torch.randn(UNITS, FEATURES, generator=generator))

    def tanh(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(linear(x, self.U) + linear(h, self.W))


class Plain(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.tanh(x, h)


class WithOutput(Base):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        new = self.tanh(x, h)
        return new.sum(-1), new


class NestedState(Base):
    def forward(self, x: Tensor, state: Any) -> Any:
        h, (slow, extra) = state
        new = self.tanh(x, h + extra["a"].sum(-1))
        return new, (0.9 * slow + 0.1 * new, {"a": 0.5 * extra["a"] + slow[..., None]})


class NamedState(Base):
    def forward(self, x: Tensor, state: Pair) -> Pair:
        c = 0.9 * state.c + 0.1 * self.tanh(x, state.h)
        return Pair(torch.sin(c), c)


class MutatesItsState(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        h.mul_(0.5)
        h += self.tanh(x, h)
        return h


class FollowsTheBatch(Base):
    """Control flow that depends on the data of the whole batch."""

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.tanh(x, h) if x.sum() > 0 else 0.5 * h + linear(x, self.U)


class HardCodedFloat32(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.tanh(x.float(), h.float())


class Embedding(Base):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, FEATURES)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.tanh(self.embedding(x), h)


class Cube(torch.autograd.Function):
    """Written for the reverse mode only, and not to be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3 / 3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x: Tensor = ctx.saved_tensors[0]
        return gradient * x**2


class CustomFunction(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        result: Tensor = Cube.apply(self.tanh(x, h))  # type: ignore[no-untyped-call]
        return result


class NumpySine(torch.autograd.Function):
    """Leaves torch on its way forward and back, so that no pass can be vectorised."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.from_numpy(np.sin(x.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.from_numpy(gradient.numpy() * np.cos(ctx.saved_tensors[0].numpy()))


class ByNumpy(Base):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        result: Tensor = NumpySine.apply(self.tanh(x, h))  # type: ignore[no-untyped-call]
        return result


class ComplexState(Base):
    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        angles = torch.arange(UNITS, dtype=x.dtype)
        turn = torch.polar(torch.full_like(angles, 0.9), angles)
        return z * turn + torch.complex(linear(x, self.U), self.tanh(x, z.real))


class WeightNormalised(Base):
    """Its weight is the result of a computation, which a deep copy refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.normalised = self.W / self.W.norm()

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(linear(x, self.U) + linear(h, self.normalised))


CELLS: dict[str, tuple[type[Base], Any, str]] = {
    "plain": (Plain, UNITS, "autograd_chunked"),
    "with-output": (WithOutput, UNITS, "autograd_chunked"),
    "nested-state": (
        NestedState,
        (UNITS, (UNITS, {"a": torch.Size((UNITS, 2))})),
        "autograd_chunked",
    ),
    "named-state": (NamedState, Pair(UNITS, UNITS), "autograd_chunked"),
    "mutates-its-state": (MutatesItsState, UNITS, "autograd_chunked"),
    "follows-the-batch": (FollowsTheBatch, UNITS, "autograd_by_step"),
    "custom-function": (CustomFunction, UNITS, "autograd_chunked"),
    "by-numpy": (ByNumpy, UNITS, "autograd_chunked_by_row"),
    "complex-state": (
        ComplexState,
        torch.zeros(1, UNITS, dtype=torch.complex64),
        "autograd_chunked",
    ),
    "weight-normalised": (WeightNormalised, UNITS, "autograd_chunked"),
}


def draw_inputs(*shape: int) -> Tensor:
    return torch.randn(*(shape or (LENGTH, BATCH, FEATURES)), generator=torch.Generator())


@pytest.mark.parametrize("case", CELLS)
def test_the_end_to_end_jacobian_is_autograds(case: str) -> None:
    kind, state_size, method = CELLS[case]
    model, inputs = models.adapt(kind(), state_size=state_size), draw_inputs()
    state = torch.randn(BATCH, model.state_size, generator=torch.Generator(), dtype=torch.float64)
    path = models.trace(model, inputs, state)
    product = torch.eye(model.state_size, dtype=torch.float64).expand(BATCH, -1, -1)
    for jacobian in path.step_jacobians():
        product = jacobian @ product
    assert path.model.jacobian_method == method
    reference = end_to_end_jacobian(path.model, inputs, state)
    torch.testing.assert_close(product, reference, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", CELLS)
def test_the_state_is_kept_in_the_structure_of_the_cell(case: str) -> None:
    kind, state_size, _ = CELLS[case]
    cell, inputs = kind(), draw_inputs()
    structure = StateStructure.of(state_size)
    state = structure.unflatten(torch.rand(BATCH, structure.size, generator=torch.Generator()))
    model = models.adapt(cell, state_size=state)
    final = model(inputs, copy.deepcopy(state))[1]
    with torch.no_grad():
        for now in inputs:
            state = cell(now, state)
            state = state[1] if case == "with-output" else state
    torch.testing.assert_close(final, structure.flatten(state))


def test_a_module_stays_as_it_is() -> None:
    cell = Plain().train()
    calls: list[int] = []
    cell.register_forward_hook(lambda *_: calls.append(1))
    cell.W.grad = torch.ones_like(cell.W)
    cell.U.requires_grad_(False)
    before = copy.deepcopy(cell.state_dict())
    random_state = torch.get_rng_state()
    with torch.inference_mode():
        gp.probe(cell, draw_inputs(), state=torch.zeros(BATCH, UNITS))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(before[name], value) for name, value in cell.state_dict().items())
    assert (cell.training, cell.W.requires_grad, cell.U.requires_grad) == (True, True, False)
    assert (cell.W.grad is None, cell.W.dtype) == (False, torch.float32)
    assert calls == []


def test_the_parameters_are_shared_and_can_be_trained() -> None:
    cell = Plain()
    model = models.adapt(cell, state_size=UNITS)
    assert {id(p) for p in model.parameters()} == {id(p) for p in cell.parameters()}
    assert [name for name, _ in model.named_parameters()] == ["W", "U"]
    inputs = draw_inputs().requires_grad_()
    model(inputs)[0].sum().backward()
    ours = [cell.W.grad, cell.U.grad, inputs.grad]
    state = torch.zeros(BATCH, UNITS)
    hidden = []
    for now in inputs:
        state = cell(now, state)
        hidden.append(state)
    theirs = torch.autograd.grad(torch.stack(hidden).sum(), [cell.W, cell.U, inputs])
    torch.testing.assert_close(ours, list(theirs))


def test_the_table_names_the_method_and_the_dtype() -> None:
    inputs, state = draw_inputs(), torch.zeros(BATCH, UNITS)
    for kind, method, dtype in (
        (Plain, "autograd_chunked", "float64"),
        (FollowsTheBatch, "autograd_by_step", "float64"),
        (HardCodedFloat32, "autograd_chunked", "float32"),
    ):
        table = gp.probe(kind(), inputs, ["gradient_norm"], state=state)
        assert set(table["method"]) == {method}
        assert set(table["dtype"]) == {dtype}
    table = gp.probe(nn.GRUCell(FEATURES, UNITS), inputs, ["gradient_norm"], dtype=torch.float32)
    assert set(table["method"]) == {"pointwise"}
    assert set(table["dtype"]) == {"float32"}


def test_integer_inputs_reach_the_cell_as_they_are() -> None:
    cell = Embedding()
    inputs = torch.randint(7, (LENGTH, BATCH), generator=torch.Generator())
    table = gp.probe(cell, inputs, ["singular_values"], state=torch.zeros(BATCH, UNITS))
    embedded = cell.embedding.weight.detach()[inputs]
    same = gp.probe(Plain(), embedded, ["singular_values"], state=torch.zeros(BATCH, UNITS))
    assert (table["value"] - same["value"]).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("cell", "hidden"),
    [(nn.GRU(FEATURES, UNITS), 0), (nn.LSTM(FEATURES, UNITS, num_layers=2), 2)],
)
def test_automatic_differentiation_agrees_with_the_pointwise_path(
    cell: nn.GRU | nn.LSTM, hidden: int
) -> None:
    def step(module: nn.LSTM, x: Tensor, state: list[tuple[Tensor, ...]]) -> list[Any]:
        parts = [torch.stack(part) for part in zip(*state, strict=True)]
        _, new = module(x[None], tuple(parts) if len(parts) > 1 else parts[0])
        new = new if isinstance(new, tuple) else (new,)
        return [tuple(part[layer] for part in new) for layer in range(module.num_layers)]

    components = 2 if isinstance(cell, nn.LSTM) else 1
    sizes = [(UNITS,) * components] * cell.num_layers
    opaque = models.adapt(cell, step=step, state_size=sizes, hidden=hidden)
    ours = gp.probe(cell, draw_inputs(), ["singular_values", "gradient_norm"])
    theirs = gp.probe(opaque, draw_inputs(), ["singular_values", "gradient_norm"])
    assert (ours["value"] - theirs["value"]).abs().max() < 1e-9


def test_a_wide_state_is_never_formed_as_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = models.adapt(NestedState(), state_size=CELLS["nested-state"][1]), draw_inputs()
    matrices = [jacobian.dense() for jacobian in models.trace(model, inputs).step_jacobians()]
    monkeypatch.setattr(opaque_model, "LARGEST_MATRIX", 10)
    columns = torch.randn(2, BATCH, model.state_size, 3, generator=torch.Generator()).double()
    path = models.trace(model, inputs)
    for jacobian, matrix in zip(path.step_jacobians(), matrices, strict=True):
        torch.testing.assert_close(jacobian @ columns, matrix @ columns, rtol=1e-13, atol=1e-14)
        back = jacobian.T @ columns
        torch.testing.assert_close(back, matrix.mT @ columns, rtol=1e-13, atol=1e-14)
    path = models.trace(models.adapt(CustomFunction(), state_size=UNITS), inputs)
    with pytest.raises(
        UnsupportedModelError, match="needs the forward-mode derivative of its step"
    ):
        path.step_jacobian(1) @ columns[0, :, :UNITS]


def test_a_function_without_parameters_is_a_map() -> None:
    def henon(_: Tensor, state: Tensor) -> Tensor:
        x, y = state.unbind(-1)
        return torch.stack((1 - 1.4 * x**2 + y, 0.3 * x), dim=-1)

    path = models.trace(models.adapt(henon, state_size=2), torch.zeros(5, 1, 0), torch.rand(1, 2))
    for (x, _), jacobian in zip(
        (state[0].tolist() for state in path.states()), path.step_jacobians(), strict=False
    ):
        expected = torch.tensor([[[-2.8 * x, 1.0], [0.3, 0.0]]], dtype=torch.float64)
        torch.testing.assert_close(jacobian.dense(), expected, rtol=1e-15, atol=0)


def detached(x: Tensor, h: Tensor) -> Tensor:
    return (h + x).detach()


def random(x: Tensor, h: Tensor) -> Tensor:
    return h + torch.rand_like(h)


def normalised_over_the_batch(x: Tensor, h: Tensor) -> Tensor:
    return h - h.mean(0)


def of_another_shape(x: Tensor, h: Tensor) -> Tensor:
    return torch.cat((h, h), dim=-1)


def broken(x: Tensor, h: Tensor) -> Tensor:
    return h @ torch.zeros(9, 9, dtype=h.dtype)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (detached, r"does not depend on the old one by differentiable operations"),
        (random, r"draws random numbers \(dropout in training mode: call eval\(\) first\)"),
        (normalised_over_the_batch, "the sequences of a batch act on one another"),
        (of_another_shape, r"must return the new state, \(B, 2\), .* got \(3, 4\)"),
        (broken, "a step of 'broken' in torch.float32 failed with RuntimeError: mat1 and mat2"),
    ],
)
def test_what_cannot_be_probed_is_refused_with_the_reason(
    function: Callable[..., Tensor], reason: str
) -> None:
    model = models.adapt(function, state_size=2)
    with pytest.raises(UnsupportedModelError, match=reason):
        models.trace(model, draw_inputs())


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (torch.zeros(BATCH, 5), r"a state must be \(\(B, 4\), \(B, 4\)\), got \(3, 5\)"),
        ((torch.zeros(BATCH, 4),), r"a state must be .*, got \(\(3, 4\)\)"),
        ((torch.zeros(1, 4), torch.zeros(1, 4)), r"must hold the 3 sequences .*, got \(1, …\)"),
        ([torch.zeros(BATCH, 4)] * 2, r"a state must be .*, got \[\(3, 4\), \(3, 4\)\]"),
    ],
)
def test_a_state_of_the_wrong_structure_is_refused(state: object, reason: str) -> None:
    model = models.adapt(lambda x, s: (s[0] + s[1], s[1]), state_size=(UNITS, UNITS))
    with pytest.raises(ArgumentError, match=reason):
        models.trace(model, draw_inputs(), state)


def test_a_derivative_that_is_not_finite_is_named_with_its_step_and_cell() -> None:
    def root(x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return state[0] * 0.5, torch.sqrt(state[1] - 1)

    state = (torch.ones(1, 2), torch.full((1, 2), 2.0))  # 2 → 1 → 0
    path = models.trace(models.adapt(root, state_size=(2, 2)), torch.zeros(2, 1, 1), state)
    with pytest.raises(
        NonFiniteError, match=r"at step t = 2 the derivative by tensor 1 of the state of '.*root'"
    ):
        list(path.step_jacobians())


def test_the_state_is_inferred_where_the_cell_tells_it() -> None:
    class Optional(Base):
        input_size = FEATURES

        def forward(self, x: Tensor, state: Any = None) -> Any:
            h, c = (x.new_zeros(len(x), UNITS),) * 2 if state is None else state
            return self.tanh(x, h), c + h

    class Sized(Plain):
        input_size, hidden_size = FEATURES, UNITS

    assert models.adapt(Optional()).state_size == 2 * UNITS
    assert models.adapt(Sized()).state_size == UNITS
    model = models.adapt(Sized().double(), example_input=draw_inputs()[0])
    assert model.state_size == UNITS
    with pytest.raises(ArgumentError, match=r"could not be inferred, .* no input_size; say what"):
        models.adapt(Plain())
    with pytest.raises(ArgumentError, match=r"without a state: TypeError: .*missing"):
        gp.probe(Plain(), draw_inputs())


def test_a_whole_network_is_told_which_of_its_parts_is_recurrent() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.LSTM(FEATURES, UNITS)
            self.readout = nn.Linear(UNITS, 3)

        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = self.readout(self.encoder(x)[0][-1])
            return scores

    with pytest.raises(ArgumentError, match=r"probe its recurrent part: encoder \(LSTM\)"):
        gp.probe(Network(), draw_inputs())


def test_a_bound_method_shares_the_parameters_of_its_module() -> None:
    cell = Plain()
    model = models.adapt(cell.tanh, state_size=UNITS)
    assert {id(p) for p in model.parameters()} == {id(p) for p in cell.parameters()}
    assert next(models.trace(model, draw_inputs()).states()).dtype == torch.float64
