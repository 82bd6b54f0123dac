"""Cells that resist: computed weights, forward passes of their own, hidden state, odd wrappings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from opaque_cells import BATCH, FEATURES, UNITS, Plain, draw_inputs, end_to_end
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError, UnsupportedModelError
from gradprobe.probes.dense_reference import end_to_end_jacobian

# ---- modules of torch.nn whose weights are computed, or which are not what they inherit from

COMPUTED: dict[str, Callable[[nn.Module, str], nn.Module]] = {
    "weight-norm": parametrizations.weight_norm,
    "weight-norm-by-hooks": nn.utils.weight_norm,
    "spectral-norm": parametrizations.spectral_norm,
    "spectral-norm-by-hooks": nn.utils.spectral_norm,
    "pruned": lambda module, name: prune.l1_unstructured(module, name, amount=0.5),
}


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("computed", COMPUTED)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (nn.RNN, {"nonlinearity": "relu"}),
        (nn.LSTM, {"num_layers": 2, "batch_first": True}),
        (nn.LSTM, {"proj_size": 2}),
        (nn.GRU, {"bias": False}),
    ],
    ids=["RNN", "LSTM", "LSTM-projected", "GRU"],
)
def test_a_layer_whose_weight_is_computed_is_run_by_its_own_forward_pass(
    kind: type[nn.RNNBase], options: dict[str, Any], computed: str
) -> None:
    torch.manual_seed(0)
    module: Any = kind(FEATURES, UNITS, **options).double().eval()  # type: ignore[arg-type]
    COMPUTED[computed](module, "weight_hh_l0")
    inputs = draw_inputs().double()
    laid_out = inputs.transpose(0, 1) if module.batch_first else inputs
    model = models.adapt(module)
    assert isinstance(model, models.OpaqueModel)
    assert {id(p) for p in model.parameters()} == {id(p) for p in module.parameters()}
    torch.testing.assert_close(model(laid_out)[0], module(laid_out)[0], rtol=1e-13, atol=1e-14)
    sizes = (module.proj_size or UNITS, UNITS)[: 2 if kind is nn.LSTM else 1]
    parts = tuple(torch.randn(module.num_layers, BATCH, size).double() for size in sizes)
    state: Any = parts if kind is nn.LSTM else parts[0]
    last = list(models.trace(model, laid_out, state).states())[-1]
    final = module(laid_out, state)[1]
    expected = model.structure.flatten(final)
    torch.testing.assert_close(last, expected, rtol=1e-12, atol=1e-14)
    path = models.trace(model, laid_out)
    assert path.model.jacobian_method == "autograd_chunked"
    assert model.name == f"torch.nn.{kind.__name__}"
    # ∂h_T/∂h_0 of torch's own pass over the whole sequence, by the module as it was given.
    start = torch.zeros(module.num_layers, 1, sizes[0]).double()

    def last_hidden(initial: Tensor) -> Tensor:
        pair = (initial, torch.zeros(module.num_layers, 1, UNITS).double())
        one = laid_out[:1] if module.batch_first else laid_out[:, :1]
        output = module(one, pair if kind is nn.LSTM else initial)[0]
        result: Tensor = output[0, -1] if module.batch_first else output[-1, 0]
        return result

    reference = torch.autograd.functional.jacobian(last_hidden, start)[:, -1, 0]
    block = path.model.hidden_slice
    torch.testing.assert_close(end_to_end(path)[0, block, block], reference, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_a_cell_whose_weight_is_computed_is_run_by_its_own_forward_pass(kind: Any) -> None:
    torch.manual_seed(0)
    cell = kind(FEATURES, UNITS)
    prune.random_unstructured(cell, "weight_hh", amount=0.5)
    gp.testing.check_cell(cell)


class HalvedCell(nn.GRUCell):
    def forward(self, x: Tensor, hx: Tensor | None = None) -> Tensor:
        return 0.5 * super().forward(x, hx)


class HalvedLayer(nn.GRU):
    def forward(self, x: Tensor, hx: Any = None) -> Any:  # type: ignore[override]
        output, final = super().forward(x, hx)
        return output, 0.5 * final


def test_a_subclass_of_a_cell_of_torch_is_what_its_own_forward_pass_makes_it() -> None:
    torch.manual_seed(0)
    cell, state = HalvedCell(FEATURES, UNITS), torch.zeros(BATCH, UNITS)
    final = models.adapt(cell)(draw_inputs())[1]
    for now in draw_inputs():
        state = cell(now, state)
    torch.testing.assert_close(final, state)


def test_a_subclass_of_a_layer_of_torch_with_a_pass_of_its_own_is_refused() -> None:
    layer = HalvedLayer(FEATURES, UNITS)
    with pytest.raises(UnsupportedModelError, match="HalvedLayer has a forward pass of its own"):
        models.adapt(layer)
    step = models.adapt(layer, step=lambda m, x, h: m(x[None], h[None])[1][0], state_size=UNITS)
    with torch.no_grad():
        expected = 0.5 * nn.GRU.forward(layer, draw_inputs()[:1])[1][0]
        torch.testing.assert_close(step(draw_inputs()[:1])[1], expected)


# ---- what a module holds besides parameters and buffers, and how it is wrapped


class HoldsTensors(Plain):
    """Constants in attributes, in lists and dicts, that `module.to(dtype)` passes over."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = torch.linalg.matrix_exp(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))
        self.scales = [0.5 * torch.ones(UNITS), {"second": torch.linspace(0.5, 1, UNITS)}]

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        turned = torch.block_diag(self.turn, self.turn) @ h[..., None]
        first, second = self.scales[0], self.scales[1]["second"]  # type: ignore[index]
        return super().forward(x, turned[..., 0] * first * second)


