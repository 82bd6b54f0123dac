"""Training a recurrent model and its readout on a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.training.result import TrainingInterruptedError, TrainingResult
from gradprobe.training.run import Listeners, TrainingRun
from gradprobe.training.signals import HeldSignals

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from torch import nn

    from gradprobe.models import OpaqueModel, RecurrentModel
    from gradprobe.tasks.base import Task
    from gradprobe.training.protocol import TrainingProtocol
    from gradprobe.training.result import Progress

AnyModel = TypeVar("AnyModel", bound="RecurrentModel | OpaqueModel")

CHECKPOINT_SECONDS = 60.0


def train(
    model: AnyModel,
    readout: nn.Module,
    task: Task,
    protocol: TrainingProtocol,
    *,
    seed: int,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    probes: Callable[[AnyModel], pd.DataFrame] | None = None,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train `model` and `readout` in place, and return what was measured on the way.

    Each update takes the next batch of the training split, in an order drawn anew for every epoch;
    the examples that an epoch leaves over, fewer than a batch, are not used in it.  What is
    minimised is the task's loss, on the hidden states that the task reads, plus the model's soft
    constraint times `TrainingProtocol.penalty_weight`.

    The test split is evaluated once, after the last update, with the parameters as they are then:
    no iteration is chosen by its result.  Hyper-parameters are chosen by the last
    ``validation_accuracy`` of trainings that differ in them; only the chosen one's
    ``test_accuracy`` is then looked at.

    A training with a checkpoint goes on where it stopped, to the same numbers, bit for bit, as if
    it had not stopped: what is drawn depends on `seed` and the iteration only.

    Parameters
    ----------
    model, readout
        Updated in place; in the dtype of `protocol`, on one device.  To go on from a checkpoint,
        make them as they were made for the first call, or pass those that were interrupted.
        Neither may draw anything at random when it is called, as dropout does.
    task
        Where examples come from.
    protocol
        How to train.
    seed
        Of the order of the examples and of what the task draws for training, such as noise.  The
        caller draws the initial values of `model` and `readout`.  What the task draws for the
        validation and test examples is the same for all seeds.
    checkpoint
        A file to go on from, and to save to.  It stays when the training has ended, so that the
        same call then returns the same result at once.
    checkpoint_seconds
        Time between two saves, which is what a killed process loses at most.
    probes
        From the model as it is to a table of `gradprobe.frame`; called after the iterations that
        `TrainingProtocol.probe_at` names.  It leaves the model's parameters as they are.
    stop
        Asked after every update, and before every batch of an evaluation.  If not given, and there
        is a checkpoint, Ctrl-C and SIGTERM are held back until it is written; this needs the main
        thread, and a probe is not interrupted; a second signal acts at once.
    progress
        Told after every update, and before what takes time between two of them.

    Returns
    -------
    TrainingResult
        Its table has the rows of `probes`, and rows of the probe ``training``, each with its
        `iteration`: ``train_loss`` (mean since the row before, without soft constraints),
        ``validation_loss``, ``validation_accuracy`` or ``validation_mean_squared_error``, at the
        end ``test_loss`` and ``test_accuracy`` or ``test_mean_squared_error``.  Cross-entropies are
        in nats, accuracies fractions of 1.  If the loss or the norm of the gradient of an update is
        not finite, or the loss on the validation split after it, then the training ends with the
        row ``diverged_at``, the number of that update from 1; the test split stays untouched.

    Raises
    ------
    ArgumentError
        Model, readout, task and protocol do not fit together.
    CheckpointError
        The checkpoint is damaged, or of another training; it is left as it is.
    TrainingInterruptedError
        `stop` said so; the checkpoint is written.
    KeyboardInterrupt
        Ctrl-C; the checkpoint is written.

    Examples
    --------
    >>> import gradprobe
    >>> from gradprobe import models, tasks, training
    >>> task = tasks.build("digits_rows")
    >>> model = models.build("gru", input_size=8, hidden_size=32)
    >>> source = models.Initialiser(torch.Generator().manual_seed(0))
    >>> readout = models.Readout(model.output_size, task.output_size, source)
    >>> protocol = training.TrainingProtocol(iterations=100, validate_every=50, probe_at=(0, "end"))
    >>> inputs, _ = task.draw(2, torch.Generator().manual_seed(0))
    >>> def probes(model):
    ...     return gradprobe.probe(model, inputs, ["gradient_norm"])
    >>> result = training.train(model, readout, task, protocol, seed=0, probes=probes)
    >>> result.value("test_accuracy") > 0.85
    True
    >>> result.table.groupby("probe")["iteration"].unique()["gradient_norm"].tolist()
    [0, 100]
    """
    checks.positive_number("checkpoint_seconds", checkpoint_seconds)
    _check_fit(model, readout, protocol)
    run = TrainingRun(
        model,
        readout,
        task,
        protocol,
        seed=seed,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        checkpoint_seconds=checkpoint_seconds,
    )
    run.resume()
    if stop is not None or checkpoint is None:
        run.go(Listeners(probes, stop or _never, progress or _ignore))
    else:
        _go_holding_signals(run, probes, progress or _ignore)
    return TrainingResult(run.history.table(), run.seconds)


def _go_holding_signals(
    run: TrainingRun,
    probes: Callable[[Any], pd.DataFrame] | None,
    progress: Callable[[Progress], None],
) -> None:
    interruption: TrainingInterruptedError | None = None
    with HeldSignals() as held:
        try:
            run.go(Listeners(probes, held.noticed, progress))
        except TrainingInterruptedError as error:
            interruption = error
    if interruption is not None:  # the caller's own handler let the signal pass
        raise interruption


def _never() -> bool:
    return False


def _ignore(progress: Progress) -> None:
    pass


def _check_fit(
    model: RecurrentModel | OpaqueModel, readout: nn.Module, protocol: TrainingProtocol
) -> None:
    if model.batch_first:
        raise ArgumentError("model must take sequences time first; set model.batch_first = False")
    expected = getattr(torch, protocol.dtype)
    for name, module in (("model", model), ("readout", readout)):
        for key, parameter in module.named_parameters():
            if parameter.dtype.to_real() != expected:
                raise ArgumentError(
                    f"{name} must have the protocol's dtype {protocol.dtype}, but {key} has "
                    f"{parameter.dtype}; convert with {name}.to(torch.{protocol.dtype})"
                )
            if parameter.device != model.device:
                raise ArgumentError(
                    f"{name} must be on one device with the model, {model.device}, but {key} is on "
                    f"{parameter.device}; convert with {name}.to({str(model.device)!r})"
                )
