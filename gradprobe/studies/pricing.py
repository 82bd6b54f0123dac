"""How long a cell will take, measured on a few of its steps; needs torch."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from gradprobe import training
from gradprobe.models import Readout
from gradprobe.models.initialiser import Initialiser
from gradprobe.studies.measuring import generator_of, measure, model_of, task_of
from gradprobe.studies.price import Price

if TYPE_CHECKING:
    from gradprobe.tasks.base import Task
    from gradprobe.training import TrainingProtocol

UPDATES = 5
"""How many updates of a training are made; the first is not counted."""
SHORT, LONGER = 8, 24
"""Numbers of steps that probes are tried on, to tell what each further step takes."""
PASSES = 3
"""An update takes about as long as three passes without gradients."""


def price(specification: dict[str, Any]) -> Price:
    """Return how many seconds the cell of `specification` will take, from a few of its steps.

    What grows with the number of steps is measured at two numbers and continued as a line; what
    grows with the number of iterations, on single iterations.

    Parameters
    ----------
    specification
        As `gradprobe.studies.grid.cells` makes it.

    Examples
    --------
    >>> choice = {"name": "gru", "hidden_size": 4, "num_layers": 1, "options": {}}
    >>> task = {"name": "digits_rows", "options": {}}
    >>> specification = {
    ...     "model": choice, "task": task, "training": None, "seed": 0, "dtype": "float64",
    ...     "threads": 1, "probes": {"gradient_norm": {}}, "lengths": [8], "sequences": 1,
    ...     "split": "train",
    ... }
    >>> found = price(specification)
    >>> 0 < found.least <= found.seconds <= found.most
    True
    """
    torch.set_num_threads(specification["threads"])
    times, probed = Price(0.0, 0.0, 0.0), 1
    if specification["training"] is not None:
        protocol = training.TrainingProtocol.model_validate(specification["training"])
        times, probed = _training(specification, protocol), len(protocol.probed_iterations)
    if specification["probes"]:
        times = times + _probing(specification) * probed
    return times


def _training(specification: dict[str, Any], protocol: TrainingProtocol) -> Price:
    task = task_of(specification)
    evaluated = task.size("test") + task.size("validation") * -(
        -protocol.iterations // protocol.validate_every
    )
    iterations = protocol.iterations + evaluated / (PASSES * protocol.batch_size)
    seconds = _seconds_of_updates(specification, task, protocol)
    middle = sorted(seconds)[len(seconds) // 2]
    return Price(middle, min(seconds), max(seconds)) * iterations


def _seconds_of_updates(
    specification: dict[str, Any], task: Task, protocol: TrainingProtocol
) -> list[float]:
    dtype = getattr(torch, protocol.dtype)
    model = model_of(specification, dtype)
    readout = Readout(
        model.output_size,
        task.output_size,
        Initialiser(generator_of(specification, "readout"), dtype=dtype),
    )
    without_visits = protocol.model_copy(
        update={
            "iterations": max(protocol.iterations, UPDATES + 1),
            "validate_every": max(protocol.iterations, UPDATES + 1),
            "probe_at": (),
        }
    )
    moments: list[float] = []
    with suppress(training.TrainingInterruptedError):
        training.train(
            model,
            readout,
            task,
            without_visits,
            seed=specification["seed"],
            progress=lambda _: moments.append(time.perf_counter()),
            stop=lambda: len(moments) >= UPDATES,
        )
    return [after - before for before, after in pairwise(moments)] or [0.0]


def _probing(specification: dict[str, Any]) -> Price:
    """Return what the probes of one iteration take."""
    model = model_of(specification, getattr(torch, specification["dtype"]))
    longest = max(specification["lengths"])
    steps = [min(longest, SHORT), min(longest, LONGER)]

    def seconds(length: int) -> float:
        begun = time.perf_counter()
        measure({**specification, "lengths": [length]}, model)
        return time.perf_counter() - begun

    seconds(steps[0])  # what is only done once
    short, longer = (min(seconds(length), seconds(length)) for length in steps)
    if longest <= LONGER:
        return Price(longer, longer, longer)
    each = max(0.0, longer - short) / (LONGER - SHORT)
    further = longest - LONGER
    # A step costs no more than it does on average over those tried, and some costs are fixed.
    return Price(
        longer + each * further, longer + each * further / 2, longer + longer / LONGER * further
    )
