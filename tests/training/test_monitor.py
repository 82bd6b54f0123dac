"""The monitor in plain training loops, against automatic differentiation of the same loop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradprobe as gp
from gradprobe.errors import ArgumentError, MonitorError, UnsupportedModelError

LENGTH, BATCH, FEATURES, UNITS, CLASSES = 12, 5, 3, 6, 4


class Network(nn.Module):
    """A recurrent part, a readout of its last output and of its mean, and of its final state."""

    def __init__(self, recurrent: nn.Module, units: int = UNITS) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.readout = nn.Linear(units, CLASSES, dtype=torch.float64)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        output, final = self.recurrent(inputs)
        time = 1 if getattr(self.recurrent, "batch_first", False) else 0
        parts = final if isinstance(final, tuple) else (final,)
        extra = sum(part.square().sum() for part in parts)
        scores = self.readout(output.select(time, -1) + output.mean(time))
        loss: Tensor = functional.cross_entropy(scores, targets) + 0.1 * extra
        return loss


def draw() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(LENGTH, BATCH, FEATURES, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(CLASSES, (BATCH,), generator=generator)


def reference(
    model: gp.models.RecurrentModel, network: Network, final_of: Callable[..., Any]
) -> Tensor:
    """Return ‖∂L/∂h_t‖ for t = 0 … T, shape (T + 1, B), of a loop over the steps."""
    inputs, targets = draw()
    states = [torch.zeros(BATCH, model.state_size, dtype=torch.float64, requires_grad=True)]
    hidden = [states[0][:, model.hidden_slice]]
    for now in inputs:
        state = model.step(now, states[-1])
        state.retain_grad()
        states.append(state)
    hidden = [state[:, model.hidden_slice] for state in states[1:]]
    extra = sum(part.square().sum() for part in final_of(states[-1]))
    scores = network.readout(hidden[-1] + torch.stack(hidden).mean(0))
    (functional.cross_entropy(scores, targets) + 0.1 * extra).backward()
    gradients = [state.grad for state in states]
    return torch.stack([g[:, model.hidden_slice].norm(dim=-1) for g in gradients if g is not None])


def loss_values(table: pd.DataFrame, iteration: int = 0) -> np.ndarray:
    """Return the recorded log‖∂L/∂h_t‖, shape (T + 1, sequences)."""
    rows = table.query("probe == 'loss_gradient' and iteration == @iteration")
    return rows.pivot_table(index="step", columns="sequence", values="value").to_numpy()


RECURRENT: dict[str, Callable[[], nn.Module]] = {
    "rnn": lambda: nn.RNN(FEATURES, UNITS),
    "lstm-stacked": lambda: nn.LSTM(FEATURES, UNITS, num_layers=2),
    "gru-batch-first": lambda: nn.GRU(FEATURES, UNITS, batch_first=True),
    "own": lambda: gp.models.build("antisymmetric", input_size=FEATURES, hidden_size=UNITS),
}


@pytest.mark.parametrize("case", RECURRENT)
def test_the_gradients_are_those_of_automatic_differentiation(case: str) -> None:
    torch.manual_seed(0)
    module = RECURRENT[case]().double()
    network = Network(module)
    inputs, targets = draw()
    with gp.Monitor(module, probes=[], sequences=BATCH) as monitor:
        layout = inputs.transpose(0, 1) if getattr(module, "batch_first", False) else inputs
        network(layout, targets).backward()
        monitor.step()
    # torch's final state is that of each layer: every part of our state, in another order.
    expected = reference(gp.adapt(module), network, lambda state: [state])  # type: ignore[arg-type]
    recorded = np.exp(loss_values(monitor.frame()))
    np.testing.assert_allclose(recorded, expected.detach(), rtol=1e-12)
    assert monitor.frame()["resolved"].all()


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell])
def test_a_cell_in_a_loop_of_its_own(kind: type[nn.LSTMCell | nn.GRUCell]) -> None:
    torch.manual_seed(0)
    cell = kind(FEATURES, UNITS).double()
    readout = nn.Linear(UNITS, CLASSES).double()
    inputs, targets = draw()
    zeros = torch.zeros(BATCH, UNITS, dtype=torch.float64)
    with gp.Monitor(cell, probes=["singular_values"], sequences=2) as monitor:
        state: Any = (zeros, zeros) if kind is nn.LSTMCell else zeros
        hidden = []
        for now in inputs:
            state = cell(now, state)
            hidden.append(state[0] if isinstance(state, tuple) else state)
            hidden[-1].retain_grad()
        functional.cross_entropy(readout(hidden[-1]), targets).backward()
        monitor.step()
    table = monitor.frame()
    expected = torch.stack([h.grad.norm(dim=-1) for h in hidden if h.grad is not None])[:, :2]
    np.testing.assert_allclose(np.exp(loss_values(table)), expected, rtol=1e-12)
    alone = gp.probe(cell, inputs[:, :2], ["singular_values"])
    recorded = table.query("probe == 'singular_values'")["value"].to_numpy()
    np.testing.assert_allclose(recorded, alone["value"], rtol=1e-12)


def test_a_cell_of_one_s_own_and_two_sequences_in_one_iteration() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(FEATURES + UNITS, UNITS, dtype=torch.float64)

        def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> Any:
            h, c = state
            c = 0.9 * c + torch.tanh(self.linear(torch.cat((x, h), dim=-1)))
            return c.sum(), (torch.sin(c), c)

    cell = Pair()
    inputs, _ = draw()
    gradients = []
    with gp.Monitor(cell, probes=[], sequences=4) as monitor:
        for part in (inputs[:, :3], inputs[:, 3:]):
            zeros = torch.zeros(part.shape[1], UNITS, dtype=torch.float64)
            state = zeros, zeros
            hidden = []
            for now in part:
                _, state = cell(now, state)
                state[0].retain_grad()
                hidden.append(state[0])
            hidden[-1].square().sum().backward()
            gradients.append(torch.stack([h.grad for h in hidden if h.grad is not None]))
        monitor.step()
    expected = torch.cat(gradients, dim=1).norm(dim=-1)[:, :4]
    np.testing.assert_allclose(np.exp(loss_values(monitor.frame())), expected, rtol=1e-12)


def train(module: nn.Module, **options: Any) -> tuple[gp.Monitor, list[Tensor]]:
    """Train for seven iterations; return the monitor and the parameters."""
    torch.manual_seed(0)
    network = Network(module)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    inputs, targets = draw()
    with gp.Monitor(module, **options) as monitor:
        for _ in range(7):
            optimizer.zero_grad()
            network(inputs + 0.1 * torch.randn_like(inputs), targets).backward()
            monitor.step()
            nn.utils.clip_grad_norm_(network.parameters(), 1e-3)
            optimizer.step()
    return monitor, [p.detach().clone() for p in network.parameters()]


def test_training_is_not_changed_and_only_some_iterations_are_recorded() -> None:
    torch.manual_seed(3)
    module = nn.LSTM(FEATURES, UNITS).double()
    twin = copy.deepcopy(module)
    often, parameters = train(module, probes=["singular_values"], every=3)
    rarely, same = train(twin, probes=[], every=100)
    assert all(torch.equal(a, b) for a, b in zip(parameters, same, strict=True))
    assert set(often.frame()["iteration"]) == {0, 3, 6}
    assert set(rarely.frame()["iteration"]) == {0}
    first = often.frame().query("probe == 'loss_gradient' and iteration == 0")
    assert np.array_equal(first["value"], rarely.frame()["value"])
    assert 0 < rarely.overhead.fraction < 1
    assert rarely.overhead.seconds < often.overhead.seconds


def test_a_module_that_is_not_to_be_recorded_has_no_hook() -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    network = Network(module)
    inputs, targets = draw()
    monitor = gp.Monitor(module, probes=[], every=3)
    hooks = []
    for _ in range(4):
        hooks.append(len(module._forward_hooks))
        network(inputs, targets).backward()
        monitor.step()
    monitor.close()
    assert [*hooks, len(module._forward_hooks)] == [1, 0, 0, 1, 0]
    with pytest.raises(RuntimeError, match="stop"), gp.Monitor(module):
        raise RuntimeError("stop")
    assert len(module._forward_hooks) == 0


def test_clipping_after_the_step_and_evaluation_between_leave_no_trace() -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    network = Network(module)
    inputs, targets = draw()
    tables = []
    for evaluate in (False, True):
        with gp.Monitor(module, probes=["gradient_norm"], sequences=2) as monitor:
            if evaluate:
                with torch.no_grad():
                    network(3 * inputs, targets)
            network(inputs, targets).backward()
            monitor.step()
            nn.utils.clip_grad_norm_(network.parameters(), 1e-6)
        tables.append(monitor.frame())
    pd.testing.assert_frame_equal(tables[0], tables[1])


def test_the_scale_of_a_gradient_scaler_is_taken_out() -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    network = Network(module)
    inputs, targets = draw()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    tables = []
    for unscale in (False, True, None):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        with gp.Monitor(module, probes=[]) as monitor:
            loss = network(inputs, targets)
            (loss if unscale is None else scaler.scale(loss)).backward()
            if unscale:
                scaler.unscale_(optimizer)
            monitor.step(None if unscale is None else scaler)
        tables.append(loss_values(monitor.frame()))
    np.testing.assert_allclose(tables[0], tables[2], atol=1e-12)
    np.testing.assert_allclose(tables[1], tables[2], atol=1e-12)


def test_gradients_that_the_scaler_will_skip_are_infinite_here() -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    network = Network(module)
    inputs, targets = draw()
    with gp.Monitor(module, probes=[]) as monitor:
        (network(inputs, targets) * torch.inf).backward()
        monitor.step()
    assert np.isposinf(loss_values(monitor.frame())).all()
    assert not monitor.frame()["resolved"].any()


def test_accumulated_micro_batches_are_taken_in_turn() -> None:
    module = nn.GRU(FEATURES, UNITS).double()
    network = Network(module)
    inputs, targets = draw()
    with gp.Monitor(module, probes=["singular_values"], sequences=4) as monitor:
        for part in (slice(0, 3), slice(3, 5)):
            (network(inputs[:, part], targets[part]) / 2).backward()
        monitor.step()
    table = monitor.frame()
    assert set(table["sequence"]) == {0, 1, 2, 3}
    with gp.Monitor(module, probes=["singular_values"], sequences=4) as monitor:
        (network(inputs[:, 3:], targets[3:]) / 2).backward()
        monitor.step()
    second = monitor.frame().query("sequence == 0")["value"].to_numpy()
    np.testing.assert_allclose(table.query("sequence == 3")["value"], second, rtol=1e-12)


def test_autocast_and_an_initial_state() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(FEATURES, UNITS, num_layers=2)
    inputs, _ = draw()
    state = tuple(torch.randn(2, BATCH, UNITS) for _ in range(2))
    with (
        gp.Monitor(module, probes=["singular_values"], sequences=2) as monitor,
        torch.autocast("cpu", dtype=torch.bfloat16),
    ):
        module(inputs.float(), state)[0][-1].sum().backward()
        monitor.step()
    alone = gp.probe(
        module, inputs.float()[:, :2], ["singular_values"], state=tuple(s[:, :2] for s in state)
    )
    recorded = monitor.frame().query("probe == 'singular_values'")
    np.testing.assert_allclose(recorded["value"], alone["value"], rtol=1e-12)
    at_end = loss_values(monitor.frame())[-1]
    np.testing.assert_allclose(np.exp(at_end), UNITS**0.5, rtol=1e-2)


def test_each_record_is_passed_on() -> None:
    seen: list[tuple[int, int]] = []
    module = nn.GRU(FEATURES, UNITS).double()
    train(module, probes=[], every=3, on_record=lambda i, table: seen.append((i, len(table))))
    assert seen == [(i, 4 * (LENGTH + 1)) for i in (0, 3, 6)]


def packed(module: nn.Module) -> Any:
    return module(nn.utils.rnn.pack_padded_sequence(torch.zeros(4, 2, FEATURES), [4, 3]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: gp.Monitor(m, every=0), ArgumentError, "every must be a positive integer"),
        (lambda m: gp.Monitor(m.forward), ArgumentError, "model must be a torch.nn.Module"),
        (lambda m: gp.Monitor(m).step(), MonitorError, "no gradient came back to GRU: call step"),
        (
            lambda _: gp.Monitor(nn.GRU(2, 3, num_layers=2, dropout=0.5)),
            UnsupportedModelError,
            "dropout=0.5 between its layers draws masks",
        ),
        (
            lambda m: (gp.Monitor(m), packed(m)),
            MonitorError,
            r"must be given inputs \(T, B, D\), .* got PackedSequence; pad packed sequences",
        ),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    call: Callable[[nn.Module], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(nn.GRU(FEATURES, UNITS))
