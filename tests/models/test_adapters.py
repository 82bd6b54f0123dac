"""Our cells against torch.nn with the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradprobe import models
from gradprobe.errors import ArgumentError, UnsupportedModelError

MODULES: dict[str, tuple[type[nn.RNNBase], dict[str, Any]]] = {
    "rnn": (nn.RNN, {}),
    "rnn-relu": (nn.RNN, {"nonlinearity": "relu"}),
    "rnn-stacked-no-bias": (nn.RNN, {"num_layers": 2, "bias": False}),
    "lstm": (nn.LSTM, {}),
    "lstm-no-bias": (nn.LSTM, {"bias": False}),
    "lstm-stacked-batch-first": (nn.LSTM, {"num_layers": 3, "batch_first": True}),
    "lstm-dropout": (nn.LSTM, {"num_layers": 2, "dropout": 0.5}),
    "lstm-projected": (nn.LSTM, {"proj_size": 2, "num_layers": 2}),
    "lstm-projected-no-bias": (nn.LSTM, {"proj_size": 2, "bias": False, "batch_first": True}),
    "gru": (nn.GRU, {}),
    "gru-no-bias": (nn.GRU, {"bias": False}),
    "gru-stacked-batch-first": (nn.GRU, {"num_layers": 2, "batch_first": True}),
}


def build_module(case: str) -> nn.RNNBase:
    kind, options = MODULES[case]
    torch.manual_seed(0)
    module = kind(3, 5, **options, dtype=torch.float64)  # type: ignore[arg-type]
    return module.eval()


def joint_state(module: nn.RNNBase, state: tuple[Tensor, ...]) -> Tensor:
    """Return torch's (h, c), each (layers, B, N), in our order: layer by layer, h before c."""
    layers = range(module.num_layers)
    return torch.cat([part[layer] for layer in layers for part in state], dim=-1)


