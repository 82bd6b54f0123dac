"""Long Expressive Memory (Rusch, Mishra, Erichson, Mahoney, ICLR 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from gradprobe import checks
from gradprobe.models.cell import Cell
from gradprobe.models.explicit.rule import (
    PointwiseRule,
    sigmoid_backward,
    tanh_,
    tanh_backward,
)
from gradprobe.models.staged import StagedCell

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step
    from gradprobe.models.initialiser import Initialiser


class Lem(StagedCell):
    """A discretisation of differential equations in which every unit learns its two time steps.

    Δ_t = Δt σ(W_1 y_{t-1} + V_1 x_t + b_1),  Δ̄_t = Δt σ(W_2 y_{t-1} + V_2 x_t + b_2),
    z_t = (1 − Δ_t) ∘ z_{t-1} + Δ_t ∘ tanh(W_z y_{t-1} + V_z x_t + b_z),
    y_t = (1 − Δ̄_t) ∘ y_{t-1} + Δ̄_t ∘ tanh(W_y z_t + V_y x_t + b_y);
    h is y and the state (y, z).  As y_t needs a product with z_t, the new one, a step has two
    stages.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from, as in the authors' code: all weights and biases uniform
        between ±1/√N.
    time_step
        Δt, the longest step that a unit can take; published with 1 as the default, and with 0.21 on
        MNIST pixel by pixel, 0.31 on permuted MNIST and 0.44 on noise-padded CIFAR-10.

    References
    ----------
    Rusch, Mishra, Erichson, Mahoney, "Long Expressive Memory for Sequence Modeling", ICLR 2022, and
    its code.

    Examples
    --------
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> Lem(1, 128, initialiser=initialiser).degrees_of_freedom + 10 * 129
    67850
    """

    components: ClassVar[int] = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        time_step: float = 1.0,
    ) -> None:
        step = checks.positive_number("time_step", time_step)
        super().__init__(
            [
                MemoryStage(input_size, hidden_size, initialiser, step),
                OutputStage(input_size, hidden_size, initialiser),
            ]
        )


class LemStage(Cell):
    """What the two stages share: weights W, V and a bias, one row of each for every term.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from.

    Examples
    --------
    >>> issubclass(MemoryStage, LemStage)
    True
    """

    def __init__(self, input_size: int, hidden_size: int, initialiser: Initialiser) -> None:
        super().__init__(input_size, hidden_size)
        size, rows = self.hidden_size, self.recurrent_terms * self.hidden_size
        bound = size**-0.5
        self.recurrent_weight = initialiser.uniform(rows, size, low=-bound, high=bound)
        self.input_weight = initialiser.uniform(rows, self.input_size, low=-bound, high=bound)
        self.bias = initialiser.uniform(rows, low=-bound, high=bound)

    def recurrent_matrix(self) -> Tensor:
        """Return W."""
        return self.recurrent_weight

    def input_matrix(self) -> Tensor:
        """Return V."""
        return self.input_weight

    def drive_bias(self) -> Tensor:
        """Return b."""
        return self.bias


class MemoryStage(LemStage):
    """(y_{t-1}, z_{t-1}) to (y_{t-1}, z_t, Δ̄_t); W_1, W_2 and W_z stand one above the other.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from.
    time_step
        Δt.

    Examples
    --------
    >>> from gradprobe.models import Initialiser
    >>> stage = MemoryStage(1, 4, Initialiser(torch.Generator().manual_seed(0)), 0.5)
    >>> stage.step(torch.zeros(3, 1), torch.zeros(3, 8)).shape
    torch.Size([3, 12])
    """

    components: ClassVar[int] = 2
    recurrent_terms: ClassVar[int] = 3
    drive_terms: ClassVar[int] = 3

    def __init__(
        self, input_size: int, hidden_size: int, initialiser: Initialiser, time_step: float
    ) -> None:
        super().__init__(input_size, hidden_size, initialiser)
        self.time_step = time_step

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return (y_{t-1}, z_t, Δ̄_t)."""
        output, memory = state.unbind(-2)
        to_memory, to_output, candidate = (recurrent + drive).unbind(-2)
        step = self.time_step * torch.sigmoid(to_memory)
        new = (1 - step) * memory + step * torch.tanh(candidate)
        return torch.stack((output, new, self.time_step * torch.sigmoid(to_output)), dim=-2)

    def pointwise_rule(self) -> MemoryRule:
        """Return `pointwise` with its derivative."""
        return MemoryRule(self.time_step)

    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        """Return Δ_t/Δt, which lets new values into z, and Δ̄_t/Δt, which lets z into y."""
        to_memory, to_output = torch.sigmoid(recurrent + drive)[..., :2, :].unbind(-2)
        return {"memory": to_memory, "output": to_output}


