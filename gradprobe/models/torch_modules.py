"""The recurrent modules of torch.nn as models that share their parameters."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import torch
from torch import nn

from gradprobe.errors import UnsupportedModelError
from gradprobe.models.gru import Gru
from gradprobe.models.initialiser import Initialiser
from gradprobe.models.lstm import Lstm
from gradprobe.models.opaque.opaque_model import OpaqueModel
from gradprobe.models.opaque.structure import StateStructure
from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.vanilla import Vanilla

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.cell import Cell

LAYERS = (nn.RNN, nn.LSTM, nn.GRU)
CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)


class LayeredStructure(StateStructure):
    """A state layer by layer, which is also taken as torch.nn has it: one tensor of all layers.

    Examples
    --------
    >>> structure = LayeredStructure.of([(2, 3), (2, 3)])
    >>> structure.flatten((torch.zeros(2, 5, 2), torch.ones(2, 5, 3)))[0].tolist()
    [0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """

    def flatten(self, state: object) -> Tensor:
        """Return (B, S)."""
        parts = (state,) if isinstance(state, torch.Tensor) else state
        if isinstance(parts, tuple) and all(_of_layers(part, len(self.nested)) for part in parts):
            layers = list(zip(*(part.unbind(0) for part in parts), strict=True))
            state = [layer[0] for layer in layers] if len(parts) == 1 else layers
        return super().flatten(state)


def _of_layers(part: object, layers: int) -> bool:
    return isinstance(part, torch.Tensor) and part.ndim == 3 and len(part) == layers


def adapt_layers(module: nn.RNNBase, name: str) -> RecurrentModel | OpaqueModel:
    """Return a ``torch.nn.RNN``, ``LSTM`` or ``GRU`` as a model.

    Raises
    ------
    UnsupportedModelError
        The module is bidirectional, has dropout and is in training mode, or has a forward pass of
        its own.

    Examples
    --------
    >>> adapt_layers(nn.LSTM(1, 16, num_layers=2), "my network").state_size
    64
    """
    _refuse_what_cannot_be_probed(module)
    if module.proj_size > 0 or not _weights_are_parameters(module):
        return _adapt_opaquely(module, name)
    cells = [_adapt_layer(module, layer) for layer in range(module.num_layers)]
    return RecurrentModel(cells, name=name, batch_first=module.batch_first)


def adapt_cell(module: nn.RNNCellBase, name: str, batch_first: bool) -> RecurrentModel:
    """Return a ``torch.nn.RNNCell``, ``LSTMCell`` or ``GRUCell`` as a model.

    Examples
    --------
    >>> adapt_cell(nn.LSTMCell(1, 16), "my cell", batch_first=False).state_size
    32
    """
    cell = _new_cell(module, module.input_size)
    _share(module, cell, "")
    return RecurrentModel([cell], name=name, batch_first=batch_first)


def _refuse_what_cannot_be_probed(module: nn.RNNBase) -> None:
    name = type(module).__name__
    if not steps_are_torchs(module):
        raise UnsupportedModelError(
            f"{name} has a forward pass of its own, so that its steps need not be those of the "
            "torch.nn module that it is made from; pass step=, a function (module, input, state) "
            "-> state for one step, and state_size="
        )
    name = f"torch.nn.{name}"
    if module.bidirectional:
        raise UnsupportedModelError(
            f"a bidirectional {name} cannot be probed forward in time: its outputs at step t "
            "depend on inputs after t, so no state s_{t-1} determines s_t; probe each direction as "
            "a network of its own"
        )
    if module.dropout > 0 and module.training:
        raise UnsupportedModelError(
            f"a {name} with dropout={module.dropout} in training mode draws a new network at every "
            "step; call module.eval() first"
        )


def _adapt_layer(module: nn.RNNBase, layer: int) -> Cell:
    """Return the cell of one layer, with the module's own parameters in it."""
    cell = _new_cell(module, module.input_size if layer == 0 else module.hidden_size)
    _share(module, cell, f"_l{layer}")
    return cell


def _share(module: nn.Module, cell: Vanilla | Lstm | Gru, suffix: str) -> None:
    cell.input_weight = getattr(module, f"weight_ih{suffix}")
    cell.recurrent_weight = getattr(module, f"weight_hh{suffix}")
    if module.bias:
        cell.biases.input = getattr(module, f"bias_ih{suffix}")
        cell.biases.recurrent = getattr(module, f"bias_hh{suffix}")


def _new_cell(module: nn.RNNBase | nn.RNNCellBase, input_size: int) -> Vanilla | Lstm | Gru:
    options: dict[str, Any] = {
        # On the meta device nothing is allocated: every parameter is replaced by the module's.
        "initialiser": Initialiser(torch.Generator(), device="meta"),
        "biases": "two" if module.bias else "none",
    }
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return Lstm(input_size, module.hidden_size, forget_bias=0.0, **options)
    if isinstance(module, nn.GRU | nn.GRUCell):
        return Gru(input_size, module.hidden_size, **options)
    nonlinearity = str(module.nonlinearity)
    return Vanilla(input_size, module.hidden_size, nonlinearity=nonlinearity, **options)


def steps_are_torchs(module: nn.RNNBase | nn.RNNCellBase) -> bool:
    """Return whether the forward pass is that of torch.nn, and not one that was put in its place.

    Examples
    --------
    >>> class Halved(nn.GRUCell):
    ...     def forward(self, input, hx=None):
    ...         return super().forward(input, hx) / 2
    >>> steps_are_torchs(nn.GRUCell(1, 2)), steps_are_torchs(Halved(1, 2))
    (True, False)
    """
    kinds = (*LAYERS, *CELLS)
    kind = next(kind for kind in type(module).__mro__ if kind in kinds)
    return type(module).forward is kind.forward and "forward" not in vars(module)


def is_plain_cell(module: object) -> TypeGuard[nn.RNNCellBase]:
    """Return whether this is a cell of torch.nn with nothing of its own.

    Examples
    --------
    >>> is_plain_cell(nn.LSTMCell(1, 2))
    True
    """
    return (
        isinstance(module, CELLS) and steps_are_torchs(module) and _weights_are_parameters(module)
    )


def _weights_are_parameters(module: nn.RNNBase | nn.RNNCellBase) -> bool:
    """Return False if a weight is computed, by a parametrisation, normalisation or pruning."""
    own = set(module._parameters)
    if isinstance(module, nn.RNNBase):
        return own.issuperset(module._flat_weights_names)
    names = {"weight_ih", "weight_hh"} | ({"bias_ih", "bias_hh"} if module.bias else set())
    return own >= names


def _adapt_opaquely(module: nn.RNNBase, name: str) -> OpaqueModel:
    """Return a module of torch.nn that is differentiated automatically, as it is called."""
    hidden = module.proj_size or module.hidden_size
    lstm = isinstance(module, nn.LSTM)
    sizes = [(hidden, module.hidden_size) if lstm else hidden] * module.num_layers
    return OpaqueModel(
        module,
        LayeredStructure.of(sizes),
        step=_step_of_layers,
        hidden=(2 if lstm else 1) * (module.num_layers - 1),
        name=name,
        batch_first=module.batch_first,
    )


def _step_of_layers(
    module: nn.RNNBase, inputs: Tensor, state: list[Tensor] | list[tuple[Tensor, Tensor]]
) -> list[Tensor] | list[tuple[Tensor, ...]]:
    """Run one step by the module's own forward pass, which takes parts of (layers, B, N)."""
    sequence = inputs[:, None] if module.batch_first else inputs[None]
    if isinstance(module, nn.LSTM):
        hidden, memory = (torch.stack(part) for part in zip(*state, strict=True))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="LSTM with projections is not supported")
            _, new = module(sequence, (hidden, memory))
        return list(zip(*new, strict=True))
    _, new = module(sequence, torch.stack(cast("list[Tensor]", state)))
    return list(new)
