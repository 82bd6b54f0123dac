"""Every cell of torchrecurrent and every recurrent module of torch.nn, against plain autograd.

The table is made from what torchrecurrent exports, so that a cell it adds is tested too; those
that need more than their sizes have a line in `OPTIONS`.  The reference differentiates a loop over
the caller's own module and knows nothing of gradprobe.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torchrecurrent
from torch import Tensor, nn

import gradprobe as gp
from gradprobe import models
from gradprobe.errors import ArgumentError, UnsupportedModelError

LENGTH, BATCH, FEATURES, UNITS = 6, 3, 2, 4


class Options(NamedTuple):
    """What a cell needs besides its sizes."""

    input_size: int = FEATURES
    arguments: dict[str, Any] = {}  # noqa: RUF012 - never written to
    adapt: dict[str, Any] = {}  # noqa: RUF012 - never written to


def with_delay(cell: Any, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Give τ-GRU the state before the last, which it takes as an argument of its own."""
    h, before = state
    return cell(x, h, before), h


CELLS = sorted(name for name in dir(torchrecurrent) if name.endswith("Cell"))
OPTIONS = {
    # Mixes x_t into its output unit by unit.
    "IntersectionRNNCell": Options(input_size=UNITS),
    # Its explicit Euler steps blow up at the default dt = 1.
    "AntisymmetricRNNCell": Options(arguments={"epsilon": 0.1}),
    "GatedAntisymmetricRNNCell": Options(arguments={"epsilon": 0.1}),
    "tauGRUCell": Options(adapt={"step": with_delay, "state_size": (UNITS, UNITS)}),
}


class Case(NamedTuple):
    """A cell in float64, x_1 … x_T, and s_0 in its own structure as inferred."""

    cell: nn.Module
    inputs: Tensor
    adapt: dict[str, Any]


def third_party_cell(name: str) -> Case:
    options = OPTIONS.get(name, Options())
    torch.manual_seed(0)
    kind: Callable[..., nn.Module] = getattr(torchrecurrent, name)
    cell = kind(options.input_size, UNITS, **options.arguments).double()
    with torch.no_grad():
        for parameter in cell.parameters():  # many biases are zero as they are built
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return Case(cell, torch.randn(LENGTH, BATCH, options.input_size).double(), options.adapt)


def flat(state: Any) -> Tensor:
    parts = state if isinstance(state, tuple) else (state,)
    return torch.cat(parts, dim=-1)


def jacobian_by_autograd(case: Case, sizes: list[int], sequence: int, state: Tensor) -> Tensor:
    """Differentiate a loop over the module itself, for one sequence alone."""

    def run(initial: Tensor) -> Tensor:
        parts: Any = initial[None].split(sizes, dim=-1)
        current = parts[0] if len(parts) == 1 else tuple(parts)
        for now in case.inputs[:, sequence : sequence + 1]:
            call = case.adapt.get("step", lambda cell, x, s: cell(x, s))
            new = call(case.cell, now, current)
            paired = isinstance(new, tuple) and (
                isinstance(current, Tensor) or isinstance(new[1], tuple)
            )
            current = new[1] if paired else new
        return flat(current)[0]

    result: Tensor = torch.autograd.functional.jacobian(run, state)
    return result


