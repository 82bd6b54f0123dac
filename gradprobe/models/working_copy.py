"""Copies of a caller's module to measure on, so that the module itself stays as it is."""

from __future__ import annotations

import copy
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradprobe.errors import ArgumentError, UnsupportedModelError
from gradprobe.models.opaque.nesting import leaves_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

Module = TypeVar("Module", bound=nn.Module)

HOOKS = (
    "_forward_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


def working_copy(module: Module, dtype: torch.dtype) -> Module:
    """Return a copy of `module` with its floating-point tensors in `dtype`, without gradients.

    The copy has no forward or backward hooks: what the caller counts or records with them is not
    to be disturbed by a measurement.  Hooks that run before the forward pass stay, because
    ``torch.nn.utils`` computes weights with them.

    Examples
    --------
    >>> module = nn.Linear(2, 3)
    >>> working_copy(module, torch.float64).weight.dtype, module.weight.dtype
    (torch.float64, torch.float32)
    """
    require_support(dtype, device_of(module, torch.device("cpu")))
    # A deep copy refuses tensors that are results of a computation, such as a normalised weight.
    results = {
        id(tensor): tensor.detach().clone() for tensor in tensors_of(module) if not tensor.is_leaf
    }
    try:
        twin = copy.deepcopy(module, results)
    except Exception as error:
        raise UnsupportedModelError(
            f"{type(module).__name__} cannot be copied, so that measuring could leave traces in "
            f"it ({type(error).__name__}: {error}); keep locks, files and connections out of it"
        ) from error
    for part in twin.modules():
        for hooks in HOOKS:
            getattr(part, hooks).clear()
    for parameter in twin.parameters():
        parameter.detach_()  # a scripted module's copy is linked to the module itself
    return converted(twin, dtype).requires_grad_(False)


def dtype_of(module: nn.Module) -> torch.dtype:
    """Return the dtype of the first floating-point tensor of a module; the default without one.

    Examples
    --------
    >>> dtype_of(nn.Linear(2, 3, dtype=torch.bfloat16))
    torch.bfloat16
    """
    dtypes = (tensor.dtype for tensor in tensors_of(module) if tensor.is_floating_point())
    return next(dtypes, torch.get_default_dtype())


def device_of(module: nn.Module, otherwise: torch.device) -> torch.device:
    """Return the device of the first tensor of a module, or `otherwise` without one.

    Examples
    --------
    >>> device_of(nn.Linear(2, 3, device="meta"), torch.device("cpu"))
    device(type='meta')
    """
    return next((tensor.device for tensor in tensors_of(module)), otherwise)


def tensors_of(module: nn.Module) -> Iterator[Tensor]:
    """Yield parameters, buffers, and the tensors that attributes hold besides, some repeatedly.

    Examples
    --------
    >>> module = nn.Linear(2, 3, bias=False)
    >>> module.masks = [torch.ones(3), {"second": torch.zeros(3)}]
    >>> len({id(tensor) for tensor in tensors_of(module)})
    3
    """
    yield from module.parameters()
    yield from module.buffers()
    for part in module.modules():
        for value in vars(part).values():
            yield from (leaf for leaf in leaves_of(value) if isinstance(leaf, torch.Tensor))


def converted(module: Module, dtype: torch.dtype) -> Module:
    """Convert the floating-point and complex tensors of `module` in place, and return it.

    Unlike ``module.to(dtype)`` this keeps complex tensors complex.

    Examples
    --------
    >>> module = nn.Linear(2, 3, dtype=torch.complex64)
    >>> converted(module, torch.float64).weight.dtype
    torch.complex128
    """
    for tensor in tensors_of(module):
        if tensor.is_complex():
            tensor.data = tensor.data.to(torch.promote_types(dtype, torch.complex32))
        elif tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)
    return module


def require_support(dtype: torch.dtype, device: torch.device) -> None:
    """Raise an error if `device` has no arithmetic of this dtype, such as float64 on MPS."""
    try:
        torch.zeros((), dtype=dtype, device=device)
    except (TypeError, RuntimeError) as error:
        raise ArgumentError(
            f"device {device} cannot compute in {dtype} ({error}); pass dtype=torch.float32, or "
            "move the model to a device that can"
        ) from error


def require_numbers(model: str, parameters: Iterable[tuple[str, Tensor]]) -> None:
    """Raise an error if a parameter holds no numbers: it has no shape yet, or is on meta.

    Examples
    --------
    >>> require_numbers("mine", nn.Linear(2, 3, device="meta").named_parameters())
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: parameters must hold numbers, but weight of model 'mine' is on
    meta; load or initialise its parameters on a device first
    """
    for name, parameter in parameters:
        if is_lazy(parameter) or parameter.is_meta:
            lazy = is_lazy(parameter)
            reason = "has no shape yet: call the module once" if lazy else "is on meta"
            raise ArgumentError(
                f"parameters must hold numbers, but {name} of model {model!r} {reason}; load or "
                "initialise its parameters on a device first"
            )


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Measure without a trace: random numbers, inference mode and autocast of the caller.

    Examples
    --------
    >>> generator_state = torch.get_rng_state()
    >>> with isolated(torch.device("cpu")):
    ...     _ = torch.rand(3)
    >>> bool((torch.get_rng_state() == generator_state).all())
    True
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if device.type == "cuda":  # cuDNN differentiates no recurrent module in evaluation mode
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        devices = [device] if device.type == "cuda" else []
        stack.enter_context(torch.random.fork_rng(devices))
        yield
