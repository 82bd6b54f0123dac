"""Jacobians of modules and functions of a caller's own, and how tables name them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from opaque_cells import (
    BATCH,
    CELLS,
    FEATURES,
    UNITS,
    CustomFunction,
    FollowsTheBatch,
    HardCodedFloat32,
    NestedState,
    Plain,
    draw_inputs,
    end_to_end,
)
from torch import Tensor, nn

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import NonFiniteError, UnsupportedModelError
from gradprobe.models.opaque import opaque_model
from gradprobe.probes.dense_reference import end_to_end_jacobian


@pytest.mark.parametrize("case", CELLS)
def test_the_end_to_end_jacobian_is_autograds(case: str) -> None:
    kind, state_size, method = CELLS[case]
    model, inputs = models.adapt(kind(), state_size=state_size), draw_inputs()
    state = torch.randn(BATCH, model.state_size, generator=torch.Generator(), dtype=torch.float64)
    path = models.trace(model, inputs, state)
    product = end_to_end(path)
    assert path.model.jacobian_method == method
    reference = end_to_end_jacobian(path.model, inputs, state)
    torch.testing.assert_close(product, reference, rtol=1e-12, atol=1e-14)


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


def test_a_derivative_that_is_not_finite_is_named_with_its_step_and_cell() -> None:
    def root(x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return state[0] * 0.5, torch.sqrt(state[1] - 1)

    state = (torch.ones(1, 2), torch.full((1, 2), 2.0))  # 2 → 1 → 0
    path = models.trace(models.adapt(root, state_size=(2, 2)), torch.zeros(2, 1, 1), state)
    with pytest.raises(
        NonFiniteError, match=r"at step t = 2 the derivative by tensor 1 of the state of '.*root'"
    ):
        list(path.step_jacobians())
