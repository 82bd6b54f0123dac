"""The unrolled pass against a loop of plain autograd operations, and gradcheck."""

from __future__ import annotations

import pytest
import torch
from model_cases import BATCH, CASES, LENGTH, UNITS, build, draw_inputs, draw_state, loop
from torch import Tensor

from gradprobe.errors import UnsupportedModelError
from gradprobe.models import unrolled
from gradprobe.models.explicit import sweep


@pytest.fixture(params=[1, 3, 100])
def steps_per_chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    steps: int = request.param
    monkeypatch.setattr(unrolled, "steps_per_chunk", lambda cell, batch: steps)
    monkeypatch.setattr(sweep, "CHUNK_ELEMENTS", steps * BATCH * UNITS)
    return steps


def draw_weights(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("case", CASES)
def test_the_states_are_those_of_the_loop(case: str) -> None:
    model, inputs = build(case), draw_inputs()
    state = draw_state(model)
    hidden, final = model(inputs, state)
    states = loop(model, inputs, state)
    torch.testing.assert_close(final, states[-1], rtol=0, atol=1e-14)
    torch.testing.assert_close(hidden, states[1:, :, model.hidden_slice], rtol=0, atol=1e-14)
    torch.testing.assert_close(model.unroll(inputs, state), states[1:], rtol=0, atol=1e-14)


@pytest.mark.usefixtures("steps_per_chunk")
@pytest.mark.parametrize("case", CASES)
def test_the_gradients_are_those_of_the_loop(case: str) -> None:
    model = build(case)
    inputs, state = draw_inputs().requires_grad_(), draw_state(model).requires_grad_()
    leaves = [inputs, state, *model.parameters()]
    weights = draw_weights(LENGTH, BATCH, model.output_size)

    hidden, final = model(inputs, state)
    loss = (weights * hidden).sum() + final.square().sum()
    ours = torch.autograd.grad(loss, leaves, materialize_grads=True)
    states = loop(model, inputs, state)
    loss = (weights * states[1:, :, model.hidden_slice]).sum() + states[-1].square().sum()
    theirs = torch.autograd.grad(loss, leaves, materialize_grads=True)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("read", ["last-hidden", "final", "some-hidden", "all-states", "one-step"])
@pytest.mark.parametrize("case", CASES)
def test_the_gradients_of_what_is_read_of_the_states(case: str, read: str) -> None:
    """From the model's own initial state, with inputs that ask for no gradient."""
    model, inputs = build(case), draw_inputs(length=1 if read == "one-step" else LENGTH)
    hidden, final = model(inputs)
    start = model.initial_state(BATCH)
    states = loop(model, inputs, start)[1:]
    block = model.hidden_slice
    ours, theirs = {
        "last-hidden": (hidden[-1], states[-1, :, block]),
        "final": (final, states[-1]),
        "some-hidden": (hidden[2:5], states[2:5, :, block]),
        "all-states": (model.unroll(inputs, start), states),
        "one-step": (hidden, states[:, :, block]),
    }[read]
    weights, leaves = draw_weights(*theirs.shape), list(model.parameters())
    by_us, by_autograd = (
        torch.autograd.grad((weights * result).sum(), leaves, materialize_grads=True)
        for result in (ours, theirs)
    )
    for mine, reference in zip(by_us, by_autograd, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_gradcheck(case: str) -> None:
    model = build(case, hidden_size=3)
    inputs = draw_inputs(length=3).requires_grad_()
    state = draw_state(model).requires_grad_()
    parameters = dict(model.named_parameters())

    def run(*leaves: Tensor) -> Tensor:
        named = dict(zip(parameters, leaves[2:], strict=True))
        result: Tensor = torch.func.functional_call(model, named, leaves[:2])[0]
        return result

    assert torch.autograd.gradcheck(run, (inputs, state, *parameters.values()))


@pytest.mark.parametrize("case", ["vanilla", "cfn-without-a-rule"])
def test_second_derivatives_are_refused_with_the_way_out(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case == "cfn-without-a-rule":
        monkeypatch.setattr(unrolled, "rule_of", lambda cell: None)
    model = build(case.partition("-")[0])
    hidden, _ = model(draw_inputs())
    with pytest.raises(UnsupportedModelError, match=r"loop over model\.step"):
        torch.autograd.grad(hidden.sum(), list(model.parameters()), create_graph=True)
