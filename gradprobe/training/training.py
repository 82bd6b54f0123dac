"""Training a recurrent model and its readout on a task."""

from __future__ import annotations

import hashlib
import math
import time
from typing import TYPE_CHECKING, Any

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.seeds import stream_seed
from gradprobe.training import checkpoint as checkpoints
from gradprobe.training.data_order import DataOrder
from gradprobe.training.history import TrainingHistory
from gradprobe.training.objective import answers, evaluate, mean_loss
from gradprobe.training.optimisation import optimiser
from gradprobe.training.result import Progress, TrainingInterruptedError, TrainingResult
from gradprobe.training.schedules import learning_rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    from torch import Tensor, nn

    from gradprobe.models import RecurrentModel
    from gradprobe.tasks.base import Task
    from gradprobe.training.protocol import TrainingProtocol

CHECKPOINT_SECONDS = 60.0
EVALUATION_SEED = 20190101
"""What a task draws for its validation and test examples does not depend on the training's seed."""


def train(
    model: RecurrentModel,
    readout: nn.Module,
    task: Task,
    protocol: TrainingProtocol,
    *,
    seed: int,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    probes: Callable[[RecurrentModel], pd.DataFrame] | None = None,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train `model` and `readout` in place, and return what was measured on the way.

    Each update takes the next batch of the training split, in an order drawn anew for every epoch,
    and the loss is the task's, on the hidden states that the task reads, plus the model's soft
    constraint times `TrainingProtocol.penalty_weight`.  Nothing is chosen by looking at the test
    split: it is evaluated once, after the last update.  Hyper-parameters are to be compared by
    ``validation_accuracy``.

    A training with a checkpoint goes on where it stopped, with the same numbers as if it had not:
    what is drawn depends on `seed` and the iteration only.

    Parameters
    ----------
    model, readout
        Updated in place; in the dtype of `protocol`.
    task
        Where examples come from.
    protocol
        How to train.
    seed
        Of the order of the examples and of what the task draws for training, such as noise.  The
        caller draws the initial values of `model` and `readout`.
    checkpoint
        A file to go on from, and to save to.
    checkpoint_seconds
        Time between two saves, which is what a killed process loses at most.
    probes
        From the model as it is to a table of `gradprobe.frame`; called after the iterations that
        `TrainingProtocol.probe_at` names.
    stop
        Asked after every update and every batch of an evaluation.
    progress
        Told after every update.

    Returns
    -------
    TrainingResult
        Its table has the rows of `probes`, and rows of the probe ``training``, each with its
        `iteration`: ``train_loss`` (mean since the row before), ``validation_loss``,
        ``validation_accuracy`` or ``validation_mean_squared_error``, at the end ``test_loss`` and
        ``test_accuracy`` or ``test_mean_squared_error``.  Cross-entropies are in nats, accuracies
        fractions of 1.  If a loss or a gradient is not finite, the training ends there, without
        that update, with the row ``diverged_at``, and the test split stays untouched.

    Raises
    ------
    ArgumentError
        Model, readout, task and protocol do not fit together.
    CheckpointError
        The checkpoint is damaged, or of another training.
    TrainingInterruptedError
        `stop` said so; the checkpoint is written.

    Examples
    --------
    >>> from gradprobe import models, tasks, training
    >>> task = tasks.build("digits_rows")
    >>> model = models.build("gru", input_size=8, hidden_size=32)
    >>> source = models.Initialiser(torch.Generator().manual_seed(0))
    >>> readout = models.Readout(model.output_size, task.output_size, source)
    >>> protocol = training.TrainingProtocol(iterations=100, validate_every=50, probe_at=())
    >>> result = training.train(model, readout, task, protocol, seed=0)
    >>> result.value("test_accuracy") > 0.85
    True
    """
    checks.positive_number("checkpoint_seconds", checkpoint_seconds)
    _check_fit(model, readout, protocol)
    run = _Training(
        model,
        readout,
        task,
        protocol,
        seed=seed,
        checkpoint=checkpoint,
        checkpoint_seconds=checkpoint_seconds,
    )
    run.resume()
    run.go(probes, stop or (lambda: False), progress or (lambda _: None))
    return TrainingResult(run.history.table(), run.seconds)


def _check_fit(model: RecurrentModel, readout: nn.Module, protocol: TrainingProtocol) -> None:
    expected = getattr(torch, protocol.dtype)
    for name, module in (("model", model), ("readout", readout)):
        for key, parameter in module.named_parameters():
            if parameter.dtype != expected:
                raise ArgumentError(
                    f"{name} must have the protocol's dtype {protocol.dtype}, but {key} has "
                    f"{parameter.dtype}; convert with {name}.to(torch.{protocol.dtype})"
                )


class _Training:
    """The state of a training between two updates, and what leads to the next."""

    def __init__(
        self,
        model: RecurrentModel,
        readout: nn.Module,
        task: Task,
        protocol: TrainingProtocol,
        *,
        seed: int,
        checkpoint: Path | None,
        checkpoint_seconds: float,
    ) -> None:
        self.model, self.readout, self.task = model, readout, task
        self.protocol, self.seed = protocol, seed
        self._file, self._pause = checkpoint, checkpoint_seconds
        self.parameters = [*model.parameters(), *readout.parameters()]
        self.optimiser = optimiser(protocol, self.parameters)
        self.order = DataOrder(task.size("train"), protocol.batch_size, seed)
        self.iteration = 0
        self.visited: list[str] = []
        self.history = TrainingHistory()
        self.seconds = 0.0
        self._whole = True  # False while a signal would find an update half made
        self._clock = self._saved = time.monotonic()
        self._description = self._describe()

    def go(
        self,
        probes: Callable[[RecurrentModel], pd.DataFrame] | None,
        stop: Callable[[], bool],
        progress: Callable[[Progress], None],
    ) -> None:
        """Do what is left to do, visiting after each update what is due after it."""

        def check() -> None:
            if stop():
                self.save()
                raise TrainingInterruptedError(self.iteration, self.protocol.iterations)

        try:
            self._visit(probes, check)
            while self._unfinished():
                self._update()
                self._visit(probes, check)
                progress(self._progress())
                check()
                if time.monotonic() - self._saved >= self._pause:
                    self.save()
        except KeyboardInterrupt:
            if self._whole:
                self.save()
            raise
        self.save()

    def _unfinished(self) -> bool:
        return self.iteration < self.protocol.iterations and not self.history.diverged

    def _update(self) -> None:
        """Make one update, or note that it cannot be made."""
        generator = _generator(self.seed, f"task/{self.iteration}")
        examples = self.order.batch(self.iteration)
        inputs, targets = self.task.batch("train", examples, generator, dtype=self.model.dtype)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.protocol, self.iteration)
        self.optimiser.zero_grad()
        loss = self._loss(inputs.to(self.model.device), targets.to(self.model.device))
        loss.backward()
        clipping = self.protocol.gradient_clipping
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, clipping or math.inf)
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(float(norm))):
            self.history.diverge(self.iteration + 1)
            return
        self._whole = False
        self.optimiser.step()
        self.iteration += 1
        self.visited = []
        self.history.add_loss(value)
        self._whole = True

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        loss = mean_loss(self.task, answers(self.model, self.readout, self.task, inputs), targets)
        if self.protocol.penalty_weight:
            loss = loss + self.protocol.penalty_weight * self.model.penalty()
        return loss

    def _visit(
        self, probes: Callable[[RecurrentModel], pd.DataFrame] | None, check: Callable[[], None]
    ) -> None:
        """Record, evaluate and probe what is due and was not done yet after this iteration."""
        if self.history.diverged:
            return
        done, protocol = self.iteration, self.protocol
        last = done == protocol.iterations
        if done and (done % protocol.record_every == 0 or last):
            self._once("record", lambda: self.history.record_loss(done))
        if done and (done % protocol.validate_every == 0 or last):
            self._once("validation", lambda: self._evaluate("validation", check))
        if probes is not None and done in protocol.probed_iterations:
            self._once("probes", lambda: self._probe(probes))
        if last:
            self._once("test", lambda: self._evaluate("test", check))

    def _once(self, event: str, act: Callable[[], None]) -> None:
        if event not in self.visited:
            act()
            self.visited.append(event)

    def _evaluate(self, split: str, check: Callable[[], None]) -> None:
        found = evaluate(
            self.model,
            self.readout,
            self.task,
            split,
            batch_size=self.protocol.batch_size,
            generator=_generator(EVALUATION_SEED, split),
            check=check,
        )
        self.history.add(self.iteration, f"{split}_loss", found.loss)
        self.history.add(self.iteration, f"{split}_{self.task.metric}", found.score)

    def _probe(self, probes: Callable[[RecurrentModel], pd.DataFrame]) -> None:
        self.save()  # a probe may take minutes
        self.history.add_table(self.iteration, probes(self.model))

    def _progress(self) -> Progress:
        metric = f"validation_{self.task.metric}"
        return Progress(
            self.iteration, self.protocol.iterations, metric, self.history.latest(metric)
        )

    def save(self) -> None:
        """Write the checkpoint, if the training has one."""
        now = time.monotonic()
        self.seconds += now - self._clock
        self._clock = self._saved = now
        if self._file is None:
            return
        contents = {
            "iteration": self.iteration,
            "visited": list(self.visited),
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "readout": self.readout.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "history": self.history.state(),
        }
        checkpoints.save(self._file, self._description, contents)

    def resume(self) -> None:
        """Go back to the checkpoint, if there is one."""
        contents = None if self._file is None else checkpoints.load(self._file, self._description)
        if contents is None:
            return
        self.iteration, self.visited = contents["iteration"], contents["visited"]
        self.seconds = contents["seconds"]
        self.model.load_state_dict(contents["model"])
        self.readout.load_state_dict(contents["readout"])
        self.optimiser.load_state_dict(contents["optimiser"])
        self.history = TrainingHistory.restored(contents["history"])

    def _describe(self) -> dict[str, Any]:
        task = self.task
        return {
            "protocol": self.protocol.model_dump(mode="json"),
            "seed": self.seed,
            "task": [task.name, task.length, task.input_size, task.provenance],
            "model": [self.model.name, repr(self.model)],
            "initial values": _fingerprint(self.parameters),
        }


def _generator(seed: int, stream: str) -> torch.Generator:
    return torch.Generator().manual_seed(stream_seed(seed, stream))


def _fingerprint(parameters: list[nn.Parameter]) -> str:
    """Return the SHA-256 of the parameters' bytes."""
    digest = hashlib.sha256()
    for parameter in parameters:
        digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
