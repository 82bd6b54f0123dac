"""The step Jacobians of a model that is only known as a differentiable function."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch.autograd import forward_ad

from gradprobe.errors import UnsupportedModelError

if TYPE_CHECKING:
    from torch import Tensor


class Differentiable(Protocol):
    """What is differentiated: s_t from x_t and s_{t-1}, shape (B, S)."""

    name: str

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_t, shape (B, S)."""
        ...


def step_and_jacobian(
    model: Differentiable, inputs: Tensor, state: Tensor, *, rows_together: bool = True
) -> tuple[Tensor, Tensor]:
    """Return s_t, shape (B, S), and J_t = ∂s_t/∂s_{t-1}, shape (B, S, S).

    Sequences do not interact, so that one reverse pass gives one row of J for all of them.

    Parameters
    ----------
    model
        What is differentiated.
    inputs, state
        x_t, shape (B, …), and s_{t-1}, shape (B, S).
    rows_together
        Whether one vectorised reverse pass is to give all rows: faster, where every operation of
        the step can be vectorised.

    Raises
    ------
    VectorisationError
        With `rows_together`: some operation cannot be.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> new, matrix = step_and_jacobian(model, torch.zeros(3, 1), torch.zeros(3, 4))
    >>> matrix.shape
    torch.Size([3, 4, 4])
    """
    with torch.enable_grad():
        state = state.detach().requires_grad_()
        new = model.step(inputs, state)
        rows = _rows_together(new, state) if rows_together else _row_by_row(new, state)
    return new.detach(), rows.movedim(0, 1)


class VectorisationError(RuntimeError):
    """An operation has no vectorised derivative, or one that torch says is slow."""


def _rows_together(new: Tensor, state: Tensor) -> Tensor:
    """Return rows (S, B, S) by one reverse pass that is vectorised over the rows."""
    size = new.shape[-1]
    unit_rows = torch.eye(size, dtype=new.dtype, device=new.device)[:, None].expand(-1, *new.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            (rows,) = torch.autograd.grad(
                new, state, unit_rows, is_grads_batched=True, materialize_grads=True
            )
        except (RuntimeError, NotImplementedError, UserWarning) as error:
            raise VectorisationError(str(error)) from error
    return rows


def _row_by_row(new: Tensor, state: Tensor) -> Tensor:
    """Return rows (S, B, S) by a reverse pass for each."""
    return torch.stack(
        [
            torch.autograd.grad(row.sum(), state, retain_graph=True, materialize_grads=True)[0]
            for row in new.unbind(-1)
        ]
    )


@dataclass(frozen=True)
class MatrixJacobian:
    """J_t as a matrix.

    Parameters
    ----------
    matrix
        Shape (B, S, S).

    Examples
    --------
    >>> jacobian = MatrixJacobian(torch.tensor([[[1.0, 2.0], [0.0, 1.0]]]))
    >>> (jacobian.T @ torch.eye(2)[None]).tolist(), jacobian.minus_identity().tolist()
    ([[[1.0, 0.0], [2.0, 1.0]]], [[[0.0, 2.0], [0.0, 0.0]]])
    """

    matrix: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, S, S)."""
        batch, rows, columns = self.matrix.shape
        return batch, rows, columns

    @property
    def T(self) -> MatrixJacobian:  # noqa: N802 - as torch and numpy call it
        """The transposed operator."""
        return MatrixJacobian(self.matrix.mT)

    def __matmul__(self, columns: Tensor) -> Tensor:
        """Return J Q for Q of shape (..., B, S, k)."""
        return self.matrix @ columns

    def multiply(self, columns: Tensor, room: Tensor) -> Tensor:
        """Return J Q, written to `room`, for Q of shape (B, S, k)."""
        return torch.matmul(self.matrix, columns, out=room)

    def dense(self) -> Tensor:
        """Return the matrix."""
        return self.matrix

    def minus_identity(self) -> Tensor:
        """Return J − I; where J is close to I, digits cancel."""
        size = self.matrix.shape[-1]
        return self.matrix - torch.eye(size, dtype=self.matrix.dtype, device=self.matrix.device)


@dataclass(frozen=True)
class MatrixFreeJacobian:
    """J_t as an operator that differentiates the step each time it is applied.

    One forward-mode pass for each column of J Q, one reverse pass for each of Jᵀ Q.  Nothing of
    size S × S is formed before `dense` is called.

    Parameters
    ----------
    model
        What is differentiated.
    inputs
        x_t, shape (B, …).
    state
        s_{t-1}, shape (B, S).
    transposed
        Whether this is J_tᵀ.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> jacobian = MatrixFreeJacobian(model, torch.zeros(3, 1), torch.zeros(3, 4))
    >>> columns = torch.ones(3, 4, 2)
    >>> torch.testing.assert_close(jacobian @ columns, jacobian.dense() @ columns)
    """

    model: Differentiable
    inputs: Tensor
    state: Tensor
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, S, S)."""
        batch, size = self.state.shape
        return batch, size, size

    @property
    def T(self) -> MatrixFreeJacobian:  # noqa: N802 - as torch and numpy call it
        """The transposed operator."""
        return MatrixFreeJacobian(self.model, self.inputs, self.state, not self.transposed)

    def __matmul__(self, columns: Tensor) -> Tensor:
        """Return J Q for Q of shape (..., B, S, k)."""
        leading, flat = columns.shape, columns.reshape(-1, *columns.shape[-3:])
        # Column by column: (blocks, B, S, k) to k·blocks vectors of shape (B, S).
        vectors = flat.movedim(-1, 1).flatten(0, 1)
        results = self._backward(vectors) if self.transposed else self._forward(vectors)
        together: Tensor = results.unflatten(0, (flat.shape[0], -1)).movedim(1, -1)
        return together.reshape(leading)

    def _backward(self, vectors: Tensor) -> Tensor:
        """Return Jᵀv, in reverse mode."""
        with torch.enable_grad():
            state = self.state.detach().requires_grad_()
            new = self.model.step(self.inputs, state)
            return torch.stack(
                [
                    torch.autograd.grad(
                        new, state, vector, retain_graph=True, materialize_grads=True
                    )[0]
                    for vector in vectors
                ]
            )

    def _forward(self, vectors: Tensor) -> Tensor:
        """Return J v, in forward mode."""
        return torch.stack([self._directional_derivative(vector) for vector in vectors])

    def _directional_derivative(self, vector: Tensor) -> Tensor:
        with forward_ad.dual_level():
            state = forward_ad.make_dual(self.state.detach(), vector)
            try:
                new = self.model.step(self.inputs, state)
            except (NotImplementedError, RuntimeError) as error:
                raise UnsupportedModelError(
                    f"a matrix-free Jacobian of {self.model.name!r} needs the forward-mode "
                    f"derivative of its step, which failed: {error}; probe it with method='dense'"
                ) from error
            tangent = forward_ad.unpack_dual(new).tangent
            return torch.zeros_like(vector) if tangent is None else tangent

    def dense(self) -> Tensor:
        """Return the matrix, shape (B, S, S)."""
        matrix = step_and_jacobian(self.model, self.inputs, self.state, rows_together=False)[1]
        return matrix.mT if self.transposed else matrix

    def minus_identity(self) -> Tensor:
        """Return J − I; where J is close to I, digits cancel."""
        return MatrixJacobian(self.dense()).minus_identity()
