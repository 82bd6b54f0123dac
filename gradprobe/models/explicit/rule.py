"""A pointwise map that knows its derivative."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    Planes = Sequence[Tensor]

tanh_backward = torch.ops.aten.tanh_backward.grad_input
"""``tanh_backward(gradient, tanh(z), grad_input=result)``: gradient ∘ (1 − tanh²)."""

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
"""``sigmoid_backward(gradient, σ(z), grad_input=result)``: gradient ∘ σ (1 − σ)."""

DTYPES_OF_NUMPY = (torch.float32, torch.float64)


class Step(NamedTuple):
    """What belongs to one step of a pass.

    Attributes
    ----------
    old, new
        s_{t-1} and s_t, C planes each.
    saved
        As many planes as the rule saves.
    unit
        θ, shape (P, N).
    """

    old: Planes
    new: Planes
    saved: Planes
    unit: Tensor


class PointwiseRule(ABC):
    """φ of a cell, computed in place, and the gradient of φ from what was saved.

    What a unit carries, receives and saves are planes: tensors of shape (B, N), one for each
    component of the state, each recurrent term, each drive term and each saved value.

    Attributes
    ----------
    saved_planes
        How many values a unit saves at each step.  The first K of these planes hold the drive when
        `forward` is called, with the recurrent terms added if `joined`.
    joined
        Whether φ depends on R h + u alone (then G = K), and not on R h and u apart.
    in_state
        Whether the new state itself is the one thing to be saved: then the argument comes in the
        plane of the new state.
    keeps_hidden
        Whether `backward` leaves a gradient with respect to the old state in the components that R
        multiplies; if not, what R brings replaces what stands there.
    scale
        What the gradients that `backward` writes are still to be multiplied by; the products that
        follow do so at no cost.
    """

    saved_planes: ClassVar[int] = 1
    joined: ClassVar[bool] = True
    in_state: ClassVar[bool] = False
    keeps_hidden: ClassVar[bool] = True
    scale: float = 1.0

    @abstractmethod
    def forward(self, step: Step, recurrent: Planes) -> None:
        """Write the new state, and what `backward` needs.

        Parameters
        ----------
        step
            The state before, the new one to be written, and in `saved` the arguments, to be
            replaced by what is saved.
        recurrent
            R h, G planes; none if `joined`.
        """

    @abstractmethod
    def backward(
        self, step: Step, total: Planes, to_drive: Planes, to_recurrent: Planes, to_unit: Tensor
    ) -> None:
        """Write the gradients with respect to the arguments.

        Parameters
        ----------
        step
            As `forward` left it.
        total
            The gradient with respect to s_t, to be replaced by that with respect to s_{t-1} as far
            as it does not come through R.
        to_drive, to_recurrent
            K and G planes to be written; if `joined` these are the same planes.
        to_unit
            The gradient with respect to θ, to be added to.
        """


def tanh_(values: Tensor, out: Tensor | None = None) -> Tensor:
    """Compute tanh in place, or into `out`.

    NumPy's is some five times as fast as torch's on the CPU, and its largest error in single
    precision is one unit in the last place.

    Examples
    --------
    >>> import torch
    >>> tanh_(torch.tensor([0.0, 0.5, 100.0]))
    tensor([0.0000, 0.4621, 1.0000])
    """
    if not (values.is_cpu and values.dtype in DTYPES_OF_NUMPY):
        return torch.tanh(values, out=values if out is None else out)
    array = values.numpy()
    np.tanh(array, out=array if out is None else out.numpy())
    return values if out is None else out
