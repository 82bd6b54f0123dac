"""The coupled oscillatory network, coRNN (Rusch & Mishra, ICLR 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from gradprobe import checks
from gradprobe.models.cell import Cell
from gradprobe.models.explicit.rule import PointwiseRule, tanh_, tanh_backward

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step
    from gradprobe.models.initialiser import Initialiser


class CoRnn(Cell):
    """Damped oscillators, which drive each other and are driven by the input.

    z_t = z_{t-1} + Δt (tanh(W y_{t-1} + 𝒲 z_{t-1} + V x_t + b) − γ y_{t-1} − ε z_{t-1}),
    y_t = y_{t-1} + Δt z_t;
    h is y and the state (y, z), positions and velocities.  The recurrent matrix (W 𝒲) multiplies
    both.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from, as in the authors' code: W, 𝒲, V and b uniform between
        ±1/√(D + 2N).
    time_step
        Δt.
    stiffness
        γ, which sets the frequency of the oscillations.
    damping
        ε.  The defaults of the three are those published for MNIST pixel by pixel; for permuted
        MNIST they are 0.076, 0.4 and 8.0, for noise-padded CIFAR-10 0.034, 1.3 and 12.7.

    References
    ----------
    Rusch, Mishra, "Coupled Oscillatory Recurrent Neural Network (coRNN): An accurate and (gradient)
    stable architecture for learning long time dependencies", ICLR 2021, in the form of its code,
    with the damping taken at z_{t-1}.

    Examples
    --------
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> CoRnn(1, 256, initialiser=initialiser).degrees_of_freedom + 10 * 257
    134154
    """

    components: ClassVar[int] = 2
    recurrent_components: ClassVar[int] = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        time_step: float = 0.042,
        stiffness: float = 2.7,
        damping: float = 4.7,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.time_step = checks.positive_number("time_step", time_step)
        self.stiffness = checks.non_negative_number("stiffness", stiffness)
        self.damping = checks.non_negative_number("damping", damping)
        size = self.hidden_size
        bound = (self.input_size + 2 * size) ** -0.5
        self.recurrent_weight = initialiser.uniform(size, 2 * size, low=-bound, high=bound)
        self.input_weight = initialiser.uniform(size, self.input_size, low=-bound, high=bound)
        self.bias = initialiser.uniform(size, low=-bound, high=bound)

    def recurrent_matrix(self) -> Tensor:
        """Return (W 𝒲), shape (N, 2N)."""
        return self.recurrent_weight

    def input_matrix(self) -> Tensor:
        """Return V."""
        return self.input_weight

    def drive_bias(self) -> Tensor:
        """Return b."""
        return self.bias

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return (y_t, z_t)."""
        position, velocity = state.unbind(-2)
        force = torch.tanh(recurrent + drive).squeeze(-2)
        acceleration = force - self.stiffness * position - self.damping * velocity
        velocity = velocity + self.time_step * acceleration
        return torch.stack((position + self.time_step * velocity, velocity), dim=-2)

    def pointwise_rule(self) -> CoRnnRule:
        """Return `pointwise` with its derivative."""
        return CoRnnRule(self.time_step, self.stiffness, self.damping)


class CoRnnRule(PointwiseRule):
    """φ of coRNN; the force f = tanh(R s + u) is saved, Δt waits for the products.

    Parameters
    ----------
    time_step, stiffness, damping
        Δt, γ and ε.

    Examples
    --------
    >>> CoRnnRule(0.1, 1.0, 2.0).scale
    0.1
    """

    def __init__(self, time_step: float, stiffness: float, damping: float) -> None:
        self.scale = time_step
        self.pull, self.kept = time_step * stiffness, 1 - time_step * damping

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write z_t, then y_t."""
        (position, velocity), (new_position, new_velocity), (force,), _ = step
        torch.mul(velocity, self.kept, out=new_velocity)
        new_velocity.sub_(position, alpha=self.pull).add_(tanh_(force), alpha=self.scale)
        torch.add(position, new_velocity, alpha=self.scale, out=new_position)

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the gradient of the force's argument, that of y and z to the total."""
        to_position, to_velocity = total
        to_velocity.add_(to_position, alpha=self.scale)
        tanh_backward(to_velocity, step.saved[0], grad_input=to_drive[0])
        to_position.sub_(to_velocity, alpha=self.pull)
        to_velocity.mul_(self.kept)
