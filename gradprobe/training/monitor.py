"""A monitor for anybody's training loop."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import torch
from torch import nn

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError, MonitorError, NonFiniteError
from gradprobe.models import RecurrentModel, adapt
from gradprobe.models.opaque.inference import state_in
from gradprobe.models.opaque.nesting import leaves_of
from gradprobe.probes.registry import PROBES
from gradprobe.registry import check_name
from gradprobe.training.finding import recurrent_part
from gradprobe.training.overhead import Overhead, Stopwatch
from gradprobe.training.passes import SEQUENCE_MODULES, CellPass, SequencePass
from gradprobe.training.record import record
from gradprobe.training.recordings import Recordings, write_parquet

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import OpaqueModel


Hook = TypeVar("Hook", bound="Callable[..., Any]")


class Scaler(Protocol):
    """What multiplies a loss, such as ``torch.amp.GradScaler``."""

    def get_scale(self) -> float:
        """Return the factor."""
        ...


class Monitor:
    r"""Record probes, and ‖∂L/∂h_t‖ of the actual loss, while a network is trained.

    Every so many iterations the forward pass of a recurrent module is noted, with the gradient that
    comes back to it; `step` then measures at that iteration's weights, on the very sequences of the
    batch.  In between, the module has no hook and costs nothing.  The module, its gradients and the
    state of all random number generators stay as they are.

    Parameters
    ----------
    model
        What is trained: a ``torch.nn.RNN``, ``LSTM`` or ``GRU``, a model of gradprobe's own, a
        ``torch.nn`` cell, or a network with exactly one of these inside.  A module without any is
        taken for a cell, (input, state) → state or (output, state), that the loop calls at each
        step.
    probes
        Names out of `gradprobe.probes.PROBES`, or a mapping from names to options; may be empty.
    every
        Record the first iteration, and every so many after it.
    sequences
        How many of the batch are measured, the first ones: probes cost time for each.
    lengths
        Prefixes to measure at; the whole length if not given.
    dtype
        What to measure in; float64 by default, None for the model's own.
    iteration
        How many iterations the model has been trained for already.
    folder
        Write each record there, as Parquet, as soon as it is made: nothing is lost however the
        training ends, and memory does not grow.  What the folder holds already is part of the
        table.  If not given, records are kept in memory.
    most_rows
        How many rows to keep in memory: when there are more, every second record is dropped, with
        a warning, and `every` doubled.
    on_record
        Called after each record with the iteration and its rows, for example a
        `TensorBoardWriter`.
    enabled
        False: no hook is ever registered, and `step` does nothing.

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

    For a module that takes whole sequences, back-propagation through time is done again in `dtype`
    with its exact step Jacobians, from the gradient on its output and its final state.  For a cell
    the gradients are those of automatic differentiation itself, in the dtype of the training, for
    t = 1 … T (column ``method``: ``autograd_of_loss``); those so small that they may have
    underflowed are not resolved.

    Passes without gradients, such as those of a validation, are not recorded, nor are those to
    which no gradient came back.  A weight or a state that has become NaN or infinite is told by a
    warning: the training goes on.  A compiled module is run with its
    hook as any other, but is compiled once more for it.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> network = torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 16), "readout": nn.Linear(16, 2)})
    >>> optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    >>> with Monitor(network, probes=["singular_values"], every=5) as monitor:
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
        model: nn.Module,
        probes: Sequence[str] | Mapping[str, Mapping[str, Any]] = ("gradient_norm",),
        every: int = 100,
        *,
        sequences: int = 4,
        lengths: Sequence[int] | None = None,
        dtype: torch.dtype | None = torch.float64,
        iteration: int = 0,
        folder: str | os.PathLike[str] | None = None,
        most_rows: int = 1_000_000,
        on_record: Callable[[int, pd.DataFrame], object] | None = None,
        enabled: bool = True,
    ) -> None:
        self.module = recurrent_part(model)
        self.probes = check_probes(probes)
        self.sequences = checks.positive_integer("sequences", sequences)
        self.lengths = lengths
        self.dtype = dtype
        self.on_record = on_record
        self.iteration = int(checks.non_negative_number("iteration", iteration))
        self._takes_sequences = isinstance(self.module, SEQUENCE_MODULES)
        self._adapted: RecurrentModel | OpaqueModel | None = (
            adapt(self.module) if self._takes_sequences else None
        )
        self._recordings = Recordings(
            folder,
            most_rows=checks.positive_integer("most_rows", most_rows),
            first=self.iteration,
            every=checks.positive_integer("every", every),
        )
        self._passes: list[SequencePass | CellPass] = []
        self._stopwatch = Stopwatch()
        self._enabled = enabled
        self._hook: torch.utils.hooks.RemovableHandle | None = None
        self._listen_if_due()

    @property
    def every(self) -> int:
        """How many iterations lie between two records."""
        return self._recordings.every

    @property
    def overhead(self) -> Overhead:
        """What monitoring has cost, in seconds and as a fraction of the loop's time so far.

        On an accelerator, which computes while Python goes on, this includes waiting for it.
        """
        return self._stopwatch.overhead()

    def step(self, scaler: Scaler | None = None) -> None:
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
        if not self._enabled:
            return
        if self._hook is None:
            self._stopwatch.passed()
        else:
            with self._stopwatch.running():
                self._remove_hook()  # first: the module is copied to be measured
                self._record(1.0 if scaler is None else float(scaler.get_scale()))
        self.iteration += 1
        self._listen_if_due()

    def frame(self) -> pd.DataFrame:
        """Return all that has been recorded, with the columns of `gradprobe.frame`."""
        return self._recordings.frame()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that has been recorded as one Parquet file."""
        write_parquet(self.frame(), Path(path))

    def close(self) -> None:
        """Stop listening; what was recorded stays."""
        self._enabled = False
        self._remove_hook()
        self._passes = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _listen_if_due(self) -> None:
        if self._enabled and self._recordings.due(self.iteration):
            note = uncompiled(self._note)
            self._hook = self.module.register_forward_hook(note, with_kwargs=True)

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
        with self._stopwatch.running():
            arguments = (*arguments, *options.values())
            if not self._takes_sequences:
                self._note_step(arguments, result)
            elif not self._have_enough():
                self._passes.append(SequencePass(module, arguments, result, self.sequences))

    def _note_step(self, arguments: tuple[Any, ...], result: Any) -> None:
        inputs, state = arguments[0], arguments[1] if len(arguments) > 1 else None
        if self._adapted is None:
            self._adapted = _adapted_cell(self.module, inputs, state)
        current = self._passes[-1] if self._passes else None
        if not isinstance(current, CellPass) or not current.continues(state):
            if self._have_enough():
                return
            current = CellPass(self.module, state, self.sequences)
            self._passes.append(current)
        new, hidden = _new_state(result, self._adapted)
        current.add(inputs, state, new, hidden)

    def _have_enough(self) -> bool:
        """Whether gradients came back for as many sequences as are to be measured."""
        return sum(one.batch for one in self._passes if one.is_complete) >= self.sequences

    def _record(self, scale: float) -> None:
        complete = [one for one in self._passes if one.is_complete]
        self._passes = []
        if not complete or self._adapted is None:
            raise MonitorError(
                f"iteration {self.iteration} is to be recorded, but no gradient came back to "
                f"{type(self.module).__name__}: call step() after loss.backward(), once for each "
                "iteration, and monitor a module that the loss depends on"
            )
        tables, taken = [], 0
        for one in complete:
            found = self._measured(one, self._adapted, scale)
            tables += [table.assign(sequence=table["sequence"] + taken) for table in found]
            taken += one.batch
        table = frame.concatenate(tables, model=self._adapted.name, iteration=self.iteration)
        table = table[(table["sequence"] < self.sequences).fillna(value=True)]
        table = frame.conform(table.reset_index(drop=True))
        self._recordings.add(self.iteration, table)
        if self.on_record is not None:
            self.on_record(self.iteration, table)

    def _measured(
        self, one: SequencePass | CellPass, model: RecurrentModel | OpaqueModel, scale: float
    ) -> list[pd.DataFrame]:
        tables: list[pd.DataFrame] = []
        found = record(
            model,
            one,
            probes=self.probes,
            lengths=self.lengths,
            dtype=self.dtype,
            scale=scale,
        )
        try:
            tables.extend(found)  # keeps those that were made before an error
        except NonFiniteError as error:  # a diverging training goes on, and may recover
            warnings.warn(
                f"iteration {self.iteration} is not recorded in full: {error}",
                RuntimeWarning,
                stacklevel=4,
            )
        return tables


def _adapted_cell(module: nn.Module, inputs: Tensor, state: Any) -> RecurrentModel | OpaqueModel:
    """Adapt a cell, whose first call tells what its state is."""
    if isinstance(module, nn.RNNCellBase):
        return adapt(module)
    return adapt(module, state_size=state, example_input=inputs)


def _new_state(result: Any, adapted: RecurrentModel | OpaqueModel) -> tuple[Any, Tensor]:
    """Return the new state out of what a cell returned, and the tensor of it that is h."""
    if isinstance(adapted, RecurrentModel):
        return result, result[0] if isinstance(result, tuple) else result
    new = state_in(result, adapted.structure, adapted.name)
    leaves = list(leaves_of(new))
    starts = [adapted.structure.slice_of(index).start for index in range(len(leaves))]
    return new, leaves[starts.index(adapted.hidden_slice.start)]


def uncompiled(hook: Hook) -> Hook:
    """Return a hook that ``torch.compile`` leaves alone, where that is in use.

    Loading the compiler takes longer than many a training, so that it is only looked for.

    Examples
    --------
    >>> uncompiled(len)("abc")
    3
    """
    if "torch._dynamo" not in sys.modules:
        return hook
    left_alone: Hook = torch.compiler.disable(hook)
    return left_alone


def check_probes(
    probes: Sequence[str] | Mapping[str, Mapping[str, Any]],
) -> Sequence[str] | Mapping[str, Mapping[str, Any]]:
    """Return the probes if they are known, and not what the monitor records itself.

    Examples
    --------
    >>> check_probes(["singular_values"])
    ['singular_values']
    """
    if isinstance(probes, str):
        raise ArgumentError(f"probes must be a list of names or a mapping, got {probes!r}")
    for name in probes:
        check_name("probe", PROBES, name)
        if name == "loss_gradient":
            raise ArgumentError(
                "probes must not name 'loss_gradient': a monitor records the gradient of the "
                "actual loss in any case"
            )
    return probes
