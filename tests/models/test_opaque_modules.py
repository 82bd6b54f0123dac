"""Modules and functions of a caller's own: that they stay as they are, and which are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from opaque_cells import BATCH, FEATURES, UNITS, Plain, draw_inputs
from torch import Tensor, nn

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError, UnsupportedModelError


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


def test_a_bound_method_shares_the_parameters_of_its_module() -> None:
    cell = Plain()
    model = models.adapt(cell.tanh, state_size=UNITS)
    assert {id(p) for p in model.parameters()} == {id(p) for p in cell.parameters()}
    assert next(models.trace(model, draw_inputs()).states()).dtype == torch.float64


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
