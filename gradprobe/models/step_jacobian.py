"""The step Jacobian J_t = ∂s_t/∂s_{t-1} of a stack of cells, as an operator.

For one cell, J = D_s + D_a R with D_s and D_a blockwise diagonal (φ's derivatives), so J Q costs
one product with R and a few pointwise operations, for all columns of Q and all sequences at once.
Where R has more rows than the state (an LSTM's four gates for two components) and Q many columns,
they are combined first into one (C·N, N) matrix per step and sequence.  In a stack, a layer also
feels the new hidden state of the layer below it, through D_u U.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.models.unit_map import UnitMap


class LayerJacobian(NamedTuple):
    """The derivatives of one layer's step.

    Attributes
    ----------
    by_state
        D_s = ∂φ/∂s, C components from C.
    by_recurrent
        D_a = ∂φ/∂(R h), C components from G terms.
    by_drive
        D_u = ∂φ/∂(drive), C components from K terms.
    recurrent_matrix
        R, shape (G·N, N).
    input_matrix
        U, shape (K·N, D).

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models.unit_map import unit_maps
    >>> [one], [zero] = unit_maps(torch.ones(1, 1, 1, 1, 2)), unit_maps(torch.zeros(1, 1, 1, 1, 2))
    >>> layer = LayerJacobian(zero, one, one, torch.tensor([[0.0, 1], [2, 0]]), torch.eye(2))
    >>> layer.apply(torch.eye(2)[None]).tolist()
    [[[0.0, 1.0], [2.0, 0.0]]]
    """

    by_state: UnitMap
    by_recurrent: UnitMap
    by_drive: UnitMap
    recurrent_matrix: Tensor
    input_matrix: Tensor

    @property
    def state_size(self) -> int:
        """S = C·N."""
        return self.by_state.blocks.shape[1] * self.hidden_size

    @property
    def hidden_size(self) -> int:
        """N."""
        return self.recurrent_matrix.shape[1]

    def apply(self, columns: Tensor, below: Tensor | None = None) -> Tensor:
        """Return J Q, plus D_u U P for the columns P of the layer below's new hidden state.

        Parameters
        ----------
        columns
            Q, shape (..., B, S, k).
        below
            P, shape (..., B, D, k), or None for the first layer.
        """
        size = self.hidden_size
        hidden = columns if size == columns.shape[-2] else columns.narrow(-2, 0, size)
        if self._combining_pays(columns):
            result = self._combined() @ hidden
        else:
            result = self.by_recurrent.take(self.recurrent_matrix @ hidden)
        if below is not None:
            self.by_drive.add_to(result, self.input_matrix @ below)
        return self.by_state.add_to(result, columns)

    def apply_transposed(self, columns: Tensor) -> Tensor:
        """Return Jᵀ Q.

        Parameters
        ----------
        columns
            Q, shape (..., B, S, k).
        """
        if self._combining_pays(columns):
            hidden = self._combined().mT @ columns
        else:
            hidden = self.recurrent_matrix.T @ (self.by_recurrent.T @ columns)
        if self.state_size > self.hidden_size:
            hidden = functional.pad(hidden, (0, 0, 0, self.state_size - self.hidden_size))
        return self.by_state.T.add_to(hidden, columns)

    def _combining_pays(self, columns: Tensor) -> bool:
        """Whether Σ_g diag(D_a[c, g]) R_g has fewer rows than R, and meets enough columns.

        It costs as much as a product of R with a few columns, and B times the memory of R: not
        worth it, nor always possible, for the few columns that a matrix-free method applies J to.
        """
        batch, components, terms, units, _ = self.by_recurrent.blocks.shape
        return components < terms and columns.numel() >= batch * self.state_size * units

    def _combined(self) -> Tensor:
        """Return Σ_g diag(D_a[c, g]) R_g, shape (B, C·N, N)."""
        batch = self.by_recurrent.blocks.shape[0]
        return self.by_recurrent @ self.recurrent_matrix.expand(batch, -1, -1)

    def apply_transposed_to_inputs(self, columns: Tensor) -> Tensor:
        """Return Uᵀ D_uᵀ Q: what the layer below's new hidden state receives.

        Parameters
        ----------
        columns
            Q, shape (..., B, S, k).
        """
        return self.input_matrix.T @ (self.by_drive.T @ columns)

    def minus_identity(self) -> LayerJacobian:
        """Return J − I, free of the cancellation that subtracting I from J would bring.

        An Euler-type cell has ∂φ/∂s = I + O(ε): here 1 is taken off before ε φ′ R is added.
        """
        return self._replace(by_state=self.by_state.minus_identity())


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
        return self.layers[0].by_state.blocks.shape[0], size, size

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
            [layer] = self.layers
            return layer.apply_transposed(columns) if self.transposed else layer.apply(columns)
        parts = columns.split(self._sizes, dim=-2)
        results = self._downwards(parts) if self.transposed else self._upwards(parts)
        return torch.cat(results, dim=-2)

    def dense(self) -> Tensor:
        """Return the matrix, shape (B, S, S)."""
        batch, size, _ = self.shape
        like = self.layers[0].recurrent_matrix
        identity = torch.eye(size, dtype=like.dtype, device=like.device)
        return self @ identity.expand(batch, size, size)

    def minus_identity(self) -> Tensor:
        """Return the matrix J − I, shape (B, S, S), free of cancellation on the diagonal blocks.

        Only the diagonal blocks hold a part of I; the others are those of J.
        """
        matrix = self.dense()
        start = 0
        for layer in self.layers:
            block = slice(start, start + layer.state_size)
            alone = StepJacobian([layer.minus_identity()], self.transposed)
            matrix[:, block, block] = alone.dense()
            start = block.stop
        return matrix

    def _upwards(self, parts: Sequence[Tensor]) -> list[Tensor]:
        results: list[Tensor] = []
        below = None
        for layer, part in zip(self.layers, parts, strict=True):
            results.append(layer.apply(part, below))
            below = results[-1][..., : layer.hidden_size, :]
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


def _add_to_hidden(columns: Tensor, addend: Tensor) -> Tensor:
    total = columns.clone()
    total[..., : addend.shape[-2], :] += addend
    return total
