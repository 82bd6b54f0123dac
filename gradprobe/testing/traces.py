"""What a measurement could leave behind in a caller's module and surroundings."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.testing.subject import Subject


def traces_of(subject: Subject) -> dict[str, object]:
    """Return everything that probing must not change, to compare before and after.

    Examples
    --------
    >>> from gradprobe.testing.subject import subject_of
    >>> subject = subject_of(nn.GRUCell(2, 3), None, None, None, {})
    >>> sorted(traces_of(subject))[:3]
    ['buffers and attributes', 'gradients', 'hooks']
    """
    found: dict[str, object] = {
        "its inputs": fingerprint(subject.inputs),
        "its initial state": fingerprint(subject.state),
        "the state of the random number generator": fingerprint(torch.get_rng_state()),
    }
    if torch.cuda.is_available():
        states = torch.cuda.get_rng_state_all()
        found["the states of the CUDA generators"] = [fingerprint(state) for state in states]
    if isinstance(subject.cell, nn.Module):
        found |= _traces_of_module(subject.cell)
    return found


def fingerprint(tensor: Tensor) -> tuple[object, ...]:
    """Return what tells whether a tensor has been changed.

    Examples
    --------
    >>> fingerprint(torch.zeros(2)) == fingerprint(torch.zeros(2))
    True
    >>> fingerprint(torch.zeros(2)) == fingerprint(torch.zeros(3))
    False
    """
    held = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return tensor.shape, tensor.dtype, hashlib.sha256(held).hexdigest()


def _traces_of_module(module: nn.Module) -> dict[str, object]:
    parts = dict(module.named_modules())
    tensors = {
        f"{name}.{attribute}": fingerprint(value)
        for name, part in parts.items()
        for attribute, value in vars(part).items()
        if isinstance(value, torch.Tensor)
    }
    return {
        "parameters": {name: (id(p), fingerprint(p)) for name, p in module.named_parameters()},
        "requires_grad": {name: p.requires_grad for name, p in module.named_parameters()},
        "gradients": {
            name: None if p.grad is None else fingerprint(p.grad)
            for name, p in module.named_parameters()
        },
        "buffers and attributes": {
            **{name: fingerprint(buffer) for name, buffer in module.named_buffers()},
            **tensors,
        },
        "training mode": {name: part.training for name, part in parts.items()},
        "hooks": {
            f"{name}.{attribute}": list(value)
            for name, part in parts.items()
            for attribute, value in vars(part).items()
            if attribute.endswith("_hooks") and value is not None
        },
    }