def test_tensors_in_attributes_are_converted_too() -> None:
    cell = HoldsTensors()
    path = models.trace(models.adapt(cell, state_size=UNITS), draw_inputs())
    assert path.model.dtype == torch.float64
    reference = end_to_end_jacobian(path.model, draw_inputs())
    torch.testing.assert_close(end_to_end(path), reference, rtol=1e-12, atol=1e-15)
    assert cell.turn.dtype == torch.float32
    gp.testing.check_cell(cell, draw_inputs(), state_size=UNITS)


WRAPPINGS: dict[str, Callable[[Plain], Callable[..., Any]]] = {
    "scripted": torch.jit.script,
    "traced": lambda cell: torch.jit.trace(cell, (torch.zeros(1, FEATURES), torch.zeros(1, UNITS))),
    "compiled": lambda cell: torch.compile(cell, backend="eager"),
    "data-parallel": nn.DataParallel,
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_wrapped_module_is_measured_as_the_module_is(wrapping: str) -> None:
    cell = Plain()
    wrapped = WRAPPINGS[wrapping](cell)
    state = torch.full((BATCH, UNITS), 0.1)
    probes = ["singular_values"]
    ours = gp.probe(wrapped, draw_inputs(), probes, state=state)
    theirs = gp.probe(cell, draw_inputs(), probes, state=state)
    assert set(ours["dtype"]) == {"float64"}
    assert (ours["value"] - theirs["value"]).abs().max() < 1e-9
    gp.testing.check_cell(wrapped, draw_inputs(), state)
    assert all(p.requires_grad and p.dtype == torch.float32 for p in cell.parameters())


def test_a_compiled_layer_of_torch_keeps_its_fast_path() -> None:
    layer = torch.compile(nn.GRU(FEATURES, UNITS), backend="eager")
    table = gp.probe(layer, draw_inputs(), state=torch.full((1, BATCH, UNITS), 0.1))
    assert set(table["method"]) == {"pointwise"}
    assert set(table["model"]) == {"torch.nn.GRU"}


def test_a_module_that_cannot_be_copied_is_refused_with_the_reason() -> None:
    cell = Plain()
    cell.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(UnsupportedModelError, match=r"cannot be copied, .*lock.*keep locks, files"):
        gp.probe(cell, draw_inputs(), state=torch.zeros(BATCH, UNITS))


class KnowsItsBatch(Plain):
    """Takes one number of sequences, and has something of its own for each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.offsets = torch.linspace(-1, 1, BATCH)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        assert len(x) == BATCH
        return super().forward(x, h + self.offsets[:, None])


def test_a_cell_that_takes_one_number_of_sequences_only_goes_step_by_step() -> None:
    path = models.trace(models.adapt(KnowsItsBatch(), state_size=UNITS), draw_inputs())
    reference = end_to_end_jacobian(path.model, draw_inputs())
    torch.testing.assert_close(end_to_end(path), reference, rtol=1e-12, atol=1e-15)
    assert path.model.jacobian_method == "autograd_by_step"


# ---- what is no function of its input and state, or has no Jacobian for each sequence


class CountsSteps(Plain):
    calls = 0

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x, h) * (1.0 if self.calls < 5 else 0.5)


class NoisyFarFromZero(Plain):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        new = super().forward(x, h)
        return new + torch.rand_like(h) if h.abs().sum() > 0 else new


class ActsOnOthersFarFromZero(Plain):
    """At h_0 = 0 the derivative by the others is zero, and nothing is seen in the first step."""

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return super().forward(x, h) + h * h.mean(0)


class LaterOnEarlier(Plain):
    """The first sequence depends on none of the others."""

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return super().forward(x, h.cumsum(0))


class TakesTheBatchForLayers(nn.Module):
    """Called with (B, D) and (B, N), a GRU of B layers sees one sequence of B steps."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(FEATURES, UNITS, num_layers=BATCH)

    def forward(self, x: Tensor, h: Tensor) -> Any:
        return self.gru(x, h)


class SoftmaxOverTheBatch(Plain):
    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.softmax(super().forward(x, h) + h.sum(0), dim=-1)


NO_FUNCTIONS: dict[str, tuple[type[nn.Module], str]] = {
    "counts-steps": (CountsSteps, "reached another state at t = 6 .* a counter or running means"),
    "noisy-far-from-zero": (NoisyFarFromZero, "(different states|reached another state)"),
    "acts-on-others-far-from-zero": (ActsOnOthersFarFromZero, "act on one another"),
    "later-on-earlier": (LaterOnEarlier, "act on one another"),
    "batch-for-layers": (TakesTheBatchForLayers, "or the first axis of what it takes is not the b"),
    "softmax-over-the-batch": (SoftmaxOverTheBatch, "act on one another"),
}


@pytest.mark.parametrize("case", NO_FUNCTIONS)
def test_what_is_no_step_is_refused_even_if_its_first_step_looks_well(case: str) -> None:
    kind, reason = NO_FUNCTIONS[case]
    torch.manual_seed(0)
    with pytest.raises(UnsupportedModelError, match=reason):
        gp.probe(kind(), draw_inputs(), state=torch.zeros(BATCH, UNITS))


def test_power_iterations_in_training_mode_are_refused() -> None:
    torch.manual_seed(0)
    cell = Plain()
    nn.utils.spectral_norm(cell, "W")
    with pytest.raises(UnsupportedModelError, match=r"running means \(call eval\(\) first\)"):
        gp.probe(cell, draw_inputs(), state=torch.zeros(BATCH, UNITS))
    gp.testing.check_cell(cell.eval(), draw_inputs(), state_size=UNITS)


def test_an_operation_without_a_derivative_is_refused() -> None:
    library = torch.library.Library("gradprobe_test", "DEF")
    library.define("halve(Tensor x) -> Tensor")
    library.impl("halve", lambda x: 0.5 * x, "CPU")

    def step(x: Tensor, h: Tensor) -> Tensor:
        halved: Tensor = torch.ops.gradprobe_test.halve(h)
        return halved + x.sum(-1, keepdim=True)

    with pytest.raises(UnsupportedModelError, match="gradprobe_test::halve"):
        gp.probe(step, draw_inputs(), state=torch.zeros(BATCH, UNITS))


def test_a_step_that_cannot_be_differentiated_backwards_is_refused_with_the_reason() -> None:
    cell = Plain()

    def step(x: Tensor, h: Tensor) -> Any:
        return checkpoint(cell, x, h, use_reentrant=True)

    with pytest.raises(UnsupportedModelError, match=r"cannot be differentiated: .*use_reentrant"):
        gp.probe(step, draw_inputs(), state=torch.zeros(BATCH, UNITS))


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.LazyLinear(UNITS)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        result: Tensor = self.linear(torch.cat((x, h), dim=-1))
        return torch.tanh(result)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (Plain().to("meta"), "parameters must hold numbers, but .*W of model 'Plain' is on meta"),
        (Lazy(), "linear.weight of model 'Lazy' has no shape yet: call the module once"),
    ],
    ids=["meta", "lazy"],
)
def test_parameters_without_numbers_are_refused(cell: nn.Module, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        gp.probe(cell, draw_inputs(), state=torch.zeros(BATCH, UNITS))