def test_torchrecurrent_has_the_cells_that_the_table_is_made_of() -> None:
    assert len(CELLS) >= 41
    assert {"coRNNCell", "LEMCell", "UnICORNNCell", "CFNCell", "MinimalRNNCell"} <= set(CELLS)
    assert set(OPTIONS) <= set(CELLS)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_of_torchrecurrent_has_the_jacobian_of_autograd(name: str) -> None:
    case = third_party_cell(name)
    model = models.adapt(case.cell, **case.adapt)
    assert isinstance(model, models.OpaqueModel)
    state = 0.3 * torch.randn(BATCH, model.state_size).double()
    path = models.trace(model, case.inputs, state)
    product = torch.eye(model.state_size).double().expand(BATCH, -1, -1)
    for jacobian in path.step_jacobians():
        product = jacobian @ product
    sizes = [leaf.size for leaf in model.structure.leaves]
    assert (path.model.jacobian_method, path.model.dtype) == ("autograd_chunked", torch.float64)
    for sequence in range(BATCH):
        reference = jacobian_by_autograd(case, sizes, sequence, state[sequence])
        assert reference.abs().max() > 0
        scale = float(reference.abs().max())
        torch.testing.assert_close(product[sequence], reference, rtol=1e-11, atol=1e-13 * scale)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_of_torchrecurrent_is_probed_in_a_line(name: str) -> None:
    case = third_party_cell(name)
    model = gp.adapt(case.cell.float(), **case.adapt)
    assert isinstance(model, models.OpaqueModel)
    table = gp.probe(model, case.inputs, ["singular_values", "gradient_norm"])
    assert set(table["dtype"]) == {"float64"}
    assert set(table["method"]) == {"autograd_chunked"}
    sizes = [leaf.size for leaf in model.structure.leaves]
    zero = torch.zeros(model.state_size, dtype=torch.float64)
    case.cell.double()  # what float32 stored is the same in float64
    for sequence in range(BATCH):
        reference = torch.linalg.svdvals(jacobian_by_autograd(case, sizes, sequence, zero))
        ours = table.query(
            f"quantity == 'log_sigma' and block == 'state' and sequence == {sequence}"
        ).sort_values("rank")
        assert len(ours) == model.state_size
        for expected, value, resolved in zip(
            reference.tolist(), ours["value"], ours["resolved"], strict=True
        ):
            if resolved and expected > 1e-6 * float(reference[0]):
                assert math.isclose(value, math.log(expected), abs_tol=1e-8)
        assert bool(ours["resolved"].iloc[0])


