"""What the tests of published cells share: a cell by its name, and its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gradprobe import models
from gradprobe.models import Cell

Array = NDArray[np.float64]


def cell_of(name: str, units: int, features: int = 1, *, seed: int = 0, **options: Any) -> Cell:
    model = models.build(
        name,
        input_size=features,
        hidden_size=units,
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
        **options,
    )
    return model.cells[0]


def arrays(cell: nn.Module) -> dict[str, Array]:
    """Return the parameters by name."""
    return {name: value.detach().numpy() for name, value in cell.named_parameters()}


def disturb(module: nn.Module) -> None:
    """Move every parameter from where it starts, which may be special."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise, alpha=0.3)
