"""The step Jacobian J_t = ∂s_t/∂s_{t-1} of a stack of cells, as an operator.

For one product and one pointwise map, J = D_s + D_a R with D_s and D_a blockwise diagonal (φ's
derivatives), so J Q costs one product with R and a few pointwise operations, for all columns of Q
and all sequences at once.
Where R has more rows than the state (an LSTM's four gates for two components) and Q many columns,
they are combined first into one (C·N, N) matrix per step and sequence.  In a stack, a layer also
feels the new hidden state of the layer below it, through D_u U.  Where a step has several stages,
J is the product of theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.models.unit_map import UnitMap


class Recurrence(NamedTuple):
    """R of a stage, and where it meets the state: the same at all steps.

    Attributes
    ----------
    matrix
        R for each sequence, a view of shape (B, G·N, C_R·N).
    first
        The first entry of the state that R multiplies.
    state_size
        C·N.
    combined_from
        Columns of at least so many entries are worth combining the gates for: Σ_g diag(D_a[c, g])
        R_g costs as much as a product of R with a few columns, and B times the memory of R, which
        the few columns of a matrix-free method are not worth.  Infinite where it would have no
        fewer rows than R.

    Examples
    --------
    >>> recurrence = Recurrence.of(torch.ones(8, 2), batch=3, first=0, state_size=4, rows=4)
    >>> recurrence.matrix.shape, recurrence.combined_from
    (torch.Size([3, 8, 2]), 24)
    """

    matrix: Tensor
    first: int
    state_size: int
    combined_from: float

    @classmethod
    def of(
        cls, matrix: Tensor, *, batch: int, first: int, state_size: int, rows: int
    ) -> Recurrence:
        """Take R, shape (G·N, C_R·N), for products of C′·N `rows`."""
        multiplied = matrix.shape[1]
        combined_from = batch * state_size * multiplied if rows < len(matrix) else math.inf
        return cls(matrix.expand(batch, -1, -1), first, state_size, combined_from)


class StageJacobian(NamedTuple):
    """The derivatives of one product and one pointwise map: D_s + D_a R.

    Attributes
    ----------
    by_state
        D_s = ∂φ/∂s, C′ components from C; C′ = C but for a stage of several.
    by_recurrent
        D_a = ∂φ/∂(R h), C′ components from G terms.
    by_drive
        D_u = ∂φ/∂(drive), C′ components from K terms; None where nothing asks for it.
    recurrence
        R.
    drive_jacobian
        ∂(drive)/∂x, shape (K·N, D), or (B, K·N, D) where it is not the same everywhere; None where
        nothing asks for it.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models.unit_map import unit_maps
    >>> [one], [zero] = unit_maps(torch.ones(1, 1, 1, 1, 2)), unit_maps(torch.zeros(1, 1, 1, 1, 2))
    >>> matrix = torch.tensor([[0.0, 1], [2, 0]])
    >>> recurrence = Recurrence.of(matrix, batch=1, first=0, state_size=2, rows=2)
    >>> StageJacobian(zero, one, one, recurrence).apply(torch.eye(2)[None]).tolist()
    [[[0.0, 1.0], [2.0, 0.0]]]
    """

    by_state: UnitMap
    by_recurrent: UnitMap
    by_drive: UnitMap | None
    recurrence: Recurrence
    drive_jacobian: Tensor | None = None

    def apply(
        self, columns: Tensor, below: Tensor | None = None, *, room: Tensor | None = None
    ) -> Tensor:
        """Return J Q, plus D_u ∂(drive)/∂x P for the columns P of what drives the layer.

        Parameters
        ----------
        columns
            Q, shape (..., B, C·N, k).
        below
            P, shape (..., B, D, k), or None for the first layer.
        room
            Where J Q may be written, if given.
        """
        matrix, first, state_size, combined_from = self.recurrence
        rows, size = matrix.shape[-2:]
        multiplied = columns if size == state_size else columns.narrow(-2, first, size)
        if columns.numel() >= combined_from:
            result = _product(self._combined(), multiplied, room)
        else:
            fitting = room if rows == state_size else None
            result = self.by_recurrent.take(_product(matrix, multiplied, fitting))
        if below is not None and self.by_drive is not None and self.drive_jacobian is not None:
            self.by_drive.add_to(result, self.drive_jacobian @ below)
        return self.by_state.add_to(result, columns)

    def apply_transposed(self, columns: Tensor, *, room: Tensor | None = None) -> Tensor:
        """Return Jᵀ Q.

        Parameters
        ----------
        columns
            Q, shape (..., B, C′·N, k).
        room
            Where Jᵀ Q may be written, if given; then Q may be overwritten, too.
        """
        matrix, first, state_size, combined_from = self.recurrence
        size = matrix.shape[-1]
        fitting = room
        if room is not None and size < state_size:
            fitting = room.narrow(-2, first, size)
        if columns.numel() >= combined_from:
            result = _product(self._combined().mT, columns, fitting)
        else:
            by_recurrent = self.by_recurrent.T
            # Q is not needed any more where no unit carries its own state.
            last_use = room is not None and not self.by_state.arguments
            scaled = by_recurrent.take(columns) if last_use else by_recurrent @ columns
            result = _product(matrix.mT, scaled, fitting)
        if size < state_size:
            result = self._with_zeros(result, room)
        return self.by_state.T.add_to(result, columns)

    def _with_zeros(self, rows: Tensor, room: Tensor | None) -> Tensor:
        """Return the rows of a result that R leads to, in `room` if given, and zeros elsewhere."""
        matrix, first, state_size, _ = self.recurrence
        end = first + matrix.shape[-1]
        if room is None:
            return functional.pad(rows, (0, 0, first, state_size - end))
        room[..., :first, :].zero_()
        room[..., end:, :].zero_()
        return room

    def _combined(self) -> Tensor:
        """Return Σ_g diag(D_a[c, g]) R_g, shape (B, C′·N, C_R·N)."""
        return self.by_recurrent @ self.recurrence.matrix

    def apply_transposed_to_inputs(self, columns: Tensor) -> Tensor | None:
        """Return (∂(drive)/∂x)ᵀ D_uᵀ Q: what the layer below's new hidden state receives.

        Parameters
        ----------
        columns
            Q, shape (..., B, C′·N, k).
        """
        if self.by_drive is None or self.drive_jacobian is None:
            return None
        return self.drive_jacobian.mT @ (self.by_drive.T @ columns)

    def minus_identity(self) -> StageJacobian:
        """Return J − I, free of the cancellation that subtracting I from J would bring.

        An Euler-type cell has ∂φ/∂s = I + O(ε): here 1 is taken off before ε φ′ R is added.
        """
        return self._replace(by_state=self.by_state.minus_identity())


class LayerJacobian(NamedTuple):
    """The derivatives of one layer's step: those of its stages, one after the other.

    Attributes
    ----------
    stages
        One, but for a `gradprobe.models.staged.StagedCell`.
    output_size
        The entries of h.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("lem", input_size=1, hidden_size=4)
    >>> [layer] = models.trace(model, torch.zeros(5, 1, 1)).step_jacobian(1).layers
    >>> [tuple(stage.by_state.blocks.shape[1:3]) for stage in layer.stages]
    [(3, 2), (2, 3)]
    """

    stages: Sequence[StageJacobian]
    output_size: int

    @property
    def batch(self) -> int:
        """B."""
        return self.stages[0].by_state.blocks.shape[0]

    @property
    def state_size(self) -> int:
        """S = C·N."""
        return self.stages[0].recurrence.state_size

    def identity(self) -> Tensor:
        """Return I, shape (B, S, S)."""
        like, size = self.stages[0].recurrence.matrix, self.state_size
        identity = torch.eye(size, dtype=like.dtype, device=like.device)
        return identity.expand(self.batch, size, size)

    def apply(
        self, columns: Tensor, below: Tensor | None = None, *, room: Tensor | None = None
    ) -> Tensor:
        """Return J Q, and what comes from below, P; see `StageJacobian.apply`."""
        if len(self.stages) == 1:
            return self.stages[0].apply(columns, below, room=room)
        for stage in self.stages:
            columns = stage.apply(columns, below)
        return columns

    def apply_transposed(self, columns: Tensor, *, room: Tensor | None = None) -> Tensor:
        """Return Jᵀ Q for Q of shape (..., B, S, k); see `StageJacobian.apply_transposed`."""
        if len(self.stages) == 1:
            return self.stages[0].apply_transposed(columns, room=room)
        for stage in reversed(self.stages):
            columns = stage.apply_transposed(columns)
        return columns

    def apply_transposed_to_inputs(self, columns: Tensor) -> Tensor:
        """Return what the layer below's new hidden state receives from all stages."""
        received = []
        for stage in reversed(self.stages):
            received.append(stage.apply_transposed_to_inputs(columns))
            columns = stage.apply_transposed(columns)
        return torch.stack([part for part in received if part is not None]).sum(0)

    def minus_identity(self) -> Tensor:
        """Return J − I, shape (B, S, S); of one stage free of cancellation."""
        identity = self.identity()
        if len(self.stages) == 1:
            return self.stages[0].minus_identity().apply(identity)
        return self.apply(identity) - identity


