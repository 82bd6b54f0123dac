"""One step of a caller's cell before it is probed, to see whether it can be differentiated."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Protocol

import torch

from gradprobe.errors import UnsupportedModelError

if TYPE_CHECKING:
    from torch import Tensor


class Rehearsed(Protocol):
    """What is rehearsed."""

    name: str

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_t, shape (B, S)."""
        ...


def rehearse(model: Rehearsed, inputs: Tensor, state: Tensor) -> None:
    """Take the first step, and see that it has Jacobians.

    Parameters
    ----------
    model
        The model, in the dtype of `state`.
    inputs, state
        x_1 and s_0.

    Raises
    ------
    UnsupportedModelError
        The step fails, returns another dtype, draws random numbers, keeps a state of its own,
        cannot be differentiated, or lets the sequences of a batch act on one another.

    Examples
    --------
    >>> from gradprobe import models
    >>> rehearse(models.adapt(lambda x, h: h.detach(), state_size=2), torch.zeros(1, 2),
    ...          torch.zeros(1, 2))
    Traceback (most recent call last):
    ...
    gradprobe.errors.UnsupportedModelError: the new state of '<lambda>' does not depend on the old
    one by differentiable operations: look for detach(), no_grad(), numpy, rounding or argmax in its
    step, and that it uses the state that it is given
    """
    with torch.enable_grad():
        state = state.detach().requires_grad_()
        try:
            new, again = model.step(inputs, state), model.step(inputs, state)
        except UnsupportedModelError:
            raise
        except Exception as error:
            raise UnsupportedModelError(
                f"a step of {model.name!r} in {state.dtype} failed with {type(error).__name__}: "
                f"{error}"
            ) from error
        if new.dtype != state.dtype:
            raise UnsupportedModelError(
                f"{model.name!r} must return a state in the dtype that it is given, "
                f"{state.dtype}, got {new.dtype}"
            )
        check_repeated(model, again, new, 0.0)
        _check_derivatives(model, new, state)


def _check_derivatives(model: Rehearsed, new: Tensor, state: Tensor) -> None:
    if not new.requires_grad:
        raise UnsupportedModelError(
            f"the new state of {model.name!r} does not depend on the old one by differentiable "
            "operations: look for detach(), no_grad(), numpy, rounding or argmax in its step, and "
            "that it uses the state that it is given"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*autograd kernel was not registered")
        try:
            check_independence(model, new, state)
        except UserWarning as warning:
            raise UnsupportedModelError(
                f"an operation in a step of {model.name!r} has no derivative: "
                f"{str(warning).partition(': ')[0]} (a quantised module, perhaps: probe it before "
                "it is quantised)"
            ) from warning
        except (RuntimeError, NotImplementedError) as error:
            raise UnsupportedModelError(
                f"a step of {model.name!r} cannot be differentiated: {error}"
            ) from error


def check_repeated(model: Rehearsed, new: Tensor, first: Tensor, tolerance: float) -> None:
    """See that a step gave what it gave for the same input and state before, or raise an error.

    Parameters
    ----------
    model
        The model, for its name.
    new, first
        The new states of the two calls.
    tolerance
        Absolute and relative.
    """
    if not torch.allclose(new, first, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise UnsupportedModelError(
            f"{model.name!r} returns different states for the same input and state, so there is no "
            "step to differentiate: it draws random numbers (dropout in training mode: call "
            "eval() first) or keeps a state of its own besides the one that it is given"
        )


def check_independence(model: Rehearsed, new: Tensor, state: Tensor) -> None:
    """See that the new state of each sequence depends on its own old state only, or raise an error.

    Parting the sequences by each binary digit of their numbers parts every two of them once.

    Parameters
    ----------
    model
        The model, for its name.
    new
        s_t, shape (B, S), with the graph of its computation.
    state
        s_{t-1}, from which it has been computed.
    """
    batch, size = state.shape
    numbers = torch.arange(batch, device=state.device)
    # Unequal weights, as the sum of some states (a softmax, say) is constant.
    weighted = new * torch.linspace(0.5, 1.5, size, dtype=new.dtype, device=new.device)
    for digit in range((batch - 1).bit_length()):
        chosen = (numbers >> digit) % 2 == 1
        for part in (chosen, ~chosen):
            (gradient,) = torch.autograd.grad(
                weighted[part].sum(), state, retain_graph=True, materialize_grads=True
            )
            # A derivative that is infinite makes NaN of the zeros; it is found later.
            if bool((gradient[~part].nan_to_num() != 0).any()):
                raise UnsupportedModelError(
                    f"the sequences of a batch act on one another in {model.name!r} (normalisation "
                    "over the batch, perhaps: call eval() first; or the first axis of what it "
                    "takes is not the batch), so that no sequence has a Jacobian of its own; "
                    "probe with one sequence"
                )
