"""Back-propagation through time as rules write it out: against the generic pass, and in use."""

from __future__ import annotations

import copy
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from model_cases import BATCH, CASES, LENGTH, build, draw_inputs, draw_state, loop
from torch import Tensor

from gradprobe import models
from gradprobe.models import RecurrentModel, unrolled
from gradprobe.models.antisymmetric import Antisymmetric
from gradprobe.models.explicit.rule_of_cell import rule_of

WITH_A_RULE = [
    case
    for case in CASES
    if not case.endswith("-stacked") and rule_of(build(case).cells[0]) is not None
]


def all_gradients(model: RecurrentModel, inputs: Tensor, state: Tensor) -> list[Tensor]:
    """Return the states, and the gradients of a loss that reads them all."""
    leaves = [inputs, state, *model.parameters()]
    states = model.unroll(inputs, state)
    loss = (states * torch.linspace(-1, 2, states.shape[-1], dtype=states.dtype)).square().sum()
    return [states, *torch.autograd.grad(loss, leaves, materialize_grads=True)]


def gradients(hidden: Tensor, model: RecurrentModel, **options: Any) -> list[Tensor]:
    return list(torch.autograd.grad(hidden.square().sum(), list(model.parameters()), **options))


def assert_equal(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for mine, reference in zip(ours, theirs, strict=True):
        assert torch.equal(mine, reference)


def large_model(name: str = "antisymmetric") -> tuple[RecurrentModel, Tensor]:
    """Return a model and inputs whose states are worth keeping the memory of."""
    model = models.build(name, input_size=1, hidden_size=64, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    return model, torch.randn(50, 48, 1, generator=generator, dtype=torch.float64)


def test_the_cells_of_the_papers_tables_have_rules() -> None:
    without = {case for case in CASES if case not in WITH_A_RULE and "stacked" not in case}
    assert without == {"lem"}
    assert all(rule_of(stage) is not None for stage in build("lem").cells[0].stages())


@pytest.mark.parametrize("spread", [1.0, 1e-9, 30.0], ids=["ordinary", "tiny", "saturated"])
@pytest.mark.parametrize("case", WITH_A_RULE)
def test_a_rule_is_pointwise_with_its_derivatives(
    case: str, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(case)
    inputs = (spread * draw_inputs()).requires_grad_()
    state = (min(spread, 1.0) * draw_state(model)).requires_grad_()
    by_rule = all_gradients(model, inputs, state)
    monkeypatch.setattr(unrolled, "rule_of", lambda cell: None)
    for mine, reference in zip(by_rule, all_gradients(model, inputs, state), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-12, atol=1e-12 * min(spread, 1.0))


def relative_error(mine: Tensor, reference: Tensor) -> float:
    difference = torch.linalg.vector_norm(mine.detach().to(reference.dtype) - reference.detach())
    return float(difference / torch.linalg.vector_norm(reference.detach()))


@pytest.mark.parametrize("case", WITH_A_RULE)
def test_single_precision_is_as_close_to_double_as_the_loop_is(case: str) -> None:
    model, inputs = build(case), draw_inputs(length=20)
    single = model.working_copy(torch.float32).requires_grad_()
    start = single.initial_state(BATCH)
    exact = model(inputs)[0]
    ours, of_loop = (
        [states, *gradients(states, single)]
        for states in (
            single(inputs.float())[0],
            loop(single, inputs.float(), start)[1:, :, model.hidden_slice],
        )
    )
    for mine, other, reference in zip(
        ours, of_loop, [exact, *gradients(exact, model)], strict=True
    ):
        assert relative_error(mine, reference) < 3 * relative_error(other, reference) + 1e-6


@pytest.mark.parametrize("case", ["lstm", "antisymmetric-stacked", "minimal-rnn", "urnn"])
def test_only_what_needs_a_gradient_gets_one(case: str) -> None:
    model, inputs = build(case), draw_inputs()
    everything = gradients(model(inputs)[0], model)
    names = [name for name, _ in model.named_parameters()]
    for trained in names:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name == trained).grad = None
        model(inputs)[0].square().sum().backward()
        for name, parameter, expected in zip(names, model.parameters(), everything, strict=True):
            if name == trained:
                torch.testing.assert_close(parameter.grad, expected, rtol=1e-12, atol=1e-14)
            else:
                assert parameter.grad is None


@pytest.mark.parametrize("name", ["antisymmetric", "lstm", "vanilla"])
def test_a_second_forward_pass_disturbs_neither_the_first_nor_its_gradient(name: str) -> None:
    model, inputs = large_model(name)
    hidden, _ = model(inputs)
    kept, expected = hidden.detach().clone(), gradients(model(inputs)[0], model)
    second, _ = model(-2 * inputs)
    of_second = gradients(model(-2 * inputs)[0], model)
    assert torch.equal(hidden, kept)
    assert_equal(gradients(hidden, model), expected)
    assert_equal(gradients(second, model), of_second)
    assert torch.equal(hidden, kept)


def test_a_retained_graph_stays_right_and_a_freed_one_is_refused() -> None:
    model, inputs = large_model()
    expected = gradients(model(inputs)[0], model)
    hidden, _ = model(inputs)
    assert_equal(gradients(hidden, model, retain_graph=True), expected)
    for factor in (2, 3):
        gradients(model(factor * inputs)[0], model)
    assert_equal(gradients(hidden, model), expected)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        gradients(hidden, model)


@pytest.mark.parametrize("case", [*WITH_A_RULE, "lem"])
def test_going_back_twice_gives_the_same(case: str) -> None:
    """What was saved is as it was: no rule may use it as a place to write."""
    model, inputs = build(case), draw_inputs().requires_grad_()
    hidden, _ = model(inputs)
    leaves, loss = [inputs, *model.parameters()], hidden.square().sum()
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    assert_equal(list(torch.autograd.grad(loss, leaves)), list(first))


def test_threads_that_train_with_one_model_do_not_share_memory() -> None:
    model, inputs = large_model()
    factors = [1, 2, 3, 4] * 5

    def run(factor: int) -> list[Tensor]:
        return gradients(model(factor * inputs)[0], model)

    expected = {factor: run(factor) for factor in set(factors)}
    with ThreadPoolExecutor(4) as pool:
        for factor, result in zip(factors, pool.map(run, factors), strict=True):
            assert_equal(result, expected[factor])


def test_states_that_are_kept_outlive_their_graph_and_their_model() -> None:
    model, inputs = large_model()
    row = model(inputs)[0].detach()[3, 5]
    values = row.clone()
    for factor in (2, 3, 4):
        gradients(model(factor * inputs)[0], model)
    assert torch.equal(row, values)
    del model
    assert torch.equal(row, values)


@pytest.mark.parametrize("name", ["antisymmetric", "lstm"])
def test_training_steps_take_no_more_memory_than_the_first_two(name: str) -> None:
    model, inputs = large_model(name)
    workspace = model._workspace
    addresses, free = set(), []
    for _ in range(20):
        hidden, final = model(inputs)
        final.square().sum().backward()
        addresses.add(hidden.untyped_storage().data_ptr())
        free.append(workspace.free_bytes)
    assert len(addresses) <= 2
    assert free[2:] == [free[2]] * 18
    per_state = hidden.numel() * hidden.element_size()
    assert free[-1] <= 8 * per_state


def test_memory_of_other_sizes_is_let_go() -> None:
    model, inputs = large_model()
    for _ in range(3):
        gradients(model(inputs)[0], model)
    for _ in range(40):
        gradients(model(inputs[:45])[0], model)
    states = 46 * 48 * 64 * 8
    assert 0 < model._workspace.free_bytes < 4 * states


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("case", ["antisymmetric", "lstm", "vanilla", "gru"])
def test_states_without_a_gradient_are_the_same_and_keep_no_memory(case: str, mode: Any) -> None:
    model, inputs = build(case), draw_inputs()
    hidden, final = model(inputs)
    with mode():
        without, last = model(inputs)
    assert torch.equal(without, hidden)
    assert torch.equal(last, final)
    assert not without.requires_grad
    large, many = large_model(case)
    with mode():
        large(many)
    assert large._workspace.free_bytes == 0


@pytest.mark.parametrize("case", ["antisymmetric", "lstm"])
def test_reading_the_final_state_alone_brings_no_gradient_of_all_states(case: str) -> None:
    model = build(case)
    _, final = model(draw_inputs())
    node: Any = final.grad_fn
    arrived: list[tuple[Tensor | None, ...]] = []
    while type(node).__name__ != "_ExplicitBackward":
        node = node.next_functions[0][0]
    node.register_prehook(arrived.append)
    final.sum().backward()
    [(of_hidden, of_others, of_final)] = arrived
    assert of_hidden is None
    assert of_others is None
    assert of_final is not None
    assert of_final.shape == (model.cells[0].components, BATCH, model.hidden_size)


def test_what_changes_the_hidden_states_in_place_is_refused() -> None:
    hidden, _ = build("antisymmetric")(draw_inputs())
    with pytest.raises(RuntimeError, match="modified inplace"):
        hidden.relu_()


class Cubed(Antisymmetric):
    """A cell that inherits the rule of another φ."""

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        return state + torch.tanh(recurrent + drive) ** 3


def test_a_rule_that_is_inherited_by_another_pointwise_map_is_not_used() -> None:
    initialiser = models.Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    model = RecurrentModel([Cubed(2, 4, initialiser=initialiser)], name="cubed")
    inputs = draw_inputs()
    hidden, _ = model(inputs)
    states = loop(model, inputs, torch.zeros(BATCH, 4, dtype=torch.float64))[1:]
    torch.testing.assert_close(hidden, states, rtol=0, atol=1e-14)
    for mine, reference in zip(gradients(hidden, model), gradients(states, model), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-12, atol=1e-14)


def test_a_pointwise_map_put_on_an_instance_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = build("antisymmetric"), draw_inputs()
    monkeypatch.setattr(model.cells[0], "pointwise", lambda state, *_: 2 * state)
    final = model(inputs, torch.ones(BATCH, 4, dtype=torch.float64))[1]
    assert torch.equal(final, torch.full((BATCH, 4), 2.0**LENGTH, dtype=torch.float64))


@pytest.mark.parametrize("case", WITH_A_RULE)
def test_nothing_depends_on_the_values_or_on_the_cpu(case: str) -> None:
    """On the meta device, which holds no values, reading one out of a tensor would fail."""
    model = build(case).to("meta")
    inputs = draw_inputs().to("meta").requires_grad_()
    hidden, final = model(inputs)
    gradients = torch.autograd.grad(hidden.sum() + final.sum(), [inputs, *model.parameters()])
    assert gradients[0].shape == inputs.shape


def test_a_model_with_used_memory_is_copied_and_saved_without_it() -> None:
    model, inputs = large_model()
    expected = gradients(model(inputs)[0], model)
    assert model._workspace.free_bytes > 0
    twin, file = copy.deepcopy(model), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (twin, torch.load(file, weights_only=False)):
        assert other._workspace.free_bytes == 0
        assert_equal(gradients(other(inputs)[0], other), expected)