def test_the_delay_of_tau_gru_is_that_of_its_layer() -> None:
    case = third_party_cell("tauGRUCell")
    layer = torchrecurrent.tauGRU(FEATURES, UNITS, delay=1).double()
    layer.cells[0].load_state_dict(case.cell.state_dict())
    theirs, _ = layer(case.inputs)
    ours, _ = models.adapt(case.cell, **case.adapt)(case.inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", ["LEM", "MinimalRNN"])
def test_a_layer_that_takes_whole_sequences_is_refused_with_the_reason(name: str) -> None:
    layer = getattr(torchrecurrent, name)(FEATURES, UNITS)
    with pytest.raises(ArgumentError, match=r"could not be inferred \(without a state: ValueErr"):
        gp.probe(layer, torch.zeros(LENGTH, BATCH, FEATURES))


MODULES: dict[str, tuple[type[nn.RNNBase | nn.RNNCellBase], dict[str, Any]]] = {
    "RNN": (nn.RNN, {}),
    "RNN-relu-layers": (nn.RNN, {"nonlinearity": "relu", "num_layers": 2}),
    "RNN-no-bias-batch-first": (nn.RNN, {"bias": False, "batch_first": True}),
    "LSTM": (nn.LSTM, {}),
    "LSTM-layers-no-bias": (nn.LSTM, {"num_layers": 3, "bias": False}),
    "LSTM-layers-batch-first": (nn.LSTM, {"num_layers": 2, "batch_first": True}),
    "LSTM-projected": (nn.LSTM, {"proj_size": 3}),
    "LSTM-projected-layers-batch-first": (
        nn.LSTM,
        {"proj_size": 2, "num_layers": 2, "batch_first": True},
    ),
    "LSTM-projected-layers-no-bias": (nn.LSTM, {"proj_size": 2, "num_layers": 2, "bias": False}),
    "GRU": (nn.GRU, {}),
    "GRU-layers": (nn.GRU, {"num_layers": 3}),
    "GRU-no-bias-batch-first": (nn.GRU, {"bias": False, "batch_first": True}),
    "GRU-dropout": (nn.GRU, {"num_layers": 2, "dropout": 0.5}),
    "RNNCell": (nn.RNNCell, {}),
    "RNNCell-relu-no-bias": (nn.RNNCell, {"nonlinearity": "relu", "bias": False}),
    "LSTMCell": (nn.LSTMCell, {}),
    "LSTMCell-no-bias": (nn.LSTMCell, {"bias": False}),
    "GRUCell": (nn.GRUCell, {}),
    "GRUCell-no-bias": (nn.GRUCell, {"bias": False}),
}


def torch_module(name: str) -> Any:
    kind, options = MODULES[name]
    torch.manual_seed(0)
    return kind(FEATURES, UNITS, **options).double().eval()  # type: ignore[arg-type]


def torch_loop(module: Any, inputs: Tensor, sizes: list[tuple[int, ...]], state: Tensor) -> Tensor:
    """Run one sequence through torch's own module: s_T, layer by layer, h before c, from s_0.

    `sizes` are those of the parts of each layer's state.
    """
    flat_sizes = [size for layer in sizes for size in layer]
    parts = [part[None] for part in state.split(flat_sizes)]
    kinds = len(sizes[0])
    if isinstance(module, nn.RNNCellBase):
        current: Any = tuple(parts) if kinds > 1 else parts[0]
        for now in inputs:
            current = module(now, current)
        return flat(current)[0]
    stacked = tuple(torch.stack(parts[kind::kinds]) for kind in range(kinds))
    sequence = inputs.transpose(0, 1) if module.batch_first else inputs
    _, final = module(sequence, stacked if kinds > 1 else stacked[0])
    final = final if isinstance(final, tuple) else (final,)
    return torch.cat([part[layer, 0] for layer in range(len(sizes)) for part in final])


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_torch_has_the_jacobian_of_autograd(name: str) -> None:
    module = torch_module(name)
    model = models.adapt(module)
    inputs = torch.randn(LENGTH, BATCH, FEATURES).double()
    state = 0.5 * torch.randn(BATCH, model.state_size).double()
    layers = getattr(module, "num_layers", 1)
    hidden = getattr(module, "proj_size", 0) or UNITS
    lstm = isinstance(module, nn.LSTM | nn.LSTMCell)
    of_layer: tuple[int, ...] = (hidden, UNITS) if lstm else (hidden,)
    sizes = [of_layer] * layers
    laid_out = inputs.transpose(0, 1) if getattr(module, "batch_first", False) else inputs
    path = models.trace(model, laid_out, state)
    product = torch.eye(model.state_size).double().expand(BATCH, -1, -1)
    for jacobian in path.step_jacobians():
        product = jacobian @ product
    for b in range(BATCH):

        def run(initial: Tensor, sequence: Tensor = inputs[:, b : b + 1]) -> Tensor:
            return torch_loop(module, sequence, sizes, initial)

        reference = torch.autograd.functional.jacobian(run, state[b])
        torch.testing.assert_close(product[b], reference, rtol=1e-11, atol=1e-13)
    final = list(path.states())[-1]
    expected = torch.stack([torch_loop(module, inputs[:, [b]], sizes, state[b]) for b in range(3)])
    torch.testing.assert_close(final, expected, rtol=1e-12, atol=1e-14)
    opaque = "projected" in name
    assert path.model.jacobian_method == ("autograd_chunked" if opaque else "pointwise")


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_torch_is_probed_in_a_line(name: str) -> None:
    module = torch_module(name).float()
    inputs = torch.randn(LENGTH, BATCH, FEATURES)
    laid_out = inputs.transpose(0, 1) if getattr(module, "batch_first", False) else inputs
    table = gp.probe(module, laid_out, ["singular_values"])
    assert set(table["dtype"]) == {"float64"}
    assert table["sequence"].nunique() == BATCH
    assert table.query("rank == 1")["resolved"].all()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.GRU(FEATURES, UNITS, bidirectional=True), "outputs at step t depend on inputs after"),
        (nn.LSTM(FEATURES, UNITS, num_layers=2, dropout=0.5), r"call module\.eval\(\) first"),
        (nn.Linear(FEATURES, UNITS), "could not be inferred"),
    ],
    ids=["bidirectional", "dropout-in-training", "no-recurrence"],
)
def test_what_has_no_state_to_follow_is_refused_with_the_reason(
    module: nn.Module, reason: str
) -> None:
    with pytest.raises((UnsupportedModelError, ArgumentError), match=reason):
        gp.probe(module, torch.zeros(LENGTH, BATCH, FEATURES))
