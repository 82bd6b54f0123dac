"""Loops that reuse memory, pass a module twice, break off, run forever, or give it odd shapes."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import gradprobe as gp
from gradprobe.errors import ArgumentError, MonitorError, UnknownNameError, UnsupportedModelError

LENGTH, BATCH, FEATURES, UNITS = 9, 3, 2, 4


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def inputs_of(length: int = LENGTH) -> Tensor:
    return draw(length, BATCH, FEATURES)


def loss_values(table: pd.DataFrame) -> np.ndarray:
    """Return the recorded log‖∂L/∂h_t‖, shape (steps, sequences)."""
    rows = table[table["probe"] == "loss_gradient"]
    return rows.pivot_table(index="step", columns="sequence", values="value").to_numpy()


def through_time(
    model: gp.models.RecurrentModel, inputs: Tensor, loss: Callable[[Tensor], Tensor]
) -> np.ndarray:
    """Return log‖∂L/∂h_t‖ for t = 0 … T by automatic differentiation of a loop over the steps."""
    states = [torch.zeros(inputs.shape[1], model.state_size, dtype=inputs.dtype).requires_grad_()]
    for now in inputs:
        states.append(model.step(now, states[-1]))
        states[-1].retain_grad()
    loss(torch.stack(states[1:])[..., model.hidden_slice]).backward()
    gradients = [state.grad for state in states if state.grad is not None]
    norms = [gradient[:, model.hidden_slice].norm(dim=-1).log() for gradient in gradients]
    result: np.ndarray = torch.stack(norms).numpy()
    return result


def weighted(hidden: Tensor) -> Tensor:
    """Return a loss in which every step counts, and differently."""
    return (hidden * torch.arange(1, len(hidden) + 1)[:, None, None]).sin().sum()


def recorded(module: nn.Module, loss: Callable[[], Tensor], **options: Any) -> pd.DataFrame:
    with gp.Monitor(module, **{"probes": [], **options}) as monitor:
        loss().sum().backward()
        monitor.step()
    return monitor.frame()


def test_a_batch_that_is_overwritten_and_gradients_that_are_clipped_were_copied() -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    buffer, expected = inputs_of(), through_time(gp.adapt(module), inputs_of(), weighted)  # type: ignore[arg-type]
    start = torch.zeros(1, BATCH, UNITS, dtype=torch.float64)
    with gp.Monitor(module, probes=[]) as monitor:
        weighted(module(buffer, start)[0]).backward()
        buffer.zero_()
        start.fill_(7.0)
        for parameter in module.parameters():
            parameter.grad.zero_()  # type: ignore[union-attr]
        monitor.step()
    np.testing.assert_allclose(loss_values(monitor.frame()), expected, rtol=0, atol=1e-12)


def test_a_module_passed_twice_hands_its_gradient_on_through_its_state() -> None:
    """Two windows of a sequence, joined by the state: the first has the gradient of both."""
    module = nn.LSTM(FEATURES, UNITS, num_layers=2).double()
    inputs = inputs_of()

    def loss() -> Tensor:
        first, state = module(inputs[:5])
        second, _ = module(inputs[5:], state)
        return weighted(torch.cat((first, second)))

    table = recorded(module, loss, sequences=2 * BATCH)
    expected = through_time(gp.adapt(module), inputs, weighted)  # type: ignore[arg-type]
    values = {
        length: table.loc[table["length"] == length, "value"].to_numpy().reshape(-1, BATCH)
        for length in (5, 4)
    }
    # h_5 as an output of the first window lacks nothing: its gradient comes by the state too.
    np.testing.assert_allclose(values[5], expected[:6], rtol=0, atol=1e-12)
    np.testing.assert_allclose(values[4][1:], expected[6:], rtol=0, atol=1e-12)


def test_two_backward_passes_through_one_forward_pass_add_up() -> None:
    for module in (nn.GRU(FEATURES, UNITS).double(), nn.GRUCell(FEATURES, UNITS).double()):
        together, apart = (backward_of(module, parts) for parts in (1, 2))
        np.testing.assert_allclose(apart, together, rtol=0, atol=1e-12)


def run(module: nn.Module, inputs: Tensor, state: Tensor | None = None) -> Tensor:
    """Return h_1 … h_T of a module of either kind."""
    if isinstance(module, nn.RNNBase):
        output: Tensor = module(inputs)[0]
        return output
    hidden: list[Tensor] = []
    for now in inputs:
        hidden.append(module(now, hidden[-1] if hidden else state))
    return torch.stack(hidden)


def backward_of(module: nn.Module, parts: int) -> np.ndarray:
    with gp.Monitor(module, probes=[]) as monitor:
        hidden = run(module, inputs_of())
        losses = [weighted(hidden), hidden.square().sum()]
        for loss in [sum(losses)] if parts == 1 else losses:
            loss.backward(retain_graph=True)  # type: ignore[union-attr]
        monitor.step()
    return loss_values(monitor.frame())


def test_a_learned_initial_state_begins_a_sequence_in_every_micro_batch() -> None:
    cell = nn.GRUCell(FEATURES, UNITS).double()
    start = nn.Parameter(draw(1, UNITS, seed=2))
    inputs = inputs_of()
    with gp.Monitor(cell, probes=["gradient_norm"], sequences=2 * BATCH) as monitor:
        for _ in range(2):
            weighted(run(cell, inputs, start.expand(BATCH, UNITS))).backward()
        monitor.step()
    table = monitor.frame()
    assert set(table["length"]) == {LENGTH}
    values = loss_values(table)
    assert values.shape == (LENGTH, 2 * BATCH)
    assert np.array_equal(values[:, :BATCH], values[:, BATCH:])
    alone = gp.probe(cell, inputs, ["gradient_norm"], state=start.detach().expand(BATCH, UNITS))
    probed = table.query("probe == 'gradient_norm' and sequence < @BATCH")["value"]
    np.testing.assert_allclose(probed, alone["value"], rtol=1e-12)


def test_a_state_that_is_changed_between_steps_has_its_gradient_but_no_probes() -> None:
    cell = nn.GRUCell(FEATURES, UNITS).double()

    def loss() -> Tensor:
        hidden = [torch.zeros(BATCH, UNITS, dtype=torch.float64)]
        for now in inputs_of():
            hidden.append(cell(now, hidden[-1] * 0.5))
        return hidden[-1]

    values = loss_values(recorded(cell, loss))
    assert values.shape == (LENGTH, BATCH)
    np.testing.assert_allclose(values[-1], 0.5 * np.log(UNITS), rtol=1e-14)
    with pytest.raises(MonitorError, match="at step t = 2 is not what it had returned"):
        recorded(cell, loss, probes=["gradient_norm"])


@pytest.mark.parametrize("batch_first", [False, True])
def test_sequences_without_a_batch(batch_first: bool) -> None:
    module = nn.LSTM(FEATURES, UNITS, num_layers=2, batch_first=batch_first).double()
    single = inputs_of()[:, 0]
    state = draw(2, UNITS, seed=1), draw(2, UNITS, seed=2)

    def loss(inputs: Tensor, state: tuple[Tensor, Tensor]) -> Tensor:
        hidden, (_, memory) = module(inputs, state)
        total: Tensor = hidden.sin().sum() + memory.square().sum()
        return total

    batch = single.unsqueeze(0 if batch_first else 1), tuple(part.unsqueeze(1) for part in state)
    alone = recorded(module, lambda: loss(single, state), probes=["singular_values"])
    together = recorded(module, lambda: loss(*batch), probes=["singular_values"])  # type: ignore[arg-type]
    np.testing.assert_allclose(alone["value"], together["value"], rtol=0, atol=1e-10)
    cell, zeros = nn.LSTMCell(FEATURES, UNITS).double(), torch.zeros(UNITS).double()
    table = recorded(cell, lambda: cell(single[0], (zeros, zeros))[0], probes=["condition"])
    assert table.query("matrix == 'loss'")["value"].tolist() == pytest.approx([np.log(2.0)])


def test_projections_and_their_initial_state() -> None:
    module = nn.LSTM(FEATURES, UNITS, proj_size=2).double()
    state = draw(1, BATCH, 2, seed=1), draw(1, BATCH, UNITS, seed=2)
    table = recorded(module, lambda: weighted(module(inputs_of(), state)[0]))
    by_cells = gp.adapt(module)
    hidden = state[0][0].clone().requires_grad_()
    states = [torch.cat((hidden, state[1][0]), dim=-1)]
    outputs = []
    for now in inputs_of():
        states.append(by_cells.step(now, states[-1]))
        states[-1].retain_grad()
        outputs.append(states[-1][:, :2])
    weighted(torch.stack(outputs)).backward()
    expected = [s.grad[:, :2].norm(dim=-1).log().numpy() for s in states[1:] if s.grad is not None]
    np.testing.assert_allclose(loss_values(table)[1:], expected, rtol=0, atol=1e-12)


def test_float32_that_underflows_is_resolved_inside_a_module_and_not_in_a_loop() -> None:
    cell = nn.RNNCell(1, 1, bias=False)
    layer = nn.RNN(1, 1, bias=False)
    for name, parameter in [*cell.named_parameters(), *layer.named_parameters()]:
        nn.init.constant_(parameter, 0.1 if "hh" in name else 0.0)
    inputs = torch.zeros(60, 1, 1)
    factor = np.log(np.float64(np.float32(0.1)))
    expected = factor * (60 - np.arange(61))
    inside = recorded(layer, lambda: layer(inputs)[0][-1])
    np.testing.assert_allclose(inside["value"], expected, rtol=1e-13)
    assert inside["resolved"].all()
    loop = recorded(cell, lambda: run(cell, inputs, torch.zeros(1, 1))[-1])
    # A smallest normal number is 1e-6 of this: what may have been lost matters below.
    small = np.exp(loop["value"]) < np.finfo(np.float32).tiny / 1e-6
    assert small.sum() > 10
    assert loop["resolved"].tolist() == (~small).tolist()
    np.testing.assert_allclose(loop["value"][~small], expected[1:][~small], atol=1e-4)
    assert set(loop["dtype"]) == {"float32"}
    assert set(loop["method"]) == {"autograd_of_loss"}


def test_a_sequence_with_an_infinite_gradient_spoils_no_other() -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    factor = torch.tensor([1.0, torch.inf, 1.0])[:, None]
    spoilt = recorded(module, lambda: module(inputs_of())[0][-1] * factor)
    clean = recorded(module, lambda: module(inputs_of())[0][-1])
    good = spoilt["sequence"] != 1
    assert np.array_equal(spoilt["value"][good], clean["value"][good])
    assert np.isposinf(spoilt.loc[~good, "value"]).all()
    assert spoilt["resolved"].tolist() == good.tolist()


def test_weights_that_have_become_nan_do_not_end_the_training() -> None:
    module = nn.GRU(FEATURES, UNITS)
    nn.init.constant_(next(module.parameters()), torch.nan)
    inputs = inputs_of().float()
    with pytest.warns(RuntimeWarning, match="iteration 0 is not recorded in full: .*weight"):
        table = recorded(module, lambda: module(inputs)[0])
    assert table.empty


def test_a_model_of_one_s_own_is_not_copied_with_what_the_monitor_holds() -> None:
    model = gp.models.build("vanilla", input_size=FEATURES, hidden_size=UNITS).double()
    lock = threading.Lock()  # as a SummaryWriter has; it cannot be copied
    seen: list[bool] = []
    table = recorded(
        model,
        lambda: weighted(model(inputs_of())[0]),
        on_record=lambda *_: seen.append(lock.locked()),
    )
    assert seen == [False]
    expected = through_time(model, inputs_of(), weighted)
    np.testing.assert_allclose(loss_values(table), expected, rtol=0, atol=1e-12)


def test_everything_of_the_caller_s_is_as_before() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.LSTM(FEATURES, UNITS)).double()
    lstm = network[1]
    next(lstm.parameters()).requires_grad_(False)
    calls: list[object] = []
    handle = lstm.register_forward_hook(lambda *_: calls.append(None))
    monitor = gp.Monitor(network, probes=["singular_values"])
    network(inputs_of())[0].sum().backward()
    state = copy.deepcopy(lstm.state_dict())
    gradients = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
    random = torch.get_rng_state()
    monitor.step()
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(state[key], value) for key, value in lstm.state_dict().items())
    for before, parameter in zip(gradients, network.parameters(), strict=True):
        after = parameter.grad
        assert before is after or (before is not None and after is not None)
        assert before is None or after is None or torch.equal(before, after)
    assert [p.requires_grad for p in lstm.parameters()] == [False, True, True, True]
    assert lstm.training
    assert len(calls) == 1
    assert list(lstm._forward_hooks) == [handle.id]


def train(monitor: gp.Monitor, module: nn.Module, iterations: int) -> None:
    for _ in range(iterations):
        module(inputs_of())[0].sum().backward()
        monitor.step()


def test_a_folder_has_every_record_when_the_training_ends_badly_and_is_resumed(
    tmp_path: Path,
) -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    options: dict[str, Any] = {"probes": [], "every": 2, "folder": tmp_path / "records"}
    monitor = gp.Monitor(module, **options)
    train(monitor, module, 3)  # and no close(): as if the process had been killed
    files = sorted(path.name for path in (tmp_path / "records").iterdir())
    assert files == ["iteration-000000000000.parquet", "iteration-000000000002.parquet"]
    with gp.Monitor(module, iteration=3, **options) as resumed:
        train(resumed, module, 3)
    table = resumed.frame()
    assert table["iteration"].unique().tolist() == [0, 2, 3, 5]
    assert len(table) == 4 * (LENGTH + 1) * BATCH
    resumed.save(tmp_path / "all.parquet")
    pd.testing.assert_frame_equal(
        gp.frame.conform(pd.read_parquet(tmp_path / "all.parquet")), table
    )


def test_memory_is_bounded_and_what_is_kept_spans_the_training_evenly() -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    rows = (LENGTH + 1) * BATCH
    with gp.Monitor(module, probes=[], every=1, most_rows=4 * rows) as monitor:
        with pytest.warns(RuntimeWarning, match="dropped every second record"):
            train(monitor, module, 15)
        assert monitor.every == 4
    assert monitor.frame()["iteration"].unique().tolist() == [0, 4, 8, 12]


def test_a_monitor_that_is_off_registers_nothing() -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    with gp.Monitor(module, enabled=False) as monitor:
        assert not module._forward_hooks
        train(monitor, module, 2)
    assert not module._forward_hooks
    assert monitor.frame().empty
    assert monitor.overhead.seconds == 0.0


# The compiler itself looks at this attribute of a state that it is given.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_compiled_network_and_a_compiled_cell() -> None:
    for module in (nn.GRU(FEATURES, UNITS).double(), nn.GRUCell(FEATURES, UNITS).double()):
        compiled: Any = torch.compile(module, backend="eager")
        torch.compiler.reset()
        tables = []
        for called in (module, compiled):
            with gp.Monitor(module, probes=[], every=2) as monitor:
                for _ in range(3):
                    run_as(module, called).backward()
                    monitor.step()
            tables.append(monitor.frame())
        np.testing.assert_allclose(loss_values(tables[0]), loss_values(tables[1]), atol=1e-12)
        assert tables[1]["iteration"].unique().tolist() == [0, 2]


def run_as(module: nn.Module, called: Callable[..., Any]) -> Tensor:
    """Return a loss of a module that is called by another name."""
    if isinstance(module, nn.RNNBase):
        return weighted(called(inputs_of())[0])
    hidden = [torch.zeros(BATCH, UNITS, dtype=torch.float64)]
    for now in inputs_of():
        hidden.append(called(now, hidden[-1]))
    return weighted(torch.stack(hidden[1:]))


def test_the_recurrent_part_of_a_network_is_found() -> None:
    network = nn.ModuleDict({"embedding": nn.Embedding(5, 2), "rnn": nn.GRU(2, 3)})
    assert gp.Monitor(network).module is network["rnn"]
    stack = nn.ModuleDict({"below": nn.LSTMCell(2, 3), "above": nn.LSTMCell(3, 3)})
    with pytest.raises(ArgumentError, match=r"2 recurrent parts: below \(LSTMCell\), above"):
        gp.Monitor(stack)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m: gp.Monitor(m, ["loss_gradient"]), ArgumentError, "in any case"),
        (lambda m: gp.Monitor(m, ["no_probe"]), UnknownNameError, "no_probe"),
        (lambda m: gp.Monitor(m, "condition"), ArgumentError, "probes must be a list of names"),
        (lambda m: gp.Monitor(m, sequences=0), ArgumentError, "sequences must be a positive"),
        (lambda _: gp.Monitor(nn.GRU(1, 2, bidirectional=True)), UnsupportedModelError, "direct"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    make: Callable[[nn.Module], object], error: type[Exception], message: str
) -> None:
    module = nn.GRU(FEATURES, UNITS)
    with pytest.raises(error, match=message):
        make(module)
    assert not module._forward_hooks
