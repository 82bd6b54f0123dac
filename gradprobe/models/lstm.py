"""The long short-term memory network (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.explicit.rule import (
    PointwiseRule,
    sigmoid_backward,
    tanh_,
    tanh_backward,
)
from gradprobe.models.unconstrained import UnconstrainedCell

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step
    from gradprobe.models.initialiser import Initialiser


class LstmRule(PointwiseRule):
    """φ of an LSTM; i, f, g and o are saved, tanh(c) is computed again on the way back.

    Examples
    --------
    >>> LstmRule().saved_planes
    4
    """

    saved_planes: ClassVar[int] = 4
    keeps_hidden: ClassVar[bool] = False

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write the gates, then c and h."""
        (_, old_memory), (hidden, memory), (input_gate, forget_gate, candidate, output_gate), _ = (
            step
        )
        for gate in (input_gate, forget_gate, output_gate):
            gate.sigmoid_()
        torch.mul(forget_gate, old_memory, out=memory)
        memory.addcmul_(input_gate, tanh_(candidate))
        tanh_(memory, out=hidden).mul_(output_gate)

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the gradients of the four gates, and of c to the total."""
        (_, old_memory), (_, memory), (input_gate, forget_gate, candidate, output_gate), _ = step
        to_input, to_forget, to_candidate, to_output = to_drive
        to_hidden, to_memory = total
        activated = tanh_(memory, out=to_input)
        torch.mul(to_hidden, activated, out=to_output)
        sigmoid_backward(to_output, output_gate, grad_input=to_output)
        torch.mul(to_hidden, output_gate, out=to_candidate)
        to_memory.add_(tanh_backward(to_candidate, activated, grad_input=to_candidate))
        torch.mul(to_memory, candidate, out=to_input)
        sigmoid_backward(to_input, input_gate, grad_input=to_input)
        torch.mul(to_memory, old_memory, out=to_forget)
        sigmoid_backward(to_forget, forget_gate, grad_input=to_forget)
        torch.mul(to_memory, input_gate, out=to_candidate)
        tanh_backward(to_candidate, candidate, grad_input=to_candidate)
        to_memory.mul_(forget_gate)


class Lstm(UnconstrainedCell):
    """An LSTM; its state is (h, c), both of length N.

    i, f, o = σ(W_{i,f,o} h_{t-1} + V_{i,f,o} x_t + b_{i,f,o}),
    g = tanh(W_g h_{t-1} + V_g x_t + b_g),
    c_t = f ∘ c_{t-1} + i ∘ g,  h_t = o ∘ tanh(c_t);
    the gates are stacked in torch's order i, f, g, o.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W ~ N(0, σ_w²/N), V ~ N(0, 1/D), biases 0 but for
        `forget_bias`.
    recurrent_scale
        σ_w.
    forget_bias
        Initial bias of the forget gate; 1 keeps memory open (Jozefowicz et al. 2015).
    biases
        ``"one"`` vector, torch's ``"two"`` (added), or ``"none"``; with ``"none"`` a forget bias
        cannot be had and must be 0.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> Lstm(1, 128, initialiser=initialiser).stored_parameters + 10 * 129
    67850
    """

    components: ClassVar[int] = 2
    recurrent_terms: ClassVar[int] = 4
    drive_terms: ClassVar[int] = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        recurrent_scale: float = 1.0,
        forget_bias: float = 1.0,
        biases: str = "one",
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            initialiser=initialiser,
            recurrent_scale=recurrent_scale,
            biases=biases,
        )
        self._open_forget_gate(checks.finite_number("forget_bias", forget_bias))

    def _open_forget_gate(self, forget_bias: float) -> None:
        if self.biases.input is None:
            if forget_bias != 0.0:
                raise ArgumentError(
                    "forget_bias must be 0 when biases is 'none', since there is no bias to hold "
                    f"it; got {forget_bias}"
                )
            return
        with torch.no_grad():
            self.biases.input[self.hidden_size : 2 * self.hidden_size] = forget_bias

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return (o ∘ tanh(c_t), c_t)."""
        gates = recurrent + drive
        input_gate, forget_gate, _, output_gate = torch.sigmoid(gates).unbind(-2)
        candidate = torch.tanh(gates.select(-2, 2))
        memory = torch.addcmul(forget_gate * state.select(-2, 1), input_gate, candidate)
        return torch.stack((output_gate * torch.tanh(memory), memory), dim=-2)

    def pointwise_rule(self) -> LstmRule:
        """Return `pointwise` with its derivative."""
        return LstmRule()

    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        """Return i, f and o."""
        input_gate, forget_gate, _, output_gate = torch.sigmoid(recurrent + drive).unbind(-2)
        return {"input": input_gate, "forget": forget_gate, "output": output_gate}
