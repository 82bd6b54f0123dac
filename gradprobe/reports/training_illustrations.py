"""The figures of trainings and of trajectories on the page, each with its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gradprobe.reports import training_alternatives as alternatives
from gradprobe.reports.figures.distance import distance_from_origin
from gradprobe.reports.figures.learning import LABELS, learning_band, learning_curve
from gradprobe.reports.figures.moduli import LABELS as MODULI
from gradprobe.reports.figures.moduli import (
    eigenvalue_moduli,
    moduli_band,
    moduli_window,
    named,
)
from gradprobe.reports.figures.portrait import phase_portraits
from gradprobe.reports.figures.survival import accuracy_against_gradient
from gradprobe.reports.illustrations import Chart, Key, Panel, TaskCharts, chart, series_key
from gradprobe.reports.number_tables import band_table, portrait_table, survival_table
from gradprobe.reports.portraits import distances, seeds_differ
from gradprobe.reports.series import bands, present
from gradprobe.reports.svg import inline_svg

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd

    from gradprobe.reports.number_tables import NumberTable
    from gradprobe.reports.portraits import Portrait
    from gradprobe.reports.survival import Relation


class TaskPortraits(NamedTuple):
    """The portraits of one task: a panel a series, those of every seed, and the distances."""

    task: str
    panels: list[Panel]
    seeds: dict[str, list[Panel]]
    charts: list[Chart]
    numbers: NumberTable


def learning_charts(rows: pd.DataFrame) -> list[TaskCharts]:
    """Draw the learning curves of each task: what is validated, then the loss.

    Parameters
    ----------
    rows
        Of `gradprobe.reports.trainings.training_rows`.
    """
    found = []
    for number, (task, mine) in enumerate(rows.groupby("task", sort=False)):
        shown = [name for name in _QUANTITIES if (mine["quantity"] == name).any()]
        charts = [_learning(mine, quantity, f"learning-{number}-{quantity}") for quantity in shown]
        found.append(TaskCharts(str(task), charts))
    return found


_QUANTITIES = ("validation_accuracy", "validation_mean_squared_error", "train_loss")


def survival_charts(relations: Sequence[Relation], order: Sequence[str]) -> list[TaskCharts]:
    """Draw accuracy against the gradient's survival, for each task.

    Parameters
    ----------
    relations
        Of `gradprobe.reports.survival.relations`.
    order
        Models in the order of the study.
    """
    return [
        TaskCharts(
            relation.task,
            [
                chart(
                    f"survival-{number}",
                    f"Test accuracy over |log gain| at initialisation on {relation.task}",
                    alternatives.survival(relation),
                    [],
                    lambda relation=relation, **size: accuracy_against_gradient(
                        relation.points, order, length=relation.length, **size
                    ),
                    numbers=survival_table(
                        f"Accuracy and gradient survival on {relation.task}", relation.points
                    ),
                )
            ],
        )
        for number, relation in enumerate(relations)
        if len(relation.points)
    ]


def moduli_charts(rows: pd.DataFrame, failed: Collection[tuple[str, int]]) -> list[Chart]:
    """Draw mean and spread of the end-to-end Jacobian's eigenvalue moduli over T.

    Parameters
    ----------
    rows
        Of `gradprobe.reports.trainings.at_the_end`.
    failed
        Of `gradprobe.reports.trainings.not_learned`.
    """
    charts = []
    for quantity, label in MODULI.items():
        if not (rows["quantity"] == quantity).any():
            continue
        names = named(moduli_band(rows, quantity), failed)
        windows = [None] if (window := moduli_window(rows, quantity)) is None else [None, window]
        for number, shown in enumerate(windows):
            charts.append(
                chart(
                    f"moduli-{quantity.replace('_', '-')}-{number}",
                    f"{label.capitalize()} over T{', enlarged' if shown else ''}",
                    alternatives.moduli(rows, quantity, failed),
                    [
                        key._replace(name=names[key.name])
                        for key in _keys(rows[rows["quantity"] == quantity])
                    ],
                    lambda quantity=quantity, shown=shown, **size: eigenvalue_moduli(
                        rows, quantity, failed=failed, window=shown, **size
                    ),
                    numbers=None
                    if shown
                    else band_table(label.capitalize(), moduli_band(rows, quantity), "log", "T"),
                )
            )
    return charts


def portrait_panels(every: Sequence[Portrait]) -> list[TaskPortraits]:
    """Draw the portraits task by task: the first seed of each series, and all where they differ.

    Parameters
    ----------
    every
        Of `gradprobe.reports.portraits.portraits`.
    """
    found = []
    for number, task in enumerate(dict.fromkeys(portrait.task for portrait in every)):
        mine = [portrait for portrait in every if portrait.task == task]
        series: dict[str, list[Portrait]] = {}
        for portrait in mine:
            series.setdefault(portrait.series, []).append(portrait)
        start = f"portrait-{number}"
        firsts = [
            _panel(group[0], f"{start}-{place}", name.removesuffix(f" · {task}"))
            for place, (name, group) in enumerate(series.items())
        ]
        seeds = {
            name.removesuffix(f" · {task}"): [
                _panel(
                    portrait, f"{start}-{place}-{portrait.seed}", f"seed {portrait.seed}", bare=True
                )
                for portrait in group
            ]
            for place, (name, group) in enumerate(series.items())
            if seeds_differ(group)
        }
        charts = [_distances(mine, f"distance-{number}")]
        table = portrait_table(f"Trajectories, {task}", [group[0] for group in series.values()])
        found.append(TaskPortraits(task, firsts, seeds, charts, table))
    return found


def _panel(portrait: Portrait, identifier: str, name: str, *, bare: bool = False) -> Panel:
    title = f"Phase portrait of {portrait.series}, seed {portrait.seed}"
    width, height = (150, 150) if bare else (200, 194)
    figure = phase_portraits([portrait], width=width, height=height, bare=bare)
    return Panel(name, inline_svg(figure, identifier, title, alternatives.portrait(portrait)))


def _distances(every: Sequence[Portrait], identifier: str) -> Chart:
    rows = distances(every)
    names = {name: name.split(" · ")[0] for name in rows["series"].cat.categories}
    if len(set(names.values())) == len(names):
        rows = rows.assign(series=rows["series"].cat.rename_categories(names))
    return chart(
        identifier,
        f"Distance from the origin over t, {every[0].task}",
        alternatives.distance(rows),
        _keys(rows),
        lambda **size: distance_from_origin(rows, **size),
        numbers=band_table(
            f"Distance from the origin, {every[0].task}",
            bands(rows, "step").rename(columns={"step": "x"}),
            "distance",
            "t",
        ),
    )


def _learning(rows: pd.DataFrame, quantity: str, identifier: str) -> Chart:
    return chart(
        identifier.replace("_", "-"),
        f"{LABELS[quantity].capitalize()} over iterations on {rows['task'].iloc[0]}",
        alternatives.learning(rows, quantity),
        _keys(rows[rows["quantity"] == quantity]),
        lambda **size: learning_curve(rows, quantity, **size),
        numbers=band_table(
            f"{LABELS[quantity].capitalize()} on {rows['task'].iloc[0]}",
            learning_band(rows, quantity),
            LABELS[quantity],
            "iteration",
        ),
    )


def _keys(rows: pd.DataFrame) -> list[Key]:
    return [series_key(rows, name) for name in present(rows)]
