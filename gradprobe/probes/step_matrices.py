"""The matrix of one step that a model is judged by: F_t of an Euler-type model, else J_t."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models import Trajectory
    from gradprobe.models.dynamics import LinearStep


class StepMatrix(NamedTuple):
    """A matrix of one step, by its name in the table.

    Attributes
    ----------
    name
        ``vector_field``, ``step`` or ``step_minus_identity``.
    matrix
        Shape (B, S, S).
    rounding
        By how much rounding may have moved it, in the Frobenius norm, shape (B).

    Examples
    --------
    >>> import torch
    >>> StepMatrix("step", torch.eye(2)[None], torch.zeros(1)).matrix.shape
    torch.Size([1, 2, 2])
    """

    name: str
    matrix: Tensor
    rounding: Tensor


def vector_field_or_step(trajectory: Trajectory, t: int) -> StepMatrix:
    """Return F_t = (J_t − I)/ε of an Euler-type model, J_t of every other.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> vector_field_or_step(models.trace(model, torch.zeros(5, 2, 1)), 3).name
    'step'
    """
    if trajectory.model.step_size is not None:
        return vector_field(trajectory, trajectory.step_jacobian(t))
    matrix = trajectory.step_jacobian(t).dense()
    return StepMatrix("step", matrix, _rounding(matrix))


def vector_field(trajectory: Trajectory, jacobian: LinearStep) -> StepMatrix:
    """Return F = (J − I)/ε; for a model without a step size J − I, as if ε were one.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=1, hidden_size=4)
    >>> trajectory = models.trace(model, torch.zeros(5, 2, 1))
    >>> vector_field(trajectory, trajectory.step_jacobian(3)).name
    'vector_field'
    """
    step_size = trajectory.model.step_size
    name = "step_minus_identity" if step_size is None else "vector_field"
    scale = 1.0 if step_size is None else step_size
    matrix = jacobian.minus_identity() / scale
    rounding = _rounding(matrix)
    if trajectory.model.jacobian_method.startswith("autograd"):
        # Here 1 is taken off the diagonal of J, which was rounded before.
        size = matrix.shape[-1]
        rounding = rounding + torch.finfo(matrix.dtype).eps * size**0.5 / scale
    return StepMatrix(name, matrix, rounding)


def _rounding(matrix: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.matrix_norm(matrix)
    return 4 * torch.finfo(matrix.dtype).eps * norm
