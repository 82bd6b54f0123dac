"""Step Jacobians against autograd, and the identities that they obey."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import BATCH, CASES, LENGTH, build, draw_inputs, draw_state, loop
from torch import Tensor

from gradprobe import models
from gradprobe.errors import ArgumentError, NonFiniteError
from gradprobe.models import RecurrentModel, Trajectory, trajectory
from gradprobe.models.step_jacobian import StepJacobian


def traced(case: str, seed: int = 0) -> tuple[RecurrentModel, Tensor, Tensor, Trajectory]:
    model, inputs = build(case, seed=seed), draw_inputs(seed + 1)
    state = draw_state(model, seed + 2)
    return model, inputs, state, models.trace(model, inputs, state)


def autograd_jacobian(model: RecurrentModel, inputs: Tensor, state: Tensor) -> Tensor:
    """Return ∂s_1/∂s_0, shape (B, S, S), by reverse-mode automatic differentiation."""
    jacobian = torch.autograd.functional.jacobian(lambda s: model.step(inputs, s), state)
    return torch.einsum("bibj->bij", jacobian)


@pytest.mark.parametrize("case", CASES)
def test_the_step_jacobians_are_autograds(case: str) -> None:
    model, inputs, state, path = traced(case)
    states = loop(model, inputs, state)
    for t, jacobian in enumerate(path.step_jacobians(), start=1):
        expected = autograd_jacobian(model, inputs[t - 1], states[t - 1])
        torch.testing.assert_close(jacobian.dense(), expected, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(jacobian.T.dense(), expected.mT, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(path.step_jacobian(t).dense(), expected, rtol=1e-12, atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(case=st.sampled_from(sorted(CASES)), seed=st.integers(0, 10_000))
def test_the_transposed_jacobian_is_the_adjoint(case: str, seed: int) -> None:
    model, _, _, path = traced(case, seed)
    generator = torch.Generator().manual_seed(seed)
    shape = (2, BATCH, model.state_size, 5)
    v, w = torch.randn(shape, generator=generator, dtype=torch.float64)
    for jacobian in path.step_jacobians():
        forwards = torch.einsum("bsk,bsk->bk", jacobian @ v, w)
        backwards = torch.einsum("bsk,bsk->bk", v, jacobian.T @ w)
        torch.testing.assert_close(forwards, backwards, rtol=1e-11, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(case=st.sampled_from(sorted(CASES)), seed=st.integers(0, 10_000))
def test_the_end_to_end_jacobian_is_the_product_of_the_steps(case: str, seed: int) -> None:
    model, inputs, state, path = traced(case, seed)
    product = torch.eye(model.state_size, dtype=torch.float64).expand(BATCH, -1, -1)
    for jacobian in path.step_jacobians():
        product = jacobian @ product
    end_to_end = torch.autograd.functional.jacobian(lambda s: loop(model, inputs, s)[-1], state)
    expected = torch.einsum("bibj->bij", end_to_end)
    torch.testing.assert_close(product, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kept", [0, 10**6])
@pytest.mark.parametrize("case", ["lstm-stacked", "vanilla"])
def test_chunks_do_not_change_the_jacobians(
    case: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, state, path = traced(case)
    whole = [jacobian.dense() for jacobian in path.step_jacobians()]
    for name in ("LONGEST_CHUNK", "LONGEST_CHUNK_OF_KEPT_PATH"):
        monkeypatch.setattr(trajectory, name, 3)
    monkeypatch.setattr(trajectory, "KEPT_ENTRIES", kept)
    path = models.trace(model, inputs, state)
    assert (path.path is None) == (kept == 0)
    torch.testing.assert_close(
        torch.stack(list(path.states())), loop(model, inputs, state), rtol=0, atol=1e-14
    )
    for t, reference in enumerate(whole, start=1):
        torch.testing.assert_close(path.step_jacobian(t).dense(), reference, rtol=1e-14, atol=1e-15)
    parts = [jacobian.dense() for jacobian in path.step_jacobians()]
    backwards = [jacobian.dense() for jacobian in path.step_jacobians_reversed()]
    assert len(whole) == len(parts) == LENGTH
    for a, b, c in zip(whole, parts, reversed(backwards), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-14, atol=1e-15)
        torch.testing.assert_close(c, a, rtol=1e-14, atol=1e-15)
    assert len(list(path.step_jacobians_reversed(4))) == 4


def test_tracing_leaves_the_model_as_it_was() -> None:
    model = models.build("orthogonal", input_size=2, hidden_size=4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    path = models.trace(model, draw_inputs())
    assert next(path.states()).dtype == torch.float64
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())
    assert next(models.trace(model, draw_inputs(), dtype=None).states()).dtype == torch.float32


def test_what_is_not_finite_is_named() -> None:
    model, inputs = build("gru"), draw_inputs()
    inputs[3, 1, 0] = torch.nan
    with pytest.raises(NonFiniteError, match=r"inputs must be finite, .* at index \(3, 1, 0\)"):
        models.trace(model, inputs)
    with torch.no_grad():
        next(model.parameters())[0, 0] = torch.inf
    with pytest.raises(
        NonFiniteError, match=r"parameter layers\.0\.recurrent_weight of model 'gru'"
    ):
        models.trace(model, draw_inputs())


def test_a_state_that_overflows_is_named_with_its_step() -> None:
    model = models.build("vanilla", input_size=2, hidden_size=4, nonlinearity="relu").double()
    with torch.no_grad():
        model.cells[0].recurrent_matrix().fill_(1e100)
    with pytest.raises(
        NonFiniteError,
        match=r"at step t = 5 that of layer 0 \(Vanilla\) of model 'vanilla', sequence 0, is inf",
    ):
        models.trace(model, draw_inputs())


@pytest.mark.parametrize("t", [0, LENGTH + 1])
def test_a_step_outside_the_trajectory_is_refused(t: int) -> None:
    with pytest.raises(ArgumentError, match=f"t must lie between 1 and 7, got {t}"):
        traced("vanilla")[3].step_jacobian(t)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    "name", ["vanilla", "antisymmetric", "lstm", "gru", "cornn", "lem", "urnn"]
)
def test_room_for_the_product_changes_none_of_its_values(name: str, transposed: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    for layers, batch in ((1, 1), (1, 3), (2, 3)):
        model = models.build(name, input_size=2, hidden_size=6, num_layers=layers)
        inputs = torch.randn(4, batch, 2, generator=generator)
        jacobian = models.trace(model, inputs).step_jacobian(4)
        jacobian = jacobian.T if transposed else jacobian
        assert isinstance(jacobian, StepJacobian)
        size = jacobian.shape[-1]
        for columns in (2, size + 1):
            matrix = torch.randn(batch, size, columns, generator=generator, dtype=torch.float64)
            expected = jacobian @ matrix
            room = torch.full_like(matrix, torch.nan)
            product = jacobian.multiply(matrix, room)
            torch.testing.assert_close(product, expected, rtol=1e-13, atol=1e-14)
