"""What a monitor measures at one iteration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gradprobe import frame
from gradprobe.errors import MonitorError
from gradprobe.linalg import Size
from gradprobe.linalg.cotangents import stable_norm
from gradprobe.models import RecurrentModel, trace
from gradprobe.probes import probe
from gradprobe.probes.backward_sweep import loss_sweep
from gradprobe.training.passes import CellPass, SequencePass, flat_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import OpaqueModel

TOLERANCE = 1e-6
"""Largest error of a logarithm that counts as resolved."""

METHOD = "autograd_of_loss"
"""How ∂L/∂h_t is had where each h_t is a tensor of the training's own computation."""


def record(
    model: RecurrentModel | OpaqueModel,
    one: SequencePass | CellPass,
    *,
    probes: Sequence[str] | Mapping[str, Mapping[str, Any]],
    lengths: Sequence[int] | None,
    dtype: torch.dtype | None,
    scale: float,
) -> Iterator[pd.DataFrame]:
    """Yield the rows of the loss, and those of the probes, on the sequences of a pass.

    Parameters
    ----------
    model
        The monitored module, adapted.
    one
        A forward pass to which a gradient has come back.
    probes, lengths, dtype
        What to measure besides the gradient of the loss, and in what; see `gradprobe.probe`.
    scale
        What the loss was multiplied by.

    Raises
    ------
    MonitorError
        Probes are asked for along steps that are not the cell's alone.
    """
    state = _state(one, model)
    inputs = one.inputs.transpose(0, 1) if model.batch_first else one.inputs
    if isinstance(one, CellPass):
        yield _rows(*_norms(one), scale, first=1, method=METHOD, dtype=one.dtype)
        if probes and one.changed_at is not None:
            raise MonitorError(
                f"the state that {model.name!r} was given at step t = {one.changed_at} is not what "
                "it had returned at the step before; probes need steps that are the cell's alone: "
                "monitor the module that makes the whole step, or pass probes=[]"
            )
    else:
        yield _swept(one, model, inputs, state, dtype, scale)
    if probes:
        yield probe(model, inputs, probes, lengths, state=state, dtype=dtype)


def _state(one: SequencePass | CellPass, model: RecurrentModel | OpaqueModel) -> Any:
    """Return s_0 as the model takes it; an adapted cell takes what the cell itself does."""
    initial = one.initial
    if isinstance(one, SequencePass) and one.layered and initial is not None:
        return flat_state(initial, model)
    if isinstance(model, RecurrentModel) and isinstance(initial, tuple | list):
        return torch.cat(tuple(initial), dim=-1)
    return initial


def _swept(
    one: SequencePass,
    model: RecurrentModel | OpaqueModel,
    inputs: Tensor,
    state: object,
    dtype: torch.dtype | None,
    scale: float,
) -> pd.DataFrame:
    """Propagate the direct gradients back through the exact step Jacobians."""
    direct, final = one.direct(), one.final(model)
    finite = direct.isfinite().all(0).all(-1) & final.isfinite().all(-1)
    trajectory = trace(model, inputs, state, dtype=dtype)
    working = trajectory.model
    norm = loss_sweep(
        trajectory,
        direct.masked_fill(~finite[:, None], 0.0).to(working.dtype),
        final=final.masked_fill(~finite[:, None], 0.0).to(working.dtype),
        generator=torch.Generator().manual_seed(0),
    )
    values = norm.log_norm.masked_fill(~finite, torch.inf)
    errors = norm.error.masked_fill(~finite, torch.inf)
    return _rows(
        values, errors, scale, first=0, method=working.jacobian_method, dtype=working.dtype
    )


def _norms(one: CellPass) -> tuple[Tensor, Tensor]:
    """Return log norms of the gradients of a cell's states, and their errors.

    The rounding of the training is part of what is measured.  But a number may have vanished below
    the range of its dtype: where that could matter, nothing is determined.
    """
    gradients = one.gradients()
    size = stable_norm(gradients)
    lost = torch.finfo(one.dtype).tiny * gradients.shape[-1] ** 0.5
    norm = Size(size.log(), torch.full_like(size, math.log(lost))).judged(torch.float64, TOLERANCE)
    finite = gradients.isfinite().all(-1)
    return norm.log_norm.masked_fill(~finite, torch.inf), norm.error.masked_fill(~finite, torch.inf)


def _rows(
    values: Tensor, errors: Tensor, scale: float, *, first: int, method: str, dtype: torch.dtype
) -> pd.DataFrame:
    error = errors.cpu().numpy()
    length = len(values) - 1 + first
    return frame.rows(
        probe="loss_gradient",
        quantity="log_norm_fro",
        matrix="loss",
        block="hidden",
        length=length,
        step=np.arange(first, length + 1)[:, None],
        sequence=np.arange(values.shape[1]),
        value=values.cpu().numpy() - math.log(scale),
        error=error,
        resolved=error <= TOLERANCE,
        method=method,
        dtype=str(dtype).removeprefix("torch."),
    )
