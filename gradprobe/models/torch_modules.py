"""The recurrent modules of torch.nn as models that share their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import linear

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


def adapt_layers(module: nn.RNNBase, name: str) -> RecurrentModel | OpaqueModel:
    """Return a ``torch.nn.RNN``, ``LSTM`` or ``GRU`` as a model.

    Raises
    ------
    UnsupportedModelError
        The module is bidirectional, or has dropout and is in training mode.

    Examples
    --------
    >>> adapt_layers(nn.LSTM(1, 16, num_layers=2), "my network").state_size
    64
    """
    _refuse_what_cannot_be_probed(module)
    if module.proj_size > 0:
        return _adapt_projected(module, name)
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
    name = f"torch.nn.{type(module).__name__}"
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


def _adapt_projected(module: nn.RNNBase, name: str) -> OpaqueModel:
    """Return an LSTM whose hidden state is a projection of o ∘ tanh(c): two products in a step."""
    sizes = [(module.proj_size, module.hidden_size)] * module.num_layers
    return OpaqueModel(
        module,
        StateStructure.of(sizes),
        step=_projected_step,
        hidden=2 * (module.num_layers - 1),
        name=name,
        batch_first=module.batch_first,
    )


def _projected_step(
    module: nn.LSTM, inputs: Tensor, state: list[tuple[Tensor, Tensor]]
) -> list[tuple[Tensor, Tensor]]:
    new = []
    for layer, (hidden, previous) in enumerate(state):
        weight_ih, weight_hh, *biases, projection = module.all_weights[layer]
        bias_ih, bias_hh = biases or (None, None)
        gates = linear(inputs, weight_ih, bias_ih) + linear(hidden, weight_hh, bias_hh)
        i, f, g, o = gates.chunk(4, dim=-1)
        memory = f.sigmoid() * previous + i.sigmoid() * g.tanh()
        inputs = linear(o.sigmoid() * memory.tanh(), projection)
        new.append((inputs, memory))
    return new
