"""Functions and objects that use modules, what they share, and integers in a state."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from opaque_cells import BATCH, FEATURES, LENGTH, UNITS, Plain, draw_inputs, end_to_end
from torch import Tensor, nn
from torch.nn.functional import linear

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError
from gradprobe.models.working_copy import tensors_of
from gradprobe.probes.dense_reference import end_to_end_jacobian

# ---- functions and objects that use modules, and what they share


class HasAModule:
    """No module itself."""

    def __init__(self) -> None:
        self.cell, self.scale = Plain(), torch.full((UNITS,), 0.5)

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        new: Tensor = self.cell(x, h)
        return self.scale * new

    __call__ = step


GLOBAL_CELL = Plain()


def uses_a_global(x: Tensor, h: Tensor) -> Tensor:
    return torch.stack([GLOBAL_CELL(x, h) for _ in range(2)]).mean(0)


def closure(cells: list[Plain], scale: Tensor) -> Callable[..., Tensor]:
    def step(x: Tensor, h: Tensor, *, sign: float = 1.0) -> Tensor:
        new: Tensor = cells[1](x, cells[0](x, h))
        return sign * scale * new

    return step


def scaled(cell: nn.Module, x: Tensor, h: Tensor, *, scale: Tensor) -> Tensor:
    result: Tensor = scale * cell(x, h)
    return result


USES: dict[str, Callable[[], tuple[Callable[..., Any], int]]] = {
    "method": lambda: (HasAModule().step, 2),
    "callable-object": lambda: (HasAModule(), 2),
    "global": lambda: (uses_a_global, 2),
    "closure": lambda: (closure([Plain(), Plain()], torch.tensor(0.5)), 4),
    "partial-of-a-module": lambda: (functools.partial(Plain()), 2),
    "partial": lambda: (functools.partial(scaled, Plain(), scale=torch.tensor(0.5)), 2),
    "partial-of-a-closure": lambda: (
        functools.partial(closure([Plain(), Plain()], torch.tensor(0.5)), sign=-1.0),
        4,
    ),
}


@pytest.mark.parametrize("case", USES)
def test_a_function_has_the_parameters_that_it_uses_and_runs_on_copies(case: str) -> None:
    function, number = USES[case]()
    model = models.adapt(function, state_size=UNITS)
    assert len(list(model.parameters())) == number
    state = torch.full((BATCH, UNITS), 0.1, dtype=torch.float64)
    path = models.trace(model, draw_inputs(), state)
    assert path.model.dtype == torch.float64
    assert not {id(p) for p in model.parameters()} & {
        id(p) for _, p in path.model.named_parameters()
    }
    reference = end_to_end_jacobian(path.model, draw_inputs(), state)
    torch.testing.assert_close(end_to_end(path), reference, rtol=1e-12, atol=1e-15)
    expected = state.float()
    with torch.no_grad():
        for now in draw_inputs():
            expected = function(now, expected)
    torch.testing.assert_close(list(path.states())[-1].float(), expected)
    gp.testing.check_cell(function, draw_inputs(), state)


W = torch.zeros(7)  # another than the attribute of the same name


def reads_an_attribute(x: Tensor, h: Tensor) -> Tensor:
    return torch.tanh(linear(h, GLOBAL_CELL.W))


def test_only_variables_that_a_function_reads_are_taken() -> None:
    model = models.adapt(reads_an_attribute, state_size=UNITS)
    tensors = {id(tensor) for tensor in tensors_of(model)}
    assert id(GLOBAL_CELL.W) in tensors
    assert id(W) not in tensors


def test_what_a_function_uses_is_shared_and_left_as_it_is() -> None:
    cell, calls = Plain(), []
    cell.register_forward_hook(lambda *_: calls.append(1))
    model = models.adapt(lambda x, h: 0.5 * cell(x, h), state_size=UNITS)
    assert {id(p) for p in model.parameters()} == {id(p) for p in cell.parameters()}
    before = list(models.trace(model, draw_inputs()).states())[-1]
    assert calls == []
    with torch.no_grad():
        cell.W.mul_(2)
    assert not torch.equal(list(models.trace(model, draw_inputs()).states())[-1], before)
    model(draw_inputs())[0].sum().backward()
    assert cell.W.grad is not None
    assert len(calls) == LENGTH


def test_the_state_is_inferred_on_a_copy() -> None:
    class Counts(Plain):
        input_size, hidden_size = FEATURES, UNITS

        def __init__(self) -> None:
            super().__init__()
            self.mean = nn.BatchNorm1d(UNITS).eval()
            self.register_buffer("calls", torch.zeros((), dtype=torch.long))

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            self.calls += 1  # type: ignore[assignment,operator]
            result: Tensor = self.mean(super().forward(x, h))
            return result

    cell = Counts()
    cell.register_forward_hook(lambda *_: pytest.fail("the caller's own module was called"))
    assert models.adapt(cell).state_size == UNITS
    gp.probe(cell, draw_inputs(), ["gradient_norm"])
    assert cell.get_buffer("calls") == 0


def test_a_model_follows_its_module_to_another_dtype_and_device() -> None:
    cell = Plain()
    model = models.adapt(cell, state_size=UNITS)
    cell.double()
    assert model(draw_inputs().double())[0].dtype == model.dtype == torch.float64
    assert models.trace(model, draw_inputs(), dtype=None).model.dtype == torch.float64
    cell.to("meta")
    assert model.device == torch.device("meta")


# ---- integers in the state


class Clocked(nn.Module):
    """Every second step only; the clock is an integer of its own for each sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = Plain()

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, clock = state
        assert clock.dtype == torch.int64
        ticks = torch.tensor([False, True])[clock % 2]
        return torch.where(ticks, self.cell(x, h), 0.5 * h), clock + 1