@dataclass(frozen=True)
class StepJacobian:
    """J_t for a stack of layers: ``jacobian @ columns`` and ``jacobian.T @ columns``.

    Parameters
    ----------
    layers
        The layers, from the input upwards; the state is theirs one after the other.
    transposed
        Whether this is J_tᵀ.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("gru", input_size=1, hidden_size=3, num_layers=2)
    >>> jacobian = models.trace(model, torch.zeros(5, 1, 1)).step_jacobian(1)
    >>> jacobian.dense().shape
    torch.Size([1, 6, 6])
    """

    layers: Sequence[LayerJacobian]
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, S, S)."""
        size = sum(self._sizes)
        return self.layers[0].batch, size, size

    @property
    def T(self) -> StepJacobian:  # noqa: N802 - as torch and numpy call it
        """The transposed operator."""
        return StepJacobian(self.layers, not self.transposed)

    @property
    def _sizes(self) -> list[int]:
        return [layer.state_size for layer in self.layers]

    def __matmul__(self, columns: Tensor) -> Tensor:
        """Return J Q (or Jᵀ Q) for Q of shape (..., B, S, k)."""
        if len(self.layers) == 1:
            return self._multiply(columns, None)
        parts = columns.split(self._sizes, dim=-2)
        results = self._downwards(parts) if self.transposed else self._upwards(parts)
        return torch.cat(results, dim=-2)

    def multiply(self, columns: Tensor, room: Tensor) -> Tensor:
        """Return J Q (or Jᵀ Q), in `room` where that saves a block of memory.

        Parameters
        ----------
        columns
            Q, shape (B, S, k); it may be overwritten.
        room
            Memory of its shape.
        """
        return self @ columns if len(self.layers) > 1 else self._multiply(columns, room)

    def _multiply(self, columns: Tensor, room: Tensor | None) -> Tensor:
        [layer] = self.layers
        if self.transposed:
            return layer.apply_transposed(columns, room=room)
        return layer.apply(columns, room=room)

    def dense(self) -> Tensor:
        """Return the matrix, shape (B, S, S)."""
        batch, size, _ = self.shape
        like = self.layers[0].stages[0].recurrence.matrix
        identity = torch.eye(size, dtype=like.dtype, device=like.device)
        return self @ identity.expand(batch, size, size)

    def minus_identity(self) -> Tensor:
        """Return the matrix J − I, shape (B, S, S), free of cancellation on the diagonal blocks.

        Only these hold a part of I; the others are those of J.  A layer of several stages cannot
        be had so: I is taken off the product of theirs.
        """
        matrix = self.dense()
        start = 0
        for layer in self.layers:
            block = slice(start, start + layer.state_size)
            own = layer.minus_identity()
            matrix[:, block, block] = own.mT if self.transposed else own
            start = block.stop
        return matrix

    def _upwards(self, parts: Sequence[Tensor]) -> list[Tensor]:
        results: list[Tensor] = []
        below = None
        for layer, part in zip(self.layers, parts, strict=True):
            results.append(layer.apply(part, below))
            below = results[-1][..., : layer.output_size, :]
        return results

    def _downwards(self, parts: Sequence[Tensor]) -> list[Tensor]:
        results: list[Tensor] = []
        above: tuple[LayerJacobian, Tensor] | None = None
        for layer, part in zip(reversed(self.layers), reversed(parts), strict=True):
            received = part
            if above is not None:
                received = _add_to_hidden(part, above[0].apply_transposed_to_inputs(above[1]))
            results.insert(0, layer.apply_transposed(received))
            above = layer, received
        return results


def _product(matrices: Tensor, columns: Tensor, room: Tensor | None) -> Tensor:
    """Return matrices (B, I, J) times columns (..., B, J, k), in `room` if given."""
    if columns.ndim > matrices.ndim:
        return matrices @ columns
    return torch.bmm(matrices, columns, out=room)  # what `@` comes to, some microseconds later


def _add_to_hidden(columns: Tensor, addend: Tensor) -> Tensor:
    total = columns.clone()
    total[..., : addend.shape[-2], :] += addend
    return total
