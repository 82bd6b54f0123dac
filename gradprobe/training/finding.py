"""Which part of a network is the recurrent one."""

from __future__ import annotations

from torch import nn

from gradprobe.errors import ArgumentError, UnsupportedModelError
from gradprobe.training.passes import SEQUENCE_MODULES


def recurrent_part(model: nn.Module) -> nn.Module:
    """Return the module to watch: `model` itself, or the one recurrent module inside it.

    A module in which nothing is recurrent is taken for a cell that is called step by step.

    Raises
    ------
    ArgumentError
        There are several; the message lists them.
    UnsupportedModelError
        What happens between its steps cannot be had again.

    Examples
    --------
    >>> recurrent_part(nn.Sequential(nn.Embedding(10, 4), nn.LSTM(4, 8)))
    LSTM(4, 8)
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(
            f"model must be a torch.nn.Module that the loop calls, got {type(model).__name__}"
        )
    found = _outermost(model)
    if len(found) > 1:
        listed = ", ".join(f"{path} ({type(part).__name__})" for path, part in found.items())
        raise ArgumentError(
            f"model has {len(found)} recurrent parts: {listed}; pass the one to watch"
        )
    part = next(iter(found.values()), model)
    if isinstance(part, nn.RNNBase):
        _refuse(part)
    return part


def _outermost(model: nn.Module) -> dict[str, nn.Module]:
    """Return the recurrent modules that stand in no other."""
    found: dict[str, nn.Module] = {}
    for path, part in model.named_modules():
        inside = any(not outer or path.startswith(f"{outer}.") for outer in found)
        if isinstance(part, (*SEQUENCE_MODULES, nn.RNNCellBase)) and not inside:
            found[path] = part
    return found


def _refuse(module: nn.RNNBase) -> None:
    name = f"torch.nn.{type(module).__name__}"
    if module.bidirectional:
        raise UnsupportedModelError(
            f"a bidirectional {name} has no state s_t that determines the next one; make each "
            "direction a module of its own, and watch these"
        )
    if module.dropout > 0 and module.num_layers > 1:
        raise UnsupportedModelError(
            f"a {name} with dropout={module.dropout} between its layers draws masks that cannot be "
            "had again, so the gradients inside it are not to be told; stack modules of one layer "
            "with torch.nn.Dropout between them, and watch one of these"
        )
