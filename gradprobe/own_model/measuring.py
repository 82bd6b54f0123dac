"""Making a user's model, its inputs, and its table."""

from __future__ import annotations

import inspect
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gradprobe.errors import ArgumentError
from gradprobe.models import adapt
from gradprobe.models.adapters import unwrapped
from gradprobe.models.own_cells import adapt_made
from gradprobe.models.torch_modules import LAYERS
from gradprobe.probes import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import OpaqueModel, RecurrentModel


def make(
    found: Callable[..., object],
    sizes: tuple[int, ...],
    seed: int,
    weights: Path | None = None,
) -> Callable[..., object]:
    """Return the model: what is found itself, or what it makes.

    Parameters
    ----------
    found
        A module; a cell, which is a function (input, state) -> state; or a factory of one of
        these, such as a class.
    sizes
        Nothing, for a factory without arguments; or (input_size, hidden_size), what it is called
        with.
    seed
        What torch's global generator is set to while the factory runs.
    weights
        A file of saved weights, read with ``weights_only=True``: no code in it is run.

    Examples
    --------
    >>> make(torch.nn.GRUCell, (3, 16), seed=0)
    GRUCell(3, 16)
    """
    model = _called(found, sizes, seed) if sizes or _takes_nothing(found) else found
    if not callable(model):
        raise ArgumentError(
            f"{_name(found)} must return a module or a function, got {type(model).__name__}"
        )
    if weights is not None:
        _load_weights(model, weights)
    return model


def _takes_nothing(found: Callable[..., object]) -> bool:
    """Return whether this is a factory that can be called without arguments."""
    if isinstance(found, torch.nn.Module):
        return False
    try:
        inspect.signature(found).bind()
    except TypeError:
        if not isinstance(found, type):
            return False
        raise ArgumentError(
            f"{_name(found)} needs arguments: give --hidden-size, with which it is called as "
            f"{_name(found)}(input_size, hidden_size), or name a function that makes one"
        ) from None
    return True


def _called(found: Callable[..., object], sizes: tuple[int, ...], seed: int) -> Any:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        try:
            return found(*sizes)
        except Exception as error:
            arguments = ", ".join(map(str, sizes))
            raise ArgumentError(
                f"{_name(found)}({arguments}) raised {type(error).__name__}: {error}"
            ) from error


def _load_weights(model: object, path: Path) -> None:
    if not isinstance(model, torch.nn.Module):
        raise ArgumentError(f"weights need a torch.nn.Module, got {type(model).__name__}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state)
    except (OSError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
        raise ArgumentError(f"cannot load the weights in {path}: {error}") from error


def read_inputs(path: Path) -> Tensor:
    """Return inputs, shape (T, B, …), from a file of numpy's; pickled ones are refused."""
    try:
        inputs = torch.from_numpy(np.load(path, allow_pickle=False))
    except (OSError, ValueError, TypeError) as error:
        raise ArgumentError(f"cannot read inputs from {path}: {error}") from error
    if inputs.ndim < 2 or 0 in inputs.shape[:2]:
        raise ArgumentError(
            "inputs must have shape (T, B, …) with at least one step and one sequence, got "
            f"{tuple(inputs.shape)}"
        )
    return inputs


def draw_inputs(length: int, sequences: int, input_size: int, seed: int) -> Tensor:
    """Return standard normal inputs, shape (T, B, D).

    Examples
    --------
    >>> draw_inputs(5, 2, 3, seed=0).shape
    torch.Size([5, 2, 3])
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(length, sequences, input_size, generator=generator)


def measure(
    model: Callable[..., object],
    inputs: Tensor,
    probes: Sequence[str],
    lengths: Sequence[int] | None,
    state_sizes: Sequence[int],
    hidden_size: int | None = None,
) -> tuple[pd.DataFrame, str]:
    """Return the table of a model's probes, and in a few words what was measured.

    `state_sizes` are the sizes of the tensors of the state; none if the model tells by itself, or
    if it is a tensor of the `hidden_size` that the factory was called with.

    Examples
    --------
    >>> table, description = measure(
    ...     torch.nn.GRUCell(3, 16), draw_inputs(5, 2, 3, seed=0), ["singular_values"], [5], []
    ... )
    >>> len(table), description
    (32, 'torch.nn.GRUCell: 16 state entries, 16 of them hidden; inputs (5, 2, 3);
    step Jacobians pointwise, float64')
    """
    adapted = _adapted(model, inputs, state_sizes, hidden_size)
    table = probe(adapted, inputs, probes=probes, lengths=lengths)
    method, dtype = table["method"].iloc[0], table["dtype"].iloc[0]
    return table, (
        f"{adapted.name}: {adapted.state_size} state entries, {adapted.hidden_size} of them "
        f"hidden; inputs {tuple(inputs.shape)}; step Jacobians {method}, {dtype}"
    )


def _adapted(
    model: Callable[..., object],
    inputs: Tensor,
    state_sizes: Sequence[int],
    hidden_size: int | None,
) -> RecurrentModel | OpaqueModel:
    if hidden_size is not None and not state_sizes:
        return adapt_made(unwrapped(model), hidden_size, inputs[0])
    several = tuple(state_sizes) if len(state_sizes) != 1 else state_sizes[0]
    state_size = several or None
    if isinstance(model, LAYERS):
        return adapt(model, state_size=state_size)
    return adapt(model, state_size=state_size, example_input=inputs[0])


def _name(found: Callable[..., object]) -> str:
    return str(getattr(found, "__qualname__", type(found).__qualname__))
