"""The state of a training between two updates, and what leads to the next.

Denormal numbers are not flushed to zero, which would change the arithmetic of the whole process:
passes in float32 over 784 and 1000 steps, with gradients that vanish and that do not, took the same
time either way.
"""

from __future__ import annotations

import hashlib
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from gradprobe.seeds import stream_seed
from gradprobe.training import checkpoint as checkpoints
from gradprobe.training.data_order import DataOrder
from gradprobe.training.history import TrainingHistory
from gradprobe.training.objective import answers, evaluate, mean_loss
from gradprobe.training.optimisation import optimiser
from gradprobe.training.result import Progress, TrainingInterruptedError
from gradprobe.training.schedules import learning_rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    from torch import Tensor, nn

    from gradprobe.models import OpaqueModel, RecurrentModel
    from gradprobe.tasks.base import Task
    from gradprobe.training.protocol import TrainingProtocol
    from gradprobe.training.result import Activity

ACTIVITIES: dict[str, Activity] = {
    "validation": "validating",
    "probes": "probing",
    "test": "testing",
}
"""What is told while an event takes its time."""
EVALUATION_SEED = 20190101
"""What a task draws for its validation and test examples does not depend on the training's seed."""


class Listeners(NamedTuple):
    """Whom a training calls; see `gradprobe.training.train`."""

    probes: Callable[[Any], pd.DataFrame] | None
    stop: Callable[[], bool]
    progress: Callable[[Progress], None]


class TrainingRun:
    """A training that can stop between any two updates, and go on from there.

    Parameters
    ----------
    model, readout, task, protocol, seed, checkpoint, checkpoint_seconds
        As for `gradprobe.training.train`.
    """

    def __init__(
        self,
        model: RecurrentModel | OpaqueModel,
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
        self._clock = self._saved = time.monotonic()
        self._description = self._describe()
        self._tell: Callable[[Progress], None] | None = None

    def go(self, listeners: Listeners) -> None:
        """Do what is left to do, visiting after each update what is due after it."""

        def check() -> None:
            if listeners.stop():
                self.save()
                raise TrainingInterruptedError(self.iteration, self.protocol.iterations)

        if self._ended():
            return
        self._tell = listeners.progress
        check()
        self._visit(listeners.probes, check)
        while self._unfinished():
            self._update()
            self._visit(listeners.probes, check)
            listeners.progress(self._progress())
            check()
            if time.monotonic() - self._saved >= self._pause:
                self.save()
        self.save()

    def _ended(self) -> bool:
        return self.history.diverged or "test" in self.visited

    def _unfinished(self) -> bool:
        return self.iteration < self.protocol.iterations and not self.history.diverged

    def _update(self) -> None:
        """Make one update, or note that it cannot be made."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.protocol, self.iteration)
        self.optimiser.zero_grad()
        loss, objective = self._objective()
        objective.backward()
        clipping = self.protocol.gradient_clipping or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, clipping)
        if not (_finite(objective) and _finite(norm)):
            self.history.diverge(self.iteration + 1, done=self.iteration)
            return
        self.optimiser.step()
        self.iteration += 1
        self.visited = []
        self.history.add_loss(loss.item())

    def _objective(self) -> tuple[Tensor, Tensor]:
        """Return the loss of the next batch, without and with the soft constraints."""
        generator = _generator(self.seed, f"task/{self.iteration}")
        examples = self.order.batch(self.iteration)
        inputs, targets = self.task.batch("train", examples, generator, dtype=self.model.dtype)
        outputs = answers(self.model, self.readout, self.task, inputs.to(self.model.device))
        loss = mean_loss(self.task, outputs, targets.to(self.model.device))
        weight = self.protocol.penalty_weight
        return loss, loss + weight * self.model.penalty() if weight else loss

    def _visit(
        self,
        probes: Callable[[Any], pd.DataFrame] | None,
        check: Callable[[], None],
    ) -> None:
        """Record, evaluate and probe what is due and was not done yet after this iteration."""
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
        if event not in self.visited and not self.history.diverged:
            if event in ACTIVITIES and self._tell is not None:
                self._tell(self._progress(ACTIVITIES[event]))
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
        if not math.isfinite(found.loss):
            self.history.diverge(self.iteration, done=self.iteration)
            return
        self.history.add(self.iteration, f"{split}_loss", found.loss)
        self.history.add(self.iteration, f"{split}_{self.task.metric}", found.score)

    def _probe(self, probes: Callable[[Any], pd.DataFrame]) -> None:
        with torch.no_grad():
            if not _finite(self._objective()[1]):  # no update could follow: nothing to be measured
                self.history.diverge(self.iteration + 1, done=self.iteration)
                return
        self.save()  # a probe may take minutes
        self.history.add_table(self.iteration, probes(self.model))

    def _progress(self, activity: Activity = "training") -> Progress:
        metric = f"validation_{self.task.metric}"
        latest = self.history.latest(metric)
        return Progress(self.iteration, self.protocol.iterations, metric, latest, activity)

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
        stored = None if self._file is None else checkpoints.load(self._file)
        if self._file is None or stored is None:
            return
        description, contents = stored
        values = fingerprint(contents["model"], contents["readout"])
        if self._description["initial values"] == values:  # this very model was interrupted
            self._description["initial values"] = description.get("initial values")
        checkpoints.compare(self._file, description, self._description)
        self.iteration, self.visited = contents["iteration"], contents["visited"]
        self.seconds = contents["seconds"]
        self.model.load_state_dict(contents["model"])
        self.readout.load_state_dict(contents["readout"])
        self.optimiser.load_state_dict(contents["optimiser"])
        self.history = TrainingHistory.restored(contents["history"])
        self._clock = self._saved = time.monotonic()

    def _describe(self) -> dict[str, Any]:
        task = self.task
        return {
            "protocol": self.protocol.model_dump(mode="json"),
            "seed": self.seed,
            "task": [task.name, task.length, task.input_size, task.provenance],
            "model": [self.model.name, repr(self.model)],
            "readout": repr(self.readout),
            "initial values": fingerprint(self.model.state_dict(), self.readout.state_dict()),
        }


def fingerprint(*states: dict[str, Tensor]) -> str:
    """Return the SHA-256 of the names and values of tensors.

    Parameters
    ----------
    *states
        As ``state_dict`` gives them.

    Examples
    --------
    >>> fingerprint({"bias": torch.zeros(2)})[:8] == fingerprint({"bias": torch.ones(2)})[:8]
    False
    """
    digest = hashlib.sha256()
    for state in states:
        for name, value in state.items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _generator(seed: int, stream: str) -> torch.Generator:
    return torch.Generator().manual_seed(stream_seed(seed, stream))


def _finite(value: Tensor) -> bool:
    return math.isfinite(value.item())
