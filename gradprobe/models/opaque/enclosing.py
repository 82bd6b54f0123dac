"""Functions and objects that use modules and tensors, as modules that own them.

A function such as ``lambda x, h: cell(x, h)`` does not show the parameters that it uses.  Once
found, they can be converted, copied and shared like those of a module.
"""

from __future__ import annotations

import dis
import functools
from types import CellType, CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradprobe.models.opaque.nesting import leaves_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def enclosing(call: Callable[..., object]) -> Callable[..., object]:
    """Return a module that does what `call` does and owns the modules and tensors that it uses.

    Looked at are the variables that a function takes from around it, by name, and the attributes of
    an object; not what functions that it calls use in turn.  A module is returned as it is, and so
    is a function that uses none.

    Examples
    --------
    >>> cell = nn.GRUCell(1, 2)
    >>> [name for name, _ in enclosing(lambda x, h: cell(x, h)).named_children()]
    ['cell']
    >>> enclosing(torch.tanh) is torch.tanh
    True
    """
    if isinstance(call, nn.Module):
        return call
    if isinstance(call, FunctionType):
        used = _variables(call)
        return EnclosedFunction(call, used) if used else call
    if isinstance(call, functools.partial):
        call = functools.partial(enclosing(call.func), *call.args, **call.keywords)
        used = _owning({"function": call.func, "arguments": call.args, **call.keywords})
    else:
        owner = call.__self__ if isinstance(call, MethodType) else call
        used = _owning(getattr(owner, "__dict__", {}))
    return EnclosedObject(call, used) if used else call


class _Owner(nn.Module):
    """A module that owns what is in `used`: modules and parameters, and other tensors."""

    def __init__(self, call: Callable[..., object], used: Mapping[str, Any]) -> None:
        super().__init__()
        self._enclosed = call
        self._used = dict(used)
        for name, value in used.items():
            for number, leaf in enumerate(leaves_of(value)):
                title = name if leaf is value else f"{name}_{number}"
                title = f"{title}_" if hasattr(self, title) else title
                if isinstance(leaf, nn.Module):
                    self.add_module(title, leaf)
                elif isinstance(leaf, nn.Parameter):
                    self.register_parameter(title, leaf)


class EnclosedObject(_Owner):
    """An object that is called, a method of one, or a ``functools.partial``, with what it uses.

    Examples
    --------
    >>> enclosed = EnclosedObject(functools.partial(nn.GRUCell(1, 2)), {})
    >>> enclosed(torch.zeros(3, 1), torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    def forward(self, *arguments: object, **options: object) -> object:
        """Call it."""
        return self._enclosed(*arguments, **options)


class EnclosedFunction(_Owner):
    """A function with the variables that it takes from around it, which a copy has copies of.

    Examples
    --------
    >>> factor = torch.tensor(3.0)
    >>> enclosed = EnclosedFunction(lambda h: factor * h, {"factor": torch.tensor(2.0)})
    >>> float(enclosed(1.0))
    2.0
    """

    def __init__(self, call: FunctionType, used: Mapping[str, Any]) -> None:
        super().__init__(call, used)
        self._bound: Callable[..., object] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_bound": None}  # a copy binds its own variables

    def forward(self, *arguments: object, **options: object) -> object:
        """Call the function with the variables that this module owns."""
        if self._bound is None:
            self._bound = _bind(self._enclosed, self._used)  # type: ignore[arg-type]
        return self._bound(*arguments, **options)


def _bind(function: FunctionType, used: Mapping[str, Any]) -> FunctionType:
    """Return the same function with other values of the variables in `used`."""
    code, closure = function.__code__, function.__closure__ or ()
    cells = tuple(
        CellType(used[name]) if name in used else cell
        for name, cell in zip(code.co_freevars, closure, strict=True)
    )
    around = {name: value for name, value in used.items() if name not in code.co_freevars}
    variables = {**function.__globals__, **around} if around else function.__globals__
    bound = FunctionType(code, variables, function.__name__, function.__defaults__, cells)
    bound.__kwdefaults__ = function.__kwdefaults__
    return bound


def _variables(function: FunctionType) -> dict[str, Any]:
    """Return the variables around a function that hold modules or tensors, by name."""
    code = function.__code__
    found = {
        name: function.__globals__[name] for name in _names(code) if name in function.__globals__
    }
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        found.pop(name, None)
        if cell != CellType():  # not assigned yet
            found[name] = cell.cell_contents
    return _owning(found)


def _names(code: CodeType) -> Iterator[str]:
    """Yield the global variables that a function reads; attributes of the same name are others."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _owning(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in variables.items()
        if any(isinstance(leaf, nn.Module | torch.Tensor) for leaf in leaves_of(value))
    }
