"""log‖∂L/∂h_t‖ of the loss of a training, for every t, as rows of the table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe import frame
from gradprobe.linalg import Cotangents, Norm, Size
from gradprobe.models import trace
from gradprobe.models.working_copy import isolated
from gradprobe.training.cell_passage import CellPassage

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from gradprobe.models import OpaqueModel, RecurrentModel, Trajectory
    from gradprobe.training.sequence_passage import SequencePassage

METHOD = "autograd_of_loss"
"""How ∂L/∂h_t is had where every h_t is a tensor of the training's own computation."""


def adjoint_norms(trajectory: Trajectory, direct: Tensor, final: Tensor | None) -> Size:
    r"""Return log‖∂L/∂h_t‖ for t = 0 … T, each (T + 1, B), from the direct gradients of a loss.

    .. math:: a_T = P^⊤ g_T + g_{final}, \qquad a_t = J_{t+1}^⊤ a_{t+1} + P^⊤ g_t,

    P picking h out of the state s; ∂L/∂h_t is the block of h of a_t.  One sweep, rescaled on the
    way, so that nothing underflows.

    Parameters
    ----------
    trajectory
        B sequences along a model, T steps.
    direct
        g_1 … g_T, shape (T, B, N).
    final
        The gradient by s_T as the loss uses it besides, shape (B, S).

    References
    ----------
    Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78, 1990.

    Examples
    --------
    >>> from gradprobe import models
    >>> trajectory = models.trace(models.adapt(torch.nn.RNN(1, 4)), torch.zeros(9, 2, 1))
    >>> direct = torch.zeros(9, 2, 4, dtype=torch.float64)
    >>> adjoint_norms(trajectory, direct, torch.ones(2, 4).double()).log_norm[-1].exp().tolist()
    [2.0, 2.0]
    """
    model = trajectory.model
    hidden = model.hidden_slice
    direct = direct.to(model.dtype)
    columns = direct.new_zeros(trajectory.batch, model.state_size, 1)
    columns[:, hidden, 0] = direct[-1]
    if final is not None:
        columns[..., 0] += final.to(model.dtype)
    adjoint = Cotangents(columns, generator=torch.Generator().manual_seed(0))
    sizes = [adjoint.size(hidden)]
    enters = (direct != 0).flatten(1).any(1).tolist()
    for t, jacobian in zip(
        range(trajectory.length - 1, -1, -1), trajectory.step_jacobians_reversed(), strict=True
    ):
        adjoint.pull_back(jacobian.T)
        if t > 0 and enters[t - 1]:
            adjoint.add(direct[t - 1].unsqueeze(-1), hidden)
        sizes.append(adjoint.size(hidden))
    return Size(*(torch.stack(parts[::-1]) for parts in zip(*sizes, strict=True)))


def loss_table(
    passage: SequencePassage | CellPassage,
    model: RecurrentModel | OpaqueModel | None,
    *,
    scale: float,
    dtype: torch.dtype | None,
    tolerance: float,
) -> pd.DataFrame:
    """Return the rows of one passage: quantity ``log_norm_fro``, matrix ``loss``, block ``hidden``.

    Parameters
    ----------
    passage
        What was kept of it.
    model
        The module, adapted; a cell of a caller's own needs none.
    scale
        By which the loss was multiplied.
    dtype
        What to go back through the steps of a sequence in.
    tolerance
        Largest error, in natural-log units, of a value that counts as resolved.

    Examples
    --------
    >>> from gradprobe import models
    >>> from gradprobe.training.sequence_passage import SequencePassage
    >>> gru, inputs = torch.nn.GRU(2, 3), torch.zeros(7, 5, 2)
    >>> result = gru(inputs)
    >>> passage = SequencePassage(gru, inputs, None, result, most=4)
    >>> result[0].sum().backward()
    >>> options = {"scale": 1.0, "dtype": torch.float64, "tolerance": 1e-6}
    >>> len(loss_table(passage, models.adapt(gru), **options)) == 8 * 4
    True
    """
    if isinstance(passage, CellPassage) or model is None:
        assert isinstance(passage, CellPassage)
    ...
