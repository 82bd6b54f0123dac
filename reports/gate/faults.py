"""Faults that people make in recurrent models, each put into a sound one on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradprobe.models import RecurrentModel

VANILLA = "Vanilla RNN"
ORTHOGONAL = "Orthogonal RNN"
LSTM = "LSTM, forget bias 1"
GRU = "GRU"
ANTISYMMETRIC = "AntisymmetricRNN"
GATED = "Gated AntisymmetricRNN"


@dataclass(frozen=True)
class Fault:
    """A fault: in which model of `studies/stability.toml` it is, and how it comes in.

    Attributes
    ----------
    model
        Label of the model.
    name
        What went wrong.
    change
        Changes the model.
    inputs
        Changes the inputs.
    state
        Gives s_0 for a model and inputs; zeros if None.
    """

    model: str
    name: str
    change: Callable[[RecurrentModel], None] = lambda _: None
    inputs: Callable[[Tensor], Tensor] = lambda inputs: inputs
    state: Callable[[RecurrentModel, Tensor], Tensor] | None = None


class Matrix(nn.Module):
    """A recurrent matrix that a fault has made of a sound one's."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self) -> Tensor:
        """Return the matrix."""
        return self.matrix


def cell(model: RecurrentModel) -> Any:
    """Return the model's only layer."""
    return model.layers[0]


def scaled(name: str, factor: Callable[[Any], float]) -> Callable[[RecurrentModel], None]:
    """Return a change that multiplies a parameter."""

    def change(model: RecurrentModel) -> None:
        getattr(cell(model), name).mul_(factor(cell(model)))

    return change


def transposed_blocks(model: RecurrentModel) -> None:
    """Transpose the recurrent matrix of every gate."""
    weight = cell(model).recurrent_weight
    size = cell(model).hidden_size
    weight.copy_(weight.unflatten(0, (-1, size)).mT.flatten(0, 1).clone())


def transposed_orthogonal(model: RecurrentModel) -> None:
    """Transpose an orthogonal matrix: it stays orthogonal."""
    freed(model).copy_(cell(model).recurrent.weight.mT.clone())


def freed(model: RecurrentModel) -> Tensor:
    """Return the recurrent weight, rid of its parametrisation."""
    linear = cell(model).recurrent
    parametrize.remove_parametrizations(linear, "weight", leave_parametrized=True)
    weight: Tensor = linear.weight
    return weight


def shrunk(model: RecurrentModel) -> None:
    """Multiply an orthogonal matrix by 0.9."""
    freed(model).mul_(0.9)


def halves_swapped(model: RecurrentModel) -> None:
    """Swap the rows of the gate with those of the candidate."""
    for parameter in (cell(model).input_weight, cell(model).bias):
        parameter.copy_(parameter.roll(len(parameter) // 2, 0))


def gates_in_order(*order: int) -> Callable[[RecurrentModel], None]:
    """Return a change that puts the gates' rows of every parameter into another order."""

    def change(model: RecurrentModel) -> None:
        for parameter in model.parameters():
            blocks = parameter.unflatten(0, (len(order), -1))
            parameter.copy_(blocks[list(order)].flatten(0, 1).clone())

    return change


def gate_bias(gate: int, value: float) -> Callable[[RecurrentModel], None]:
    """Return a change that sets one gate's bias and clears the others."""

    def change(model: RecurrentModel) -> None:
        bias = cell(model).biases.input.zero_()
        bias.unflatten(0, (-1, cell(model).hidden_size))[gate] = value

    return change


def in_half_precision(model: RecurrentModel) -> None:
    """Round every parameter to float16."""
    for parameter in model.parameters():
        parameter.copy_(parameter.half())


def setting(name: str, value: Callable[[Any], Any]) -> Callable[[RecurrentModel], None]:
    """Return a change of an attribute of the cell."""

    def change(model: RecurrentModel) -> None:
        setattr(cell(model), name, value(cell(model)))

    return change


def diffusion(factor: float) -> Callable[[RecurrentModel], None]:
    """Return a change that multiplies γ."""

    def change(model: RecurrentModel) -> None:
        cell(model).matrix.diffusion *= factor

    return change


def matrix_of(remade: Callable[[Tensor], Tensor]) -> Callable[[RecurrentModel], None]:
    """Return a change that makes another matrix of W − Wᵀ − γI."""

    def change(model: RecurrentModel) -> None:
        cell(model).matrix = Matrix(remade(cell(model).matrix().clone()))

    return change


def after_a_free_step(model: RecurrentModel) -> None:
    """Take an optimiser's step of length 0.01 an entry that does not know of orthogonality."""
    weight = freed(model)
    signs = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)).sign()
    weight.sub_(0.01 * signs)


