"""What the benchmarks share: models, what is measured of them, and how others measure it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from gradprobe import models
from gradprobe.models import Dynamics, RecurrentModel, Trajectory
from gradprobe.models.dynamics import LinearStep
from gradprobe.probes.scaled_products import scaled_products, side_by_side

UNITS, LENGTH = 128, 784

Rival = Callable[[RecurrentModel, Tensor], Tensor]


def build(name: str = "vanilla") -> RecurrentModel:
    return models.build(name, input_size=1, hidden_size=UNITS, dtype=torch.float64)


def draw_inputs(length: int = LENGTH, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(length, batch, 1, generator=generator, dtype=torch.float64)


def products(rows: int) -> Callable[[], Tensor]:
    """Return the floor: one product of a (rows, N) with an (N, N) matrix for each step."""
    matrix = torch.full((rows, UNITS), 1 / UNITS, dtype=torch.float64)
    columns = torch.eye(UNITS, dtype=torch.float64)
    result = torch.empty(rows, UNITS, dtype=torch.float64)

    def run() -> Tensor:
        for _ in range(LENGTH):
            torch.mm(matrix, columns, out=result)
        return result

    return run


def norms_forwards(trajectory: Trajectory) -> Tensor:
    """Return log‖∂h_t/∂h_0‖ for t = 1 … T, shape (T, B)."""
    return _norms(trajectory, Trajectory.step_jacobians)


def norms_backwards(trajectory: Trajectory) -> Tensor:
    """Return log‖∂h_T/∂h_t‖ for t = T - 1 … 0, shape (T, B)."""
    return _norms(
        trajectory, lambda part: (jacobian.T for jacobian in part.step_jacobians_reversed())
    )


def from_inputs(model: Dynamics, inputs: Tensor) -> Tensor:
    """Return `norms_forwards`, the run along the inputs included."""
    return norms_forwards(models.trace(model, inputs))


def by_jacrev(model: RecurrentModel, inputs: Tensor) -> Tensor:
    """Return ∂h_T/∂h_0 by reverse mode, vectorised over the outputs."""
    final = _final_state(model, inputs)
    jacobian: Tensor = torch.func.jacrev(final)(_zeros())
    return jacobian


def jacrev_of_cell(step: Callable[[Tensor, Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Return ∂h_T/∂h_0 of a step (x_t, h_{t-1}) ↦ h_t as it is, such as a ``torch.nn.RNNCell``."""

    def final(state: Tensor) -> Tensor:
        for now in inputs[:, 0]:
            state = step(now, state)
        return state

    jacobian: Tensor = torch.func.jacrev(final)(_zeros())
    return jacobian


def by_jacfwd(model: RecurrentModel, inputs: Tensor) -> Tensor:
    """Return ∂h_T/∂h_0 by forward mode, vectorised over the inputs."""
    final = _final_state(model, inputs)
    jacobian: Tensor = torch.func.jacfwd(final)(_zeros())
    return jacobian


def by_autograd_functional(model: RecurrentModel, inputs: Tensor) -> Tensor:
    """Return ∂h_T/∂h_0 row by row."""
    final = _final_state(model, inputs)
    jacobian: Tensor = torch.autograd.functional.jacobian(final, _zeros())
    return jacobian


def lyapunov_exponents_by_clvlib(model: RecurrentModel, inputs: Tensor) -> Tensor:
    """Return the sums of log|diag R| of a QR sweep, with derivatives written by hand."""
    from clvlib.numpy import lyap_exp

    weight, drive = (part.numpy() for part in _vanilla_parts(model, inputs))

    def step(time: float, state: np.ndarray) -> np.ndarray:
        new: np.ndarray = np.tanh(weight @ state + drive[int(time)])
        return new

    def jacobian(time: float, state: np.ndarray) -> np.ndarray:
        slope = 1 - step(time, state) ** 2
        scaled: np.ndarray = slope[:, None] * weight
        return scaled

    states = [np.zeros(UNITS)]
    for time in range(len(drive)):
        states.append(step(time, states[-1]))
    times = np.arange(len(states), dtype=float)
    exponents = lyap_exp(step, jacobian, np.stack(states), times, stepper="discrete")[0]
    return torch.from_numpy(exponents * len(drive))


def _norms(trajectory: Trajectory, steps: Callable[[Trajectory], Iterator[LinearStep]]) -> Tensor:
    rows, generator = trajectory.model.hidden_slice, torch.Generator().manual_seed(0)
    products = scaled_products(trajectory, generator=generator, tolerance=1e-6)
    norms = [product.log_norms(steps(part), rows) for part, product in products]
    return side_by_side(norms).log_norm


def _final_state(model: RecurrentModel, inputs: Tensor) -> Callable[[Tensor], Tensor]:
    """Return h_0 ↦ h_T of a vanilla network in the fastest form: all U x_t + b beforehand."""
    weight, drive = _vanilla_parts(model, inputs)

    def run(state: Tensor) -> Tensor:
        for now in drive:
            state = torch.tanh(weight @ state + now)
        return state

    return run


@torch.no_grad()
def _vanilla_parts(model: RecurrentModel, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return W and the U x_t + b, shapes (N, N) and (T, N)."""
    [cell] = model.cells
    return cell.recurrent_matrix().detach(), cell.drive(inputs)[:, 0, 0]


def _zeros() -> Tensor:
    return torch.zeros(UNITS, dtype=torch.float64)
