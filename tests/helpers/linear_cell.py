"""A linear network, whose derivatives are known in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from gradprobe.models import Cell, RecurrentModel


class LinearCell(Cell):
    """h_t = A h_{t-1} + V x_t."""

    def __init__(self, matrix: Tensor, input_weight: Tensor) -> None:
        super().__init__(input_weight.shape[1], matrix.shape[0])
        self.matrix = torch.nn.Parameter(matrix)
        self.input_weight = torch.nn.Parameter(input_weight)

    def recurrent_matrix(self) -> Tensor:
        return self.matrix

    def input_matrix(self) -> Tensor:
        return self.input_weight

    def pointwise(
        self, state: Tensor, recurrent: Tensor, drive: Tensor, unit_parameters: Tensor
    ) -> Tensor:
        return recurrent + drive


def linear_network(matrix: Tensor, input_weight: Tensor | None = None) -> RecurrentModel:
    """Return h_t = A h_{t-1} + V x_t, with V a column of ones if not given."""
    ones = torch.ones(matrix.shape[0], 1, dtype=matrix.dtype)
    return RecurrentModel(
        [LinearCell(matrix, ones if input_weight is None else input_weight)], name="linear"
    )


def scalar_network(factor: float) -> RecurrentModel:
    """Return h_t = λ h_{t-1} + x_t for one unit."""
    return linear_network(torch.full((1, 1), factor, dtype=torch.float64))
