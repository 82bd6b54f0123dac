"""Made-up results of trainings with the shapes of real ones: for tests, and to try out a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradprobe import frame
from gradprobe.reports.example import (
    ExampleCell,
    ExampleResults,
    ExampleStudy,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

TASKS = ("pixel MNIST", "noise-padded CIFAR-10")
CLASSES, EXAMPLES = 10, 10_000
_EVERY = 50
_HORIZON = 400


class _Recipe(NamedTuple):
    label: str
    reaches: tuple[float, float]  # share of right answers on either task
    published: tuple[float, float]  # percent
    rate: float  # nats a step that the gradient loses at initialisation
    diverges: bool = False  # at the last seed


_RECIPES = (
    _Recipe("LSTM", (0.85, 0.1), (97.3, 11.6), -0.4),
    _Recipe("AntisymmetricRNN", (0.93, 0.45), (98.0, 48.3), -0.0001),
    _Recipe("AntisymmetricRNN with gating", (0.90, 0.50), (98.8, 54.7), 0.0006),
    _Recipe("Ablation", (0.70, 0.40), (0.0, 46.2), 0.004, diverges=True),
    _Recipe("Vanilla RNN", (0.30, 0.10), (0.0, 0.0), -0.9),
)


def example_trainings(
    *,
    models: int = len(_RECIPES),
    labels: Sequence[str] = (),
    tasks: Sequence[str] = TASKS,
    seeds: int = 2,
    iterations: int = 1000,
    gradients: bool = True,
) -> ExampleResults:
    """Return made-up results of a study that trains, always the same for the same arguments.

    Parameters
    ----------
    models
        How many, at most 5.
    labels
        Labels of the first models, in place of their own.
    tasks
        Labels of the tasks, at most 2.
    seeds, iterations
        Trainings of each model on each task, and their budget.
    gradients
        Whether probes were run too, before the training.

    Examples
    --------
    >>> results = example_trainings(models=2, seeds=1)
    >>> len(results.cells), sorted(results.table["probe"].unique())
    (4, ['gradient_norm', 'size', 'training'])
    """
    tables, cells = [], []
    for number_of_task, task in enumerate(tasks):
        place = TASKS.index(task) if task in TASKS else number_of_task
        for number, recipe in enumerate(_RECIPES[:models]):
            label = labels[number] if number < len(labels) else recipe.label
            for seed in range(seeds):
                diverges = recipe.diverges and seed == seeds - 1
                generator = np.random.default_rng([number, seed, place])
                parts = [_training(recipe.reaches[place], iterations, diverges, generator), _size()]
                if gradients:
                    parts.append(_gradient(recipe, generator))
                tables.append(frame.concatenate(parts, model=label, task=task, seed=seed))
                cells.append(_cell(recipe, label, task, seed, iterations, place))
    study = ExampleStudy("table_1", "How accurate are these networks?", 'name = "table_1"\n')
    return ExampleResults(study, frame.concatenate(tables), cells)


def _training(
    reaches: float, iterations: int, diverges: bool, generator: np.random.Generator
) -> pd.DataFrame:
    stop = iterations // 2 if diverges else iterations
    at = np.arange(_EVERY, stop + 1, _EVERY)
    share = 0.1 + (reaches - 0.1) * (1 - np.exp(-3 * at / iterations))
    accuracy = share + generator.normal(0, 0.01, len(at))
    loss = 2.3 * (1 - share) + generator.normal(0, 0.03, len(at))
    curves = [
        frame.rows(iteration=at, quantity=name, value=values)
        for name, values in (
            ("train_loss", loss),
            ("validation_loss", loss + 0.02),
            ("validation_accuracy", accuracy),
        )
    ]
    ends = {"test_examples": EXAMPLES, "number_of_classes": CLASSES}
    known = [
        frame.rows(iteration=0, quantity=name, value=float(value)) for name, value in ends.items()
    ]
    if diverges:
        end = [frame.rows(iteration=stop, quantity="diverged_at", value=float(stop))]
    else:
        values = {"test_accuracy": accuracy[-1], "test_loss": loss[-1]}
        end = [
            frame.rows(iteration=stop, quantity=name, value=value) for name, value in values.items()
        ]
    return frame.concatenate([*curves, *known, *end], probe="training", resolved=True)


def _size() -> pd.DataFrame:
    rows = frame.rows(quantity="total", value=9738.0, iteration=0, resolved=True)
    return rows.assign(probe="size")


def _gradient(recipe: _Recipe, generator: np.random.Generator) -> pd.DataFrame:
    steps = np.arange(_HORIZON + 1)
    slope = recipe.rate + generator.normal(0, 0.02 * abs(recipe.rate))
    return frame.rows(
        probe="gradient_norm",
        quantity="log_norm_fro",
        matrix="end_to_end",
        block="hidden",
        length=_HORIZON,
        step=steps,
        sequence=0,
        iteration=0,
        value=0.5 * np.log(128) + slope * steps,
        error=1e-12,
        resolved=True,
    )


def _cell(
    recipe: _Recipe, label: str, task: str, seed: int, iterations: int, place: int
) -> ExampleCell:
    budget = (50_000, 10_000)[place]
    published: dict[str, Any] = {"parameters": 10_000, "units": 128, "iterations": budget}
    if recipe.published[place]:
        published |= {"test_accuracy": recipe.published[place], "source": f"Table {place + 1}"}
    options = {"diffusion": 0.01} if "Anti" in recipe.label else {}
    protocol = {"optimizer": "adagrad", "learning_rate": 0.1, "iterations": iterations}
    return ExampleCell(
        label,
        task,
        seed,
        seconds=120.0,
        provenance={"gradprobe": "0.1.0", "data": f"{task} of nobody: made up"},
        specification={
            "model": {"name": "made_up", "hidden_size": 128, "options": options},
            "training": {**protocol, "batch_size": 128},
        },
        published=published,
    )


def example_moduli(*, seeds: int = 2) -> ExampleResults:
    """Return made-up eigenvalue moduli of trained models, and whether these have learned.

    Parameters
    ----------
    seeds
        Trainings of each model.

    Examples
    --------
    >>> table = example_moduli().table
    >>> sorted(table.loc[table["probe"] == "end_to_end_eigenvalues", "quantity"].unique())
    ['log_mean_modulus', 'log_std_modulus']
    """
    results = example_trainings(models=3, tasks=TASKS[1:], seeds=seeds, gradients=False)
    lengths = np.array([100, 200, 400, 800])
    tables = [results.table]
    for recipe in _RECIPES[:3]:
        for seed in range(seeds):
            value = np.stack((recipe.rate * lengths, recipe.rate * lengths - 3 + 0.1 * seed))
            rows = frame.rows(
                quantity=np.array(["log_mean_modulus", "log_std_modulus"])[:, None],
                length=lengths,
                step=lengths,
                sequence=0,
                value=value,
                error=1e-10,
                resolved=True,
            )
            tables.append(
                rows.assign(
                    model=recipe.label,
                    task=TASKS[1],
                    seed=seed,
                    iteration=1000,
                    probe="end_to_end_eigenvalues",
                    matrix="end_to_end",
                    block="state",
                )
            )
    return ExampleResults(results.study, frame.concatenate(tables), results.cells)


def example_dynamics(*, seeds: int = 3) -> ExampleResults:
    """Return trajectories of two-dimensional systems with their vector field.

    Parameters
    ----------
    seeds
        Of the random matrix of the first system; the second has a given one.

    Examples
    --------
    >>> sorted(example_dynamics().table["quantity"].unique())
    ['hidden_state', 'mesh', 'velocity']
    """
    spiral = np.array([[0.0, -2.0], [2.0, 0.0]])
    tables, cells = [], []
    for label, step_size in (("Vanilla, random W", None), ("Feedback, W₀", 0.1)):
        for seed in range(seeds):
            random = np.random.default_rng(seed).normal(size=(2, 2))
            matrix = random if step_size is None else spiral
            rows = [_path(matrix, step_size), _mesh(matrix, step_size)]
            tables.append(
                frame.concatenate(
                    rows if step_size else rows[:1],
                    model=label,
                    task="no input",
                    seed=seed,
                    iteration=0,
                )
            )
            cells.append(ExampleCell(label, "no input", seed))
    study = ExampleStudy("dynamics", "Where do the states go?", 'name = "dynamics"\n')
    table = frame.concatenate(tables)
    return ExampleResults(study, table, cells)


def _path(matrix: np.ndarray, step_size: float | None) -> pd.DataFrame:
    states = [np.array([[0.0, 0.5], [-0.5, -0.5], [0.5, -0.75]])]
    for _ in range(50):
        new = np.tanh(states[-1] @ matrix.T)
        states.append(new if step_size is None else states[-1] + step_size * new)
    return frame.rows(
        probe="state_trajectory",
        quantity="hidden_state",
        block="hidden",
        length=50,
        step=np.arange(51)[:, None, None],
        sequence=np.arange(3)[:, None],
        rank=np.arange(1, 3),
        value=np.stack(states),
        resolved=True,
    )


def _mesh(matrix: np.ndarray, step_size: float | None) -> pd.DataFrame:
    line = np.linspace(-1, 1, 7)
    mesh = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return frame.rows(
        probe="vector_field",
        quantity=np.array(["mesh", "velocity"])[:, None, None],
        block="state",
        length=50,
        sequence=np.arange(len(mesh))[:, None],
        rank=np.arange(1, 3),
        value=np.stack((mesh, np.tanh(mesh @ matrix.T))),
        resolved=True,
    )