@pytest.mark.parametrize("case", MODULES)
def test_an_adapted_module_computes_what_the_module_does(case: str) -> None:
    module = build_module(case)
    model = models.adapt(module)
    inputs = torch.randn(*((2, 9) if module.batch_first else (9, 2)), 3, dtype=torch.float64)
    sizes = (module.proj_size or 5, 5) if isinstance(module, nn.LSTM) else (5,)
    state = tuple(torch.randn(module.num_layers, 2, size, dtype=torch.float64) for size in sizes)
    theirs, their_state = module(inputs, state if len(state) == 2 else state[0])
    their_state = their_state if isinstance(their_state, tuple) else (their_state,)

    hidden, final = model(inputs, joint_state(module, state))
    torch.testing.assert_close(hidden, theirs, rtol=0, atol=1e-12)
    torch.testing.assert_close(final, joint_state(module, their_state), rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", MODULES)
def test_the_gradients_reach_the_modules_own_parameters(case: str) -> None:
    module = build_module(case)
    inputs = torch.randn(4, 4, 3, dtype=torch.float64)
    theirs = torch.autograd.grad(module(inputs)[0].square().sum(), list(module.parameters()))
    ours = torch.autograd.grad(
        models.adapt(module)(inputs)[0].square().sum(), list(module.parameters())
    )
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("biases", ["one", "two", "none"])
@pytest.mark.parametrize(("name", "kind"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_a_built_cell_is_torchs_with_the_same_weights(
    name: str, kind: type[nn.LSTM | nn.GRU], biases: str
) -> None:
    options: dict[str, Any] = {"forget_bias": 0.0} if name == "lstm" else {}
    model = models.build(
        name, input_size=3, hidden_size=5, dtype=torch.float64, biases=biases, **options
    )
    module = kind(3, 5, bias=biases != "none", dtype=torch.float64)
    ours, theirs = dict(model.named_parameters()), dict(module.named_parameters())
    with torch.no_grad():
        theirs["weight_ih_l0"].copy_(ours["layers.0.input_weight"])
        theirs["weight_hh_l0"].copy_(ours["layers.0.recurrent_weight"])
        if biases != "none":
            theirs["bias_ih_l0"].copy_(ours["layers.0.biases.input"].normal_())
            theirs["bias_hh_l0"].zero_()
        if biases == "two":
            theirs["bias_hh_l0"].copy_(ours["layers.0.biases.recurrent"].normal_())
    inputs = torch.randn(20, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(model(inputs)[0], module(inputs)[0], rtol=0, atol=1e-12)


def test_the_parameters_are_shared_not_copied() -> None:
    module = build_module("gru")
    model = models.adapt(module)
    before = model(torch.ones(3, 1, 3, dtype=torch.float64))[0].clone()
    with torch.no_grad():
        next(iter(module.parameters())).mul_(2)
    assert not torch.allclose(model(torch.ones(3, 1, 3, dtype=torch.float64))[0], before)
    assert {id(p) for p in model.parameters()} == {id(p) for p in module.parameters()}


def test_a_model_of_our_own_is_returned_as_it_is() -> None:
    model = models.build("vanilla", input_size=1, hidden_size=2)
    assert models.adapt(model) is model


CELLS: dict[str, tuple[type[nn.RNNCellBase], dict[str, Any]]] = {
    "rnn-cell": (nn.RNNCell, {}),
    "rnn-cell-relu-no-bias": (nn.RNNCell, {"nonlinearity": "relu", "bias": False}),
    "lstm-cell": (nn.LSTMCell, {}),
    "gru-cell": (nn.GRUCell, {}),
}


@pytest.mark.parametrize("case", CELLS)
def test_an_adapted_cell_computes_what_the_cell_does(case: str) -> None:
    kind, options = CELLS[case]
    cell = kind(3, 5, **options, dtype=torch.float64)
    model = models.adapt(cell)
    inputs = torch.randn(9, 2, 3, dtype=torch.float64)
    state: Any = torch.randn(2, model.state_size, dtype=torch.float64)
    final = model(inputs, state)[1]
    state = tuple(state.chunk(2, dim=-1)) if isinstance(cell, nn.LSTMCell) else state
    for now in inputs:
        state = cell(now, state)
    joint = torch.cat(state, dim=-1) if isinstance(state, tuple) else state
    torch.testing.assert_close(final, joint, rtol=0, atol=1e-12)
    assert {id(p) for p in model.parameters()} == {id(p) for p in cell.parameters()}


def test_an_initial_state_may_be_given_as_torch_has_it() -> None:
    module = build_module("lstm-stacked-batch-first")
    model = models.adapt(module)
    parts = tuple(torch.randn(3, 2, 5, dtype=torch.float64) for _ in range(2))
    inputs = torch.randn(2, 4, 3, dtype=torch.float64)
    ours = list(models.trace(model, inputs, parts).states())
    assert torch.equal(ours[0], joint_state(module, parts))
    theirs = module(inputs, parts)[1]
    torch.testing.assert_close(ours[-1], joint_state(module, theirs), rtol=0, atol=1e-12)
    with pytest.raises(ArgumentError, match=r"or 2 of shape \(layers, B, N\), got \(Tensor\)"):
        models.trace(model, inputs, parts[0])


def test_options_that_a_layer_of_torch_has_no_use_for_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"a torch\.nn\.GRU knows its own state and layout"):
        models.adapt(nn.GRU(2, 3), state_size=3)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.LSTM(2, 3, bidirectional=True), "outputs at step t depend on inputs after t"),
        (nn.GRU(2, 3, num_layers=2, dropout=0.1), r"call module\.eval\(\) first"),
    ],
)
def test_what_cannot_be_probed_is_refused_with_the_reason(module: nn.Module, reason: str) -> None:
    with pytest.raises(UnsupportedModelError, match=reason):
        models.adapt(module)


def test_what_is_not_callable_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match=r"takes a module or a function .*, got dict"):
        models.adapt({})  # type: ignore[arg-type]
