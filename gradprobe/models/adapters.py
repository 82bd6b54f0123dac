"""`adapt`: anything recurrent as a model that can be probed, sharing its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from gradprobe.errors import ArgumentError, UnsupportedModelError
from gradprobe.models import torch_modules
from gradprobe.models.opaque.enclosing import enclosing
from gradprobe.models.opaque.inference import infer_structure
from gradprobe.models.opaque.opaque_model import OpaqueModel
from gradprobe.models.opaque.structure import StateStructure
from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.working_copy import dtype_of, require_numbers, working_copy

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def adapt(
    module: Callable[..., object],
    *,
    step: Callable[[Any, Tensor, Any], object] | None = None,
    state_size: object = None,
    hidden: int = 0,
    step_size: float | None = None,
    batch_first: bool = False,
    name: str | None = None,
    example_input: Tensor | None = None,
) -> RecurrentModel | OpaqueModel:
    """Return a model that shares the parameters of `module` and can be probed.

    The parameters are the same objects: what an optimiser does to `module` is seen by the model.

    Parameters
    ----------
    module
        One of

        - a ``torch.nn.RNN``, ``LSTM`` or ``GRU`` of any number of layers, which keeps its layout of
          the inputs, (T, B, D) or with ``batch_first`` (B, T, D); without its dropout, as in
          evaluation mode;
        - a ``torch.nn.RNNCell``, ``LSTMCell`` or ``GRUCell``;
        - any module or function ``(input, state) -> state`` or ``-> (output, state)``; input is
          x_t, shape (B, …), state a tensor (B, …) or nested tuples, lists or dicts of such tensors,
          real or complex; integers in it, such as a counter, are carried along, and nothing is
          differentiated by them;
        - a model of gradprobe's own, which is returned as it is.
    step
        How to call the module for one step, if not as above: a function (module, input, state).
    state_size
        The sizes of the state's tensors, nested as they are: ``64`` for one tensor (B, 64),
        ``(64, 64)`` for a tuple of two, a ``torch.Size`` for a tensor with more axes; or a
        state itself, as an example.  If not given it is inferred: from what the cell returns if it
        is given no state, or from its ``hidden_size``.
    hidden
        Which tensor of the state is h, from 0; the table's block ``hidden``.
    step_size
        ε of an Euler-type cell h_t = h_{t-1} + ε f(h_{t-1}, x_t): the eigenvalues of its vector
        field are measured then.
    batch_first
        Whether inputs are (B, T, …); a ``torch.nn.RNN``, ``LSTM`` or ``GRU`` knows by itself.
    name
        What tables call the model; the name of the class or the function if not given.
    example_input
        An x_t, shape (B, …), to infer the state with where the module does not tell its
        ``input_size``.

    Raises
    ------
    UnsupportedModelError
        The module has no Jacobian ∂h_T/∂h_0 of the kind that is probed; the message says why.
    ArgumentError
        The state cannot be inferred, or an option does not fit the module.

    Notes
    -----
    torch.nn's modules become a matrix product and a pointwise map, whose derivatives are had fast.
    Everything else is differentiated automatically, slower and just as exact; what cannot be is
    refused when it is probed.

    Examples
    --------
    >>> import torch
    >>> class Leaky(nn.Module):
    ...     def __init__(self, input_size, hidden_size):
    ...         super().__init__()
    ...         self.input = nn.Linear(input_size, hidden_size)
    ...         self.recurrent = nn.Linear(hidden_size, hidden_size)
    ...
    ...     def forward(self, x, h):
    ...         return 0.9 * h + 0.1 * torch.tanh(self.input(x) + self.recurrent(h))
    >>> adapt(Leaky(2, 16), state_size=16).state_size
    16
    >>> adapt(torch.nn.LSTM(1, 16, num_layers=2)).state_size
    64
    """
    if isinstance(module, RecurrentModel | OpaqueModel):
        return module
    module = unwrapped(module)
    if not callable(module):
        raise UnsupportedModelError(
            "adapt takes a module or a function (input, state) -> state, got "
            f"{type(module).__name__}"
        )
    title = _name_of(module) if name is None else name
    plain = step is None and state_size is None and hidden == 0 and step_size is None
    if isinstance(module, torch_modules.LAYERS) and step is None:
        _refuse_options(plain and not batch_first, module)
        return torch_modules.adapt_layers(module, title)
    if torch_modules.is_plain_cell(module) and plain:
        return torch_modules.adapt_cell(module, title, batch_first)
    module, step = _unbound(module, step)
    module, step = enclosing(module), None if step is None else enclosing(step)
    return OpaqueModel(
        module,
        _structure(module, step, state_size, title, example_input),
        step=step,
        hidden=hidden,
        step_size=step_size,
        name=title,
        batch_first=batch_first,
    )


def unwrapped(module: Callable[..., object]) -> Callable[..., object]:
    """Return the module inside ``torch.compile`` or a wrapper that spreads it over devices.

    They compute what the module does, only faster; a measurement needs neither.

    Examples
    --------
    >>> unwrapped(nn.DataParallel(nn.GRUCell(1, 2)))
    GRUCell(1, 2)
    """
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrapped(module.module)
    if type(module).__name__ == "OptimizedModule" and isinstance(module, nn.Module):
        inside: Any = module._modules["_orig_mod"]
        return unwrapped(inside)
    return module


def _name_of(module: Callable[..., object]) -> str:
    if isinstance(module, nn.Module):
        kind = type_before_parametrizations(module)
        name = kind.__qualname__
        return f"torch.nn.{name}" if kind.__module__.startswith("torch.nn.") else name
    return str(getattr(module, "__qualname__", type(module).__qualname__))


def _refuse_options(fits: bool, module: Callable[..., object]) -> None:
    if not fits:
        raise ArgumentError(
            f"a {_name_of(module)} knows its own state and layout: adapt takes no state_size, "
            "hidden, step_size or batch_first for it"
        )


def _unbound(
    module: Callable[..., object], step: Callable[..., object] | None
) -> tuple[Callable[..., object], Callable[..., object] | None]:
    """Return the module of a bound method, and the method, so that its parameters are seen."""
    owner, function = getattr(module, "__self__", None), getattr(module, "__func__", None)
    if step is None and isinstance(owner, nn.Module) and function is not None:
        return owner, function
    return module, step


def _structure(
    module: Callable[..., object],
    step: Callable[..., object] | None,
    state_size: object,
    name: str,
    example_input: Tensor | None,
) -> StateStructure:
    if state_size is not None:
        return StateStructure.of(state_size)

    # On a copy: the module may count its calls, or keep running means.
    parts = nn.ModuleList(part for part in (module, step) if isinstance(part, nn.Module))
    require_numbers(name, parts.named_parameters())
    twins = iter(working_copy(parts, dtype_of(parts)))
    called = next(twins) if isinstance(module, nn.Module) else module
    stepped = next(twins) if isinstance(step, nn.Module) else step

    def call(*arguments: object) -> object:
        return called(*arguments) if stepped is None else stepped(called, *arguments)

    owner = called if isinstance(called, nn.Module) else None
    return infer_structure(call, owner, name, example_input)
