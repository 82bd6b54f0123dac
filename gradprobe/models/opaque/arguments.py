"""Inputs and initial states of a caller's cell, checked and converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.opaque.structure import StateStructure


def time_first(inputs: object, *, batch_first: bool, device: torch.device | None) -> Tensor:
    """Return inputs of shape (T, B, …), or raise what does not fit.

    Parameters
    ----------
    inputs
        Shape (T, B, …), or (B, T, …) with `batch_first`.
    batch_first
        Which of the two it is.
    device
        Where the model is, or None if it has no parameters.

    Examples
    --------
    >>> time_first(torch.zeros(2, 5, 3), batch_first=True, device=None).shape
    torch.Size([5, 2, 3])
    """
    if not isinstance(inputs, torch.Tensor):
        raise ArgumentError(f"inputs must be a torch.Tensor, got {type(inputs).__name__}")
    if inputs.ndim < 2 or 0 in inputs.shape[:2]:
        raise ArgumentError(
            "inputs must have shape (T, B, …) with at least one step and one sequence, got "
            f"{tuple(inputs.shape)}"
        )
    if device is not None and inputs.device != device:
        raise ArgumentError(
            f"inputs must be on the model's device {device}, got {inputs.device}; "
            f"convert with inputs.to({str(device)!r})"
        )
    return inputs.transpose(0, 1) if batch_first else inputs


def flat_state(
    state: object, structure: StateStructure, batch: int, device: torch.device
) -> Tensor | None:
    """Return s_0, shape (B, S), or None for zeros, or raise what does not fit.

    Parameters
    ----------
    state
        None; or of shape (B, S); or in the structure of the cell.
    structure
        That structure.
    batch, device
        How many sequences the inputs have, and where they are.

    Examples
    --------
    >>> from gradprobe.models.opaque.structure import StateStructure
    >>> pair = (torch.zeros(2, 3), torch.ones(2, 3))
    >>> flat_state(pair, StateStructure.of((3, 3)), 2, torch.device("cpu")).shape
    torch.Size([2, 6])
    """
    if state is None:
        return None
    is_flat = isinstance(state, torch.Tensor) and tuple(state.shape[1:]) == (structure.size,)
    flat = state if is_flat and isinstance(state, torch.Tensor) else structure.flatten(state)
    if len(flat) != batch or flat.device != device:
        raise ArgumentError(
            f"state must hold the {batch} sequences of the inputs, on {device}, got "
            f"({len(flat)}, …) on {flat.device}"
        )
    return flat


def plain(tensor: Tensor) -> Tensor:
    """Return a tensor that takes no part in a differentiation of the caller's, but can in ours."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()
