"""The gradient of a loss with respect to every hidden state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError
from gradprobe.models.working_copy import isolated, working_copy
from gradprobe.probes.backward_sweep import loss_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from torch import Tensor, nn

    from gradprobe.linalg import Norm
    from gradprobe.models import Trajectory

LOSSES = ("cross_entropy",)
EXPECTED = (
    "loss must be a function of the hidden states (T, B, N) that returns a scalar or one value for "
    "each sequence (B,), or one of the names " + ", ".join(map(repr, LOSSES))
)


def loss_gradient(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    loss: str | Callable[[Tensor], Tensor] = "cross_entropy",
    readout: nn.Module | None = None,
    targets: Tensor | None = None,
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure log‖∂L/∂h_t‖ for every t, for each sequence: what training does with the Jacobians.

    ∂L/∂h_t is the whole derivative: of L's direct use of h_t, and of all that h_t does to later
    states.  With g_t the direct part and a_t the adjoint on the state s_t, of which ∂L/∂h_t is the
    block of h,

    .. math:: a_T = P^⊤ g_T, \qquad a_t = J_{t+1}^⊤ a_{t+1} + P^⊤ g_t,

    P picking h out of s.  For an LSTM this is the derivative with c_t held fixed, as automatic
    differentiation has it.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing; at each, the loss is that of the first T steps.
    generator
        Source of the sketch by which rounding errors are followed.
    loss
        A function of the hidden states h_1 … h_T, shape (T, B, N), in the dtype of the computation;
        it returns a scalar L, or L_b for each sequence, shape (B,).  A scalar that is a mean over
        the batch has its 1/B in every gradient.  Or ``"cross_entropy"``: of ``readout(h_T)``
        against the class indices `targets`, for each sequence its own.
    readout
        For a named loss: maps h_T, (B, N), to the logits, (B, classes).  Copied, not changed.
    targets
        For a named loss: the class of each sequence, shape (B,), int64.
    tolerance
        Largest error, in natural-log units, of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with quantity ``log_norm_fro`` (natural logarithm; −inf for an exact zero), matrix
        ``loss``, block ``hidden``, for each length T and step t = 0 … T.

    Raises
    ------
    ArgumentError
        The loss, its readout or its targets do not fit.

    References
    ----------
    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    equations 3 to 5.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4, recurrent_scale=0.5)
    >>> trajectory = models.trace(model, torch.zeros(200, 3, 1))
    >>> table = loss_gradient(
    ...     trajectory, [200], generator=torch.Generator(), readout=torch.nn.Linear(4, 10),
    ...     targets=torch.tensor([3, 1, 4]),
    ... )
    >>> len(table), bool(table["resolved"].all())
    (603, True)
    """
    checks.positive_number("tolerance", tolerance)
    function = _resolve(trajectory, loss, readout, targets)
    chosen = trajectory.model.hidden_slice
    states = [state[:, chosen] for state in trajectory.states(lengths[-1])][1:]
    hidden = torch.stack(states)
    tables = []
    for length in lengths:
        direct = direct_gradients(function, hidden[:length])
        norm = loss_sweep(trajectory, direct, generator=generator, tolerance=tolerance)
        tables.append(_rows(norm, length))
    return frame.concatenate(tables, quantity="log_norm_fro", matrix="loss", block="hidden")


def direct_gradients(loss: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
    """Return g_t, the gradient of the loss with respect to its argument h_t, shape (T, B, N).

    Parameters
    ----------
    loss
        Maps (T, B, N) to a scalar or to (B,), the loss of each sequence.
    hidden
        h_1 … h_T.

    Raises
    ------
    ArgumentError
        What the loss returns is of neither shape, or does not depend on the hidden states.

    Examples
    --------
    >>> direct_gradients(lambda h: h[-1].square().sum(-1) / 2, torch.ones(2, 1, 3)).tolist()
    [[[0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]]]
    """
    with isolated(hidden.device), torch.enable_grad():
        hidden = hidden.detach().requires_grad_()
        value: Any = loss(hidden)
        if not isinstance(value, torch.Tensor) or tuple(value.shape) not in {(), hidden.shape[1:2]}:
            got = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            raise ArgumentError(f"{EXPECTED}; it returned {got}")
        if not value.requires_grad:
            raise ArgumentError(
                "the value of loss must depend on the hidden states by differentiable operations; "
                "look for detach(), no_grad(), argmax or a comparison in it"
            )
        (gradient,) = torch.autograd.grad(value.sum(), hidden, materialize_grads=True)
    return checks.finite("the gradient of loss (t, sequence, unit)", gradient)


def _resolve(
    trajectory: Trajectory,
    loss: object,
    readout: nn.Module | None,
    targets: Tensor | None,
) -> Callable[[Tensor], Tensor]:
    if callable(loss):
        if readout is not None or targets is not None:
            raise ArgumentError(
                "readout and targets belong to a named loss; a function of the hidden states "
                "applies its own"
            )
        return loss
    if not isinstance(loss, str):
        raise ArgumentError(f"{EXPECTED}; got {loss!r}")
    checks.one_of("loss", loss, LOSSES)
    if not isinstance(readout, torch.nn.Module) or not isinstance(targets, torch.Tensor):
        raise ArgumentError(
            f"loss {loss!r} needs readout, a module from hidden states (B, N) to logits, and "
            "targets, a tensor of class indices (B,); or pass a function as loss"
        )
    checks.shape("targets", targets, (trajectory.batch,))
    return _cross_entropy(readout, targets, trajectory.model.dtype)


def _cross_entropy(
    readout: nn.Module, targets: Tensor, dtype: torch.dtype
) -> Callable[[Tensor], Tensor]:
    """Return the cross-entropy of the last hidden state, for each sequence."""
    with isolated(targets.device):  # copies that can be differentiated, wherever the call stands
        converted, classes = working_copy(readout, dtype), targets.clone()

    def loss(hidden: Tensor) -> Tensor:
        return functional.cross_entropy(converted(hidden[-1]), classes, reduction="none")

    return loss


def _rows(norm: Norm, length: int) -> pd.DataFrame:
    values, errors, resolved = (part.cpu().numpy() for part in norm)
    return frame.rows(
        length=length,
        step=np.arange(length + 1)[:, None],
        sequence=np.arange(values.shape[1]),
        value=values,
        error=errors,
        resolved=resolved,
    )
