"""What a monitor measures at one iteration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gradprobe import frame
from gradprobe.models import trace
from gradprobe.probes import probe
from gradprobe.probes.backward_sweep import loss_sweep
from gradprobe.training.passes import CellPass, flat_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import OpaqueModel, RecurrentModel
    from gradprobe.training.passes import SequencePass

TOLERANCE = 1e-6


def record(
    model: RecurrentModel | OpaqueModel,
    passes: Sequence[SequencePass | CellPass],
    *,
    probes: Sequence[str] | Mapping[str, Mapping[str, Any]],
    lengths: Sequence[int] | None,
    sequences: int,
    scale: float,
) -> pd.DataFrame:
    """Return the rows of the loss and of the probes, on the first sequences of some passes.

    Parameters
    ----------
    model
        The monitored module, adapted.
    passes
        Forward passes to which a gradient has come back.
    probes, lengths
        What to measure besides the gradient of the loss; see `gradprobe.probe`.
    sequences
        How many sequences in all.
    scale
        What the loss was multiplied by.
    """
    tables, taken = [], 0
    for one in passes:
        count = min(sequences - taken, one.inputs.shape[1])
        if count <= 0:
            break
        inputs, state = _arguments(one, model, count)
        found = [_loss_rows(one, model, inputs, state, count, scale)]
        if probes:
            found.append(probe(model, inputs, probes, lengths, state=state))
        table = frame.concatenate(found, model=model.name)
        tables.append(table.assign(sequence=table["sequence"] + taken))
        taken += count
    return frame.concatenate(tables)


def _arguments(
    one: SequencePass | CellPass, model: RecurrentModel | OpaqueModel, count: int
) -> tuple[Tensor, Tensor | None]:
    """Return the inputs as the model takes them, and s_0, of some sequences."""
    state = None
    if one.initial is not None:
        state = _flat(one.initial, model)[:count]
    inputs = one.inputs[:, :count]
    return (inputs.transpose(0, 1) if model.batch_first else inputs), state


def _flat(initial: Any, model: RecurrentModel | OpaqueModel) -> Tensor:
    if isinstance(initial, torch.Tensor) and initial.ndim == 2:
        return initial
    if isinstance(initial, tuple) and all(part.ndim == 2 for part in initial):
        return torch.cat(initial, dim=-1)
    return flat_state(initial, model)


def _loss_rows(
    one: SequencePass | CellPass,
    model: RecurrentModel | OpaqueModel,
    inputs: Tensor,
    state: Tensor | None,
    count: int,
    scale: float,
) -> pd.DataFrame:
    if isinstance(one, CellPass):
        values, errors = _norms(one.gradients()[:, :count])
        first = 1
    else:
        direct, final = one.direct()[:, :count], one.final(model)[:count]
        values, errors = _swept(model, inputs, state, direct, final)
        first = 0
    length = inputs.shape[1 if model.batch_first else 0]
    return frame.rows(
        probe="loss_gradient",
        quantity="log_norm_fro",
        matrix="loss",
        block="hidden",
        length=length,
        step=np.arange(first, length + 1)[:, None],
        sequence=np.arange(values.shape[1]),
        value=values - math.log(scale),
        error=errors,
        resolved=errors <= TOLERANCE,
        method=model.jacobian_method,
    )


def _swept(
    model: RecurrentModel | OpaqueModel,
    inputs: Tensor,
    state: Tensor | None,
    direct: Tensor,
    final: Tensor,
) -> tuple[np.ndarray, np.ndarray]:
    """Propagate the direct gradients back through the exact step Jacobians."""
    if not (bool(direct.isfinite().all()) and bool(final.isfinite().all())):
        unknown = np.full((len(direct) + 1, direct.shape[1]), np.inf)
        return unknown, unknown
    trajectory = trace(model, inputs, state)
    dtype = trajectory.model.dtype
    norm = loss_sweep(
        trajectory,
        direct.to(dtype),
        final=final.to(dtype),
        generator=torch.Generator().manual_seed(0),
    )
    return norm.log_norm.cpu().numpy(), norm.error.cpu().numpy()


def _norms(gradients: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return log norms of gradients (T, b, N) that training itself has computed.

    What has vanished below the range of their dtype is not a zero: it is not determined.
    """
    norm = torch.linalg.vector_norm(gradients.double(), dim=-1)
    steps = torch.arange(len(norm), 0, -1, device=norm.device).unsqueeze(-1)
    rounding = torch.finfo(gradients.dtype).eps * 4 * steps.sqrt()
    tiny = torch.finfo(gradients.dtype).tiny / torch.finfo(gradients.dtype).eps
    error = torch.where((norm > tiny) & norm.isfinite(), rounding.double(), torch.inf)
    return norm.log().cpu().numpy(), error.cpu().numpy()
