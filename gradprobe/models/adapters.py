"""Adapters: a module of torch.nn as one of our models, sharing its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradprobe.errors import UnsupportedModelError
from gradprobe.models.gru import Gru
from gradprobe.models.initialiser import Initialiser
from gradprobe.models.lstm import Lstm
from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.vanilla import Vanilla

if TYPE_CHECKING:
    from gradprobe.models.cell import Cell


def adapt(module: nn.Module) -> RecurrentModel:
    """Return a model that shares the parameters of `module` and can be probed.

    The parameters are the same objects: what an optimiser does to `module` is seen by the model.
    The model is the network without dropout, as in evaluation mode.  Inputs keep the module's
    layout, (T, B, D) or with ``batch_first`` (B, T, D).

    Parameters
    ----------
    module
        A ``torch.nn.RNN``, ``torch.nn.LSTM`` or ``torch.nn.GRU``, of any number of layers.  A model
        of gradprobe's own is returned as it is.

    Raises
    ------
    UnsupportedModelError
        The module has no Jacobian ∂h_T/∂h_0 of the kind that is probed, or is of a type that is not
        known; the message says why.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.adapt(torch.nn.LSTM(1, 16, num_layers=2))
    >>> model.state_size
    64
    """
    if isinstance(module, RecurrentModel):
        return module
    if not isinstance(module, nn.RNN | nn.LSTM | nn.GRU):
        kind = type(module)
        raise UnsupportedModelError(
            "adapt takes a torch.nn.RNN, torch.nn.LSTM or torch.nn.GRU, got "
            f"{kind.__module__}.{kind.__qualname__}; write any other network as a "
            "gradprobe.models.Cell"
        )
    _refuse_what_cannot_be_probed(module)
    cells = [_adapt_layer(module, layer) for layer in range(module.num_layers)]
    name = f"torch.nn.{type(module).__name__}"
    return RecurrentModel(cells, name=name, batch_first=module.batch_first)


def _refuse_what_cannot_be_probed(module: nn.RNNBase) -> None:
    name = f"torch.nn.{type(module).__name__}"
    if module.bidirectional:
        raise UnsupportedModelError(
            f"a bidirectional {name} cannot be probed forward in time: its outputs at step t "
            "depend on inputs after t, so no state s_{t-1} determines s_t; probe each direction as "
            "a network of its own"
        )
    if module.proj_size > 0:
        raise UnsupportedModelError(
            f"a {name} with proj_size={module.proj_size} is not supported: its step is two matrix "
            "products, not one; use proj_size=0"
        )
    if module.dropout > 0 and module.training:
        raise UnsupportedModelError(
            f"a {name} with dropout={module.dropout} in training mode draws a new network at every "
            "step; call module.eval() first"
        )


def _adapt_layer(module: nn.RNNBase, layer: int) -> Cell:
    """Return the cell of one layer, with the module's own parameters in it."""
    input_size = module.input_size if layer == 0 else module.hidden_size
    options: dict[str, Any] = {
        # On the meta device nothing is allocated: every parameter is replaced below.
        "initialiser": Initialiser(torch.Generator(), device="meta"),
        "biases": "two" if module.bias else "none",
    }
    cell = _new_cell(module, input_size, options)
    cell.input_weight = getattr(module, f"weight_ih_l{layer}")
    cell.recurrent_weight = getattr(module, f"weight_hh_l{layer}")
    if module.bias:
        cell.biases.input = getattr(module, f"bias_ih_l{layer}")
        cell.biases.recurrent = getattr(module, f"bias_hh_l{layer}")
    return cell


def _new_cell(module: nn.RNNBase, input_size: int, options: dict[str, Any]) -> Vanilla | Lstm | Gru:
    if isinstance(module, nn.LSTM):
        return Lstm(input_size, module.hidden_size, forget_bias=0.0, **options)
    if isinstance(module, nn.GRU):
        return Gru(input_size, module.hidden_size, **options)
    nonlinearity = str(module.nonlinearity)
    return Vanilla(input_size, module.hidden_size, nonlinearity=nonlinearity, **options)
