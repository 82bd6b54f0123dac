"""Finding out what the state of a caller's cell is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradprobe.errors import ArgumentError, UnsupportedModelError
from gradprobe.models.opaque.structure import StateStructure, describe
from gradprobe.models.working_copy import isolated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

HINT = (
    "say what its state is, for example state_size=64 for a tensor (B, 64) or state_size=(64, 64) "
    "for a tuple of two"
)


def new_state(result: object, structure: StateStructure, name: str) -> Tensor:
    """Return the new state, shape (B, S), out of what a cell returned.

    A cell returns its new state, in the structure of the old one, or a pair (output, new state).

    Examples
    --------
    >>> structure = StateStructure.of(3)
    >>> new_state((torch.zeros(2, 9), torch.ones(2, 3)), structure, "my cell").shape
    torch.Size([2, 3])
    """
    return _matched(result, structure, name)[1]


def state_in(result: object, structure: StateStructure, name: str) -> Any:
    """Return the new state out of what a cell returned, in the cell's own structure.

    Examples
    --------
    >>> structure = StateStructure.of((3, 3))
    >>> h, c = state_in((None, (torch.zeros(2, 3), torch.ones(2, 3))), structure, "my cell")
    >>> c[0].tolist()
    [1.0, 1.0, 1.0]
    """
    return _matched(result, structure, name)[0]


def _matched(result: object, structure: StateStructure, name: str) -> tuple[Any, Tensor]:
    """Return the new state, as it is and flat."""
    candidates = [result]
    if isinstance(result, tuple | list) and len(result) == 2:
        candidates.append(result[1])
    for candidate in candidates:
        try:
            return candidate, structure.flatten(candidate)
        except ArgumentError:
            continue  # the message below tells the whole result
    raise UnsupportedModelError(
        f"{name} must return the new state, {structure}, or a pair (output, new state), got "
        f"{describe(result)}; if its state is something else, {HINT}"
    )


def infer_structure(
    call: Callable[..., object], module: nn.Module | None, name: str, example: Tensor | None
) -> StateStructure:
    """Return the structure that the cell maps to itself.

    Tried in turn: what the cell returns if it is given no state at all; one tensor of the module's
    ``hidden_size``.  The first for which the new state has the structure of the old one is it.

    Raises
    ------
    ArgumentError
        Neither works; the message says what to give.
    """
    inputs = _example_input(module, name) if example is None else _as_parameters(example, module)
    reasons: list[str] = []
    with torch.no_grad(), isolated(inputs.device):
        for state in _candidates(call, module, inputs, reasons):
            try:
                structure = StateStructure.of(state)
                new_state(call(inputs, state), structure, name)
            except Exception as error:
                reasons.append(f"with a state {describe(state)}: {type(error).__name__}: {error}")
            else:
                return structure
    tried = "; ".join(reasons) if reasons else "nothing tells how long it is"
    raise ArgumentError(
        f"the state of {name} could not be inferred ({tried}); {HINT}{_recurrent_parts(module)}"
    )


def _recurrent_parts(module: nn.Module | None) -> str:
    """Point to the recurrent modules inside a whole network."""
    parts = () if module is None else module.named_modules()
    found = [
        f"{path} ({type(part).__name__})"
        for path, part in parts
        if path and isinstance(part, nn.RNNBase | nn.RNNCellBase)
    ]
    listed = ", ".join(found)
    return f"; if it is a whole network, probe its recurrent part: {listed}" if found else ""


def _example_input(module: nn.Module | None, name: str) -> Tensor:
    size = getattr(module, "input_size", None)
    if not isinstance(size, int):
        raise ArgumentError(
            f"the state of {name} could not be inferred, since neither state_size nor "
            f"example_input is given and it has no input_size; {HINT}"
        )
    return _as_parameters(torch.zeros(1, size), module)


def _as_parameters(example: Tensor, module: nn.Module | None) -> Tensor:
    """Return one sequence of an example, in the dtype and on the device of the parameters."""
    parameters = () if module is None else module.parameters()
    like = next((p for p in parameters if p.is_floating_point()), None)
    one = example[:1].detach().clone()
    if like is None:
        return one
    return one.to(like.device, like.dtype) if one.is_floating_point() else one.to(like.device)


def _candidates(
    call: Callable[..., object], module: nn.Module | None, inputs: Tensor, reasons: list[str]
) -> Iterator[object]:
    try:
        result = call(inputs)
    except Exception as error:
        reasons.append(f"without a state: {type(error).__name__}: {error}")
    else:
        yield result
        if isinstance(result, tuple | list) and len(result) == 2:
            yield result[1]
    size = getattr(module, "hidden_size", None)
    if isinstance(size, int):
        like = inputs if inputs.is_floating_point() else torch.zeros((), device=inputs.device)
        yield torch.zeros(1, size, dtype=like.dtype, device=like.device)