def test_a_counter_in_the_state_is_carried_along_and_adds_no_singular_value() -> None:
    cell = Clocked()
    state = (torch.full((BATCH, UNITS), 0.1), torch.arange(BATCH)[:, None])
    path = models.trace(models.adapt(cell, state_size=state), draw_inputs(), state)
    assert path.model.jacobian_method == "autograd_chunked"
    matrix = end_to_end(path)
    assert matrix[:, UNITS].abs().max() == matrix[:, :, UNITS].abs().max() == 0
    assert list(path.states())[-1][:, UNITS].tolist() == [LENGTH + b for b in range(BATCH)]

    def run(h: Tensor) -> Tensor:
        current = h, state[1]
        for now in draw_inputs().double():
            current = cell(now, current)
        return current[0].sum(0)

    cell.double()
    reference = torch.autograd.functional.jacobian(run, state[0].double()).transpose(0, 1)
    torch.testing.assert_close(matrix[:, :UNITS, :UNITS], reference, rtol=1e-7, atol=1e-9)
    table = gp.probe(cell, draw_inputs(), ["singular_values"], state=state)
    values = table.query("block == 'state' and quantity == 'log_sigma'")
    assert values.groupby("sequence")["value"].apply(lambda v: (v == -math.inf).sum()).eq(1).all()
    assert values["resolved"].all()


def test_a_state_of_integers_alone_is_refused() -> None:
    with pytest.raises(
        ArgumentError, match=r"must hold a floating-point tensor, .* int64 \(3, 1\)"
    ):
        gp.probe(lambda x, n: n + 1, draw_inputs(), state=torch.zeros(BATCH, 1, dtype=torch.long))
    model = models.adapt(Clocked(), state_size=(UNITS, torch.Size((1,))))
    with pytest.raises(
        ArgumentError, match=r"must be \(\(B, 4\), \(B, 1\)\), got .*int64 \(3, 1\)"
    ):
        models.trace(
            model, draw_inputs(), (torch.zeros(BATCH, UNITS), torch.zeros(BATCH, 1).long())
        )
