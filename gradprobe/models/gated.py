"""The gated Euler cells of the AntisymmetricRNN paper: equation 13 and its ablation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from gradprobe import checks
from gradprobe.models.antisymmetric import DiffusedAntisymmetricMatrix
from gradprobe.models.cell import Cell
from gradprobe.models.explicit.rule import PointwiseRule, tanh_

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.explicit.rule import Planes, Step
    from gradprobe.models.initialiser import Initialiser


class GatedEulerRule(PointwiseRule):
    """φ = h + ε z ∘ y with y = tanh(A h + u_h) and z = σ(A h + u_z), which are saved.

    Parameters
    ----------
    step_size
        ε.

    Examples
    --------
    >>> GatedEulerRule(0.01).scale
    0.01
    """

    saved_planes: ClassVar[int] = 2
    joined: ClassVar[bool] = False

    def __init__(self, step_size: float) -> None:
        self.scale = step_size

    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write h + ε z ∘ y."""
        update, gate = step.saved
        tanh_(update.add_(recurrent[0]))
        gate.add_(recurrent[0]).sigmoid_()
        torch.addcmul(step.old[0], gate, update, value=self.scale, out=step.new[0])

    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write total ∘ z (1 − y²) and total ∘ z (1 − z) y, and their sum for A h."""
        update, gate = step.saved
        to_update, to_gate = to_drive
        through_gate = torch.mul(total[0], gate, out=to_recurrent[0])
        torch.mul(through_gate, update, out=to_gate)
        torch.addcmul(through_gate, to_gate, update, value=-1, out=to_update)
        to_gate.addcmul_(to_gate, gate, value=-1)
        torch.add(to_update, to_gate, out=to_recurrent[0])


class GatedEuler(Cell):
    """h_t = h_{t-1} + ε z_t ∘ tanh(A h_{t-1} + V_h x_t + b_h), z_t = σ(A h_{t-1} + V_z x_t + b_z).

    The gate and the update share the recurrent matrix A, which a subclass states.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: V_h, V_z ~ N(0, 1/D), biases 0.
    step_size
        ε of the forward Euler method.

    Examples
    --------
    >>> issubclass(GatedAntisymmetric, GatedEuler)
    True
    """

    drive_terms: ClassVar[int] = 2
    step_size: float

    def __init__(
        self, input_size: int, hidden_size: int, *, initialiser: Initialiser, step_size: float
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.step_size = checks.positive_number("step_size", step_size)
        self.input_weight = initialiser.input_weight(2 * self.hidden_size, self.input_size)
        self.bias = initialiser.constant(2 * self.hidden_size)

    def input_matrix(self) -> Tensor:
        """Return V_h above V_z, shape (2N, D)."""
        return self.input_weight

    def drive_bias(self) -> Tensor:
        """Return b_h, then b_z, shape (2N,)."""
        return self.bias

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        """Return h + ε z ∘ tanh(A h + V_h x + b_h)."""
        update = torch.tanh(recurrent + drive[..., :1, :])
        gate = torch.sigmoid(recurrent + drive[..., 1:, :])
        return state + self.step_size * gate * update

    def pointwise_rule(self) -> GatedEulerRule:
        """Return `pointwise` with its derivative."""
        return GatedEulerRule(self.step_size)

    def gates(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> dict[str, Tensor]:
        """Return z, which lets the update in where it is open."""
        return {"input": torch.sigmoid(recurrent + drive[..., 1:, :]).squeeze(-2)}


class GatedAntisymmetric(GatedEuler):
    """The AntisymmetricRNN with gating: A = W − Wᵀ − γI, shared by the gate and the update.

    The proof of Appendix B, that a positive diagonal matrix times an antisymmetric one has
    imaginary eigenvalues, does not cover this model, although section 3.4 reads as if it did: the
    diagonal factor of its Jacobian is z tanh′ + z(1−z) tanh, of either sign, so the eigenvalues of
    F_t do leave the imaginary axis, by an amount of the order of σ_w.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W's entries ~ N(0, σ_w²/N), V_h, V_z ~ N(0, 1/D),
        biases 0.
    step_size
        ε of the forward Euler method.
    diffusion
        γ.
    recurrent_scale
        σ_w.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN: A Dynamical System View on Recurrent Neural
    Networks", ICLR 2019, equation 13; initialisation: Appendix C.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> GatedAntisymmetric(1, 128, initialiser=initialiser).degrees_of_freedom + 10 * 129
    9930
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        step_size: float = 0.01,
        diffusion: float = 0.01,
        recurrent_scale: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size, initialiser=initialiser, step_size=step_size)
        self.matrix = DiffusedAntisymmetricMatrix(
            self.hidden_size, diffusion, recurrent_scale, initialiser
        )

    def recurrent_matrix(self) -> Tensor:
        """Return W − Wᵀ − γI."""
        matrix: Tensor = self.matrix()
        return matrix

    def constraint_error(self) -> float:
        """Return the largest entry of |A + Aᵀ + 2γI|, A being the recurrent matrix."""
        return self.matrix.constraint_error()


class GatedUnstructured(GatedEuler):
    """The paper's ablation: the gated cell with an unconstrained matrix A = W.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: W ~ N(0, σ_w²/N), V_h, V_z ~ N(0, 1/D), biases 0.
    step_size
        ε of the forward Euler method.
    recurrent_scale
        σ_w.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, section 5.4 and Table 2, "Ablation
    model".

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> GatedUnstructured(3, 196, initialiser=initialiser).degrees_of_freedom + 10 * 197
    41954
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        step_size: float = 0.01,
        recurrent_scale: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size, initialiser=initialiser, step_size=step_size)
        self.recurrent_weight = initialiser.recurrent_weight(self.hidden_size, recurrent_scale)

    def recurrent_matrix(self) -> Tensor:
        """Return W."""
        return self.recurrent_weight
