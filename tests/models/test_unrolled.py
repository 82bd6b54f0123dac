"""The unrolled pass against a loop of plain autograd operations, and gradcheck."""

from __future__ import annotations

import pytest
import torch
from model_cases import CASES, build, draw_inputs, draw_state, loop

from gradprobe.errors import UnsupportedModelError
from gradprobe.models import unrolled


@pytest.mark.parametrize("case", CASES)
def test_the_states_are_those_of_the_loop(case: str) -> None:
    model, inputs = build(case), draw_inputs()
    state = draw_state(model)
    hidden, final = model(inputs, state)
    states = loop(model, inputs, state)
    torch.testing.assert_close(final, states[-1], rtol=0, atol=1e-14)
    torch.testing.assert_close(hidden, states[1:, :, model.hidden_slice], rtol=0, atol=1e-14)


@pytest.mark.parametrize("steps_per_chunk", [1, 3, 100])
@pytest.mark.parametrize("case", CASES)
def test_the_gradients_are_those_of_the_loop(
    case: str, steps_per_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unrolled, "steps_per_chunk", lambda cell, batch: steps_per_chunk)
    model = build(case)
    inputs, state = draw_inputs().requires_grad_(), draw_state(model).requires_grad_()
    leaves = [inputs, state, *model.parameters()]
    weights = torch.randn(7, 3, model.output_size, dtype=torch.float64)

    hidden, final = model(inputs, state)
    loss = (weights * hidden).sum() + final.square().sum()
    ours = torch.autograd.grad(loss, leaves, materialize_grads=True)
    states = loop(model, inputs, state)
    loss = (weights * states[1:, :, model.hidden_slice]).sum() + states[-1].square().sum()
    theirs = torch.autograd.grad(loss, leaves, materialize_grads=True)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_gradcheck(case: str) -> None:
    model = build(case, hidden_size=3)
    inputs = draw_inputs(length=3).requires_grad_()
    state = draw_state(model).requires_grad_()
    parameters = dict(model.named_parameters())

    def run(*leaves: torch.Tensor) -> torch.Tensor:
        named = dict(zip(parameters, leaves[2:], strict=True))
        result: torch.Tensor = torch.func.functional_call(model, named, leaves[:2])[0]
        return result

    assert torch.autograd.gradcheck(run, (inputs, state, *parameters.values()))


def test_second_derivatives_are_refused_with_the_way_out() -> None:
    model = build("vanilla")
    hidden, _ = model(draw_inputs())
    with pytest.raises(UnsupportedModelError, match=r"loop over model\.step"):
        torch.autograd.grad(hidden.sum(), list(model.parameters()), create_graph=True)