class OutputStage(LemStage):
    """(y_{t-1}, z_t, Δ̄_t) to (y_t, z_t); W_y multiplies z_t.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from.

    Examples
    --------
    >>> from gradprobe.models import Initialiser
    >>> stage = OutputStage(1, 4, Initialiser(torch.Generator().manual_seed(0)))
    >>> stage.step(torch.zeros(3, 1), torch.zeros(3, 12)).shape
    torch.Size([3, 8])
    """

    components: ClassVar[int] = 3
    first_recurrent_component: ClassVar[int] = 1

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return (y_t, z_t)."""
        output, memory, step = state.unbind(-2)
        new = (1 - step) * output + step * torch.tanh(recurrent + drive).squeeze(-2)
        return torch.stack((new, memory), dim=-2)

    def pointwise_rule(self) -> OutputRule:
        """Return `pointwise` with its derivative."""
        return OutputRule()


class MemoryRule(PointwiseRule):
    """φ of the first stage; Δ_t/Δt, Δ̄_t/Δt and the candidate are saved, Δt waits for the products.

    Parameters
    ----------
    time_step
        Δt.

    Examples
    --------
    >>> MemoryRule(0.5).saved_planes
    3
    """

    saved_planes: ClassVar[int] = 3

    def __init__(self, time_step: float) -> None:
        self.scale = time_step

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write y_{t-1}, z_t and Δ̄_t."""
        (output, memory), (same, new, output_step), (to_memory, to_output, candidate), _ = step
        torch.sub(tanh_(candidate), memory, out=new).mul_(to_memory.sigmoid_())
        torch.add(memory, new, alpha=self.scale, out=new)
        torch.mul(to_output.sigmoid_(), self.scale, out=output_step)
        same.copy_(output)

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the gradients of the three arguments, and of z_{t-1} to the total."""
        (_, memory), _, (to_memory, to_output, candidate), _ = step
        _, of_memory, of_output_step, *_ = total
        by_memory, by_output, by_candidate = to_drive
        sigmoid_backward(of_output_step, to_output, grad_input=by_output)
        torch.sub(candidate, memory, out=by_memory).mul_(of_memory)
        sigmoid_backward(by_memory, to_memory, grad_input=by_memory)
        torch.mul(of_memory, to_memory, out=by_candidate)
        of_memory.sub_(by_candidate, alpha=self.scale)
        tanh_backward(by_candidate, candidate, grad_input=by_candidate)


class OutputRule(PointwiseRule):
    """φ of the second stage; the candidate tanh(W_y z_t + V_y x_t + b_y) is saved.

    Examples
    --------
    >>> OutputRule().saved_planes
    1
    """

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write y_t and z_t."""
        (output, memory, output_step), (new, same), (candidate,), _ = step
        torch.sub(tanh_(candidate), output, out=new).mul_(output_step).add_(output)
        same.copy_(memory)

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the gradient of the argument, and of y_{t-1} and Δ̄_t to the total."""
        (output, _, output_step), _, (candidate,), _ = step
        of_output, _, of_output_step = total
        torch.sub(candidate, output, out=of_output_step).mul_(of_output)
        torch.mul(of_output, output_step, out=to_drive[0])
        of_output.sub_(to_drive[0])
        tanh_backward(to_drive[0], candidate, grad_input=to_drive[0])