def with_dropout(model: RecurrentModel) -> None:
    """Drop a tenth of the recurrent weights, as training does."""
    weight = cell(model).recurrent_weight
    kept = torch.rand(weight.shape, generator=torch.Generator().manual_seed(0)) > 0.1
    weight.mul_(kept / 0.9)


def ones(model: RecurrentModel, inputs: Tensor) -> Tensor:
    """Return a state of ones."""
    return inputs.new_ones(inputs.shape[1], model.state_size)


def left_over(model: RecurrentModel, inputs: Tensor) -> Tensor:
    """Return the state in which the model was left by other sequences."""
    final: Tensor = model(inputs.flip(1))[1].detach()
    return final


FAULTS = (
    Fault(
        VANILLA,
        "variance taken for standard deviation",
        scaled("recurrent_weight", lambda cell: cell.hidden_size**-0.5),
    ),
    Fault(
        VANILLA,
        "weights not divided by √N",
        scaled("recurrent_weight", lambda cell: cell.hidden_size**0.5),
    ),
    Fault(VANILLA, "recurrent matrix 1 % too large", scaled("recurrent_weight", lambda _: 1.01)),
    Fault(VANILLA, "recurrent matrix transposed", transposed_blocks),
    Fault(VANILLA, "weights in float16", in_half_precision),
    Fault(VANILLA, "dropout left on", with_dropout),
    Fault(VANILLA, "initial state of ones", state=ones),
    Fault(VANILLA, "state carried over from other sequences", state=left_over),
    Fault(VANILLA, "ReLU for tanh", setting("nonlinearity", lambda _: "relu")),
    Fault(VANILLA, "inputs not scaled: 16 times too large", inputs=lambda inputs: 16 * inputs),
    Fault(VANILLA, "sequences reversed in time", inputs=lambda inputs: inputs.flip(0)),
    Fault(VANILLA, "input features reversed", inputs=lambda inputs: inputs.flip(2)),
    Fault(ORTHOGONAL, "orthogonality lost after an optimiser's step", after_a_free_step),
    Fault(ORTHOGONAL, "matrix scaled by 0.9", shrunk),
    Fault(ORTHOGONAL, "recurrent matrix transposed", transposed_orthogonal),
    Fault(LSTM, "forget bias 0", gate_bias(1, 0.0)),
    Fault(LSTM, "forget bias added twice", gate_bias(1, 2.0)),
    Fault(LSTM, "forget bias given to the output gate", gate_bias(3, 1.0)),
    Fault(LSTM, "input and forget gate swapped", gates_in_order(1, 0, 2, 3)),
    Fault(LSTM, "candidate and output gate swapped", gates_in_order(0, 1, 3, 2)),
    Fault(LSTM, "weights in float16", in_half_precision),
    Fault(LSTM, "state carried over from other sequences", state=left_over),
    Fault(GRU, "reset and update gate swapped", gates_in_order(1, 0, 2)),
    Fault(GRU, "recurrent matrices transposed", transposed_blocks),
    Fault(ANTISYMMETRIC, "sign of γ", diffusion(-1.0)),
    Fault(ANTISYMMETRIC, "γ forgotten", diffusion(0.0)),
    Fault(ANTISYMMETRIC, "ε doubled", setting("step_size", lambda cell: 2 * cell.step_size)),
    Fault(ANTISYMMETRIC, "ε forgotten", setting("step_size", lambda _: 1.0)),
    Fault(ANTISYMMETRIC, "antisymmetry lost: Wᵀ not subtracted", matrix_of(torch.triu)),
    Fault(
        ANTISYMMETRIC,
        "Wᵀ added, not subtracted",
        matrix_of(lambda matrix: matrix.triu() + matrix.triu(1).mT),
    ),
    Fault(
        ANTISYMMETRIC, "recurrent matrix transposed", matrix_of(lambda matrix: matrix.mT.clone())
    ),
    Fault(GATED, "sign of γ", diffusion(-1.0)),
    Fault(GATED, "gate and candidate swapped", halves_swapped),
    Fault(GATED, "ε doubled", setting("step_size", lambda cell: 2 * cell.step_size)),
)
"""What is put into the models of `studies/stability.toml`, one at a time."""
