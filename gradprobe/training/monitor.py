"""A monitor for anybody's training loop."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import nn

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError, MonitorError
from gradprobe.models import RecurrentModel, adapt
from gradprobe.models.opaque.inference import state_in
from gradprobe.models.opaque.nesting import leaves_of
from gradprobe.training.passes import SEQUENCE_MODULES, CellPass, SequencePass
from gradprobe.training.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import OpaqueModel


class Overhead(NamedTuple):
    """What monitoring has cost.

    Attributes
    ----------
    seconds
        Wall-clock time spent in the monitor.
    fraction
        Of all the time since it was attached.

    Examples
    --------
    >>> Overhead(seconds=1.0, fraction=0.25).fraction
    0.25
    """

    seconds: float
    fraction: float


class Monitor:
    r"""Record probes, and ‖∂L/∂h_t‖ of the actual loss, while a network is trained.

    Every so many iterations the forward pass of a recurrent module is noted, with the gradient that
    comes back to it; `step` then measures at that iteration's weights, on the very sequences of the
    batch.  In between, the module has no hook and costs nothing.  The module, its gradients and the
    state of all random number generators stay as they are.

    Parameters
    ----------
    module
        The recurrent part of the network: a ``torch.nn.RNN``, ``LSTM`` or ``GRU``, a model of
        gradprobe's own, or a cell (input, state) → state that the loop calls at each step.
    probes
        Names out of `gradprobe.probes.PROBES`, or a mapping from names to options; may be empty.
    every
        Record iterations 0, `every`, 2 · `every`, ….
    sequences
        How many of the batch are measured, the first ones: probes cost time for each.
    lengths
        Prefixes to measure at; the whole length if not given.
    on_record
        Called after each record with the iteration and its rows, for example a
        `TensorBoardWriter`.

    Raises
    ------
    ArgumentError
        An option is wrong.
    UnsupportedModelError
        The module cannot be probed; the message says why.

    Notes
    -----
    The rows of the loss have probe ``loss_gradient``, matrix ``loss``, block ``hidden``, quantity
    ``log_norm_fro``: the natural logarithm of ‖∂L/∂h_t‖ for each sequence, t = 0 … T, where L is
    what ``backward`` was called on: a mean over the batch has its 1/B in every gradient, and a loss
    divided for accumulation its divisor.  With several backward passes in an iteration
    (accumulation), the sequences are taken from the passes in turn.  Gradients are those of
    ``backward``, before clipping; with a gradient scaler its scale is taken out.  Where the scaler
    finds them infinite and skips the iteration, so are the values here.

    For a module that takes whole sequences, back-propagation through time is done again in float64
    with its exact step Jacobians, from the gradient on its output.  For a cell the gradients are
    those of automatic differentiation itself, in the dtype of the training, for t = 1 … T.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> network = torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 16), "readout": nn.Linear(16, 2)})
    >>> optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    >>> with Monitor(network["rnn"], probes=["singular_values"], every=5) as monitor:
    ...     for _ in range(11):
    ...         inputs, targets = torch.randn(20, 8, 3), torch.randint(2, (8,))
    ...         hidden, _ = network["rnn"](inputs)
    ...         loss = nn.functional.cross_entropy(network["readout"](hidden[-1]), targets)
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         monitor.step()  # after backward, before clipping and the optimizer's step
    ...         optimizer.step()
    >>> monitor.frame().groupby(["probe", "iteration"])["value"].count().unstack()
    iteration        0   5   10
    probe
    loss_gradient    84  84  84
    singular_values  64  64  64
    """

    def __init__(
        self,
        module: nn.Module,
        probes: Sequence[str] | Mapping[str, Mapping[str, Any]] = ("gradient_norm",),
        every: int = 100,
        *,
        sequences: int = 4,
        lengths: Sequence[int] | None = None,
        on_record: Callable[[int, pd.DataFrame], None] | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise ArgumentError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        self.module = module
        self.probes = probes if not isinstance(probes, str) else [probes]
        self.every = checks.positive_integer("every", every)
        self.sequences = checks.positive_integer("sequences", sequences)
        self.lengths = lengths
        self.on_record = on_record
        self.iteration = 0
        self._takes_sequences = isinstance(module, SEQUENCE_MODULES)
        self._adapted: RecurrentModel | OpaqueModel | None = (
            adapt(module) if self._takes_sequences else None
        )
        self._passes: list[SequencePass | CellPass] = []
        self._tables: list[pd.DataFrame] = []
        self._seconds, self._attached = 0.0, time.perf_counter()
        self._hook: torch.utils.hooks.RemovableHandle | None = None
        self._listen()

    def step(self, scaler: torch.amp.GradScaler | None = None) -> None:
        """Finish an iteration: call it after ``backward``, before clipping and the optimizer.

        Parameters
        ----------
        scaler
            The gradient scaler that the loss was multiplied by, if any; before or after its
            ``unscale_``, but before its ``update``.

        Raises
        ------
        MonitorError
            The iteration is to be recorded, but no gradient came back to the module.
        """
        with self._timed():
            if self._hook is not None:
                self._record(1.0 if scaler is None else scaler.get_scale())
                self._remove_hook()
            self.iteration += 1
            if self.iteration % self.every == 0:
                self._listen()

    def frame(self) -> pd.DataFrame:
        """Return all that has been recorded, with the columns of `gradprobe.frame`."""
        return frame.concatenate(self._tables)

    @property
    def overhead(self) -> Overhead:
        """What monitoring has cost so far."""
        return Overhead(self._seconds, self._seconds / (time.perf_counter() - self._attached))

    def close(self) -> None:
        """Stop listening; what was recorded stays."""
        self._remove_hook()
        self._passes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self) -> None:
        self._passes.clear()
        self._hook = self.module.register_forward_hook(self._note, with_kwargs=True)

    def _remove_hook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _note(
        self, module: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], result: Any
    ) -> None:
        """Take note of a forward pass, unless no gradient can come back to it."""
        if not torch.is_grad_enabled():
            return
        with self._timed():
            arguments = (*arguments, *options.values())
            if self._takes_sequences:
                self._passes.append(SequencePass(module, arguments, result, self.sequences))
            else:
                self._note_step(arguments, result)

    def _note_step(self, arguments: tuple[Any, ...], result: Any) -> None:
        state = arguments[1] if len(arguments) > 1 else None
        if self._adapted is None:
            self._adapted = _adapted_cell(self.module, arguments[0], state)
        if not self._passes or not _continues(state):
            self._passes.append(CellPass(state, self.sequences))
        current = self._passes[-1]
        if isinstance(current, CellPass):
            current.add(arguments[0], _hidden(result, self._adapted))

    def _record(self, scale: float) -> None:
        complete = [one for one in self._passes if one.is_complete]
        self._passes = []
        if not complete or self._adapted is None:
            raise MonitorError(
                f"iteration {self.iteration} is to be recorded, but no gradient came back to "
                f"{type(self.module).__name__}: call step() after loss.backward(), once for each "
                "iteration, and monitor a module that the loss depends on"
            )
        table = record(
            self._adapted,
            complete,
            probes=self.probes,
            lengths=self.lengths,
            sequences=self.sequences,
            scale=scale,
        ).assign(iteration=self.iteration)
        self._tables.append(frame.conform(table))
        if self.on_record is not None:
            self.on_record(self.iteration, self._tables[-1])

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds += time.perf_counter() - start


def _continues(state: Any) -> bool:
    """Return whether a state has come out of an earlier step."""
    tensors = [leaf for leaf in leaves_of(state) if isinstance(leaf, torch.Tensor)]
    return any(tensor.grad_fn is not None for tensor in tensors)


def _adapted_cell(module: nn.Module, inputs: Tensor, state: Any) -> RecurrentModel | OpaqueModel:
    """Adapt a cell, whose first call tells what its state is."""
    if isinstance(module, nn.RNNCellBase):
        return adapt(module)
    return adapt(module, state_size=state, example_input=inputs)


def _hidden(result: Any, adapted: RecurrentModel | OpaqueModel) -> Tensor:
    """Return the tensor of a cell's result that is h."""
    if isinstance(adapted, RecurrentModel):
        hidden: Tensor = result[0] if isinstance(result, tuple) else result
        return hidden
    leaves = list(leaves_of(state_in(result, adapted.structure, adapted.name)))
    starts = [adapted.structure.slice_of(index).start for index in range(len(leaves))]
    chosen: Tensor = leaves[starts.index(adapted.hidden_slice.start)]
    return chosen
