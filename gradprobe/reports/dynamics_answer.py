"""Where trajectories go, in words: sentences that are computed from the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup

from gradprobe.reports.numbers import (
    listing,
    names_listed,
    plural,
    printable,
    series_name,
    significant,
)
from gradprobe.reports.portraits import seeds_differ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradprobe.reports.portraits import Portrait

KEEPS = 0.1
"""A distance from the origin that ends within this share of where it began is kept."""

SHARE = 0.9
"""What so many of the trajectories do is said of the model."""

_AWAY, _KEEP, _TOWARDS = (
    "moves away from the origin",
    "keeps its distance from the origin",
    "moves towards the origin",
)
_MIXED = "goes either way"


class DynamicsAnswer(NamedTuple):
    """What leads, a sentence for each model by task, and the criterion."""

    lead: Markup
    models: dict[str, list[Markup]]
    criterion: Markup


def answer(every: Sequence[Portrait]) -> DynamicsAnswer:
    """Return the sentences.

    Parameters
    ----------
    every
        Of `gradprobe.reports.portraits.portraits`, at least one.

    Examples
    --------
    >>> from gradprobe.reports.example_trainings import example_dynamics
    >>> from gradprobe.reports.portraits import portraits
    >>> print(answer(portraits(example_dynamics().table)).lead.striptags())
    Under “no input”, the state moves away from the origin in Feedback, W₀; it goes either way in
    Vanilla, random W.
    """
    tasks = list(dict.fromkeys(portrait.task for portrait in every))
    leads: list[Markup] = []
    models: dict[str, list[Markup]] = {}
    for task in tasks:
        groups: dict[str, list[Portrait]] = {}
        for portrait in every:
            if portrait.task == task:
                groups.setdefault(portrait.series.removesuffix(f" · {task}"), []).append(portrait)
        models[task] = [_sentence(name, group) for name, group in groups.items()]
        leads.append(_lead(task, groups))
    return DynamicsAnswer(Markup(" ").join(leads), models, _criterion(every))


def _lead(task: str, groups: dict[str, list[Portrait]]) -> Markup:
    verdicts = {name: _verdict(_ratios(group)) for name, group in groups.items()}
    parts: list[Markup] = []
    for verdict in (_AWAY, _KEEP, _TOWARDS, _MIXED):
        names = [name for name, own in verdicts.items() if own == verdict]
        if names:
            what = "the state" if not parts else "it"
            parts.append(Markup("{} {} in {}").format(what, verdict, names_listed(names)))
    return Markup("Under “<bdi>{}</bdi>”, {}.").format(printable(task), listing(parts, "; "))


def _sentence(name: str, group: Sequence[Portrait]) -> Markup:
    ratios = _ratios(group)
    steps, starts = len(group[0].paths) - 1, group[0].paths.shape[1]
    over = plural(starts, "trajectory") if starts == 1 else f"{starts} trajectories"
    if len(group) > 1:
        same = not seeds_differ(group)
        over += ", the same at every seed" if same else f" × {plural(len(group), 'seed')}"
    return Markup(
        "{} {}: after {}, it is {} times as far from the origin ({} … {} over {})."
    ).format(
        series_name(name),
        _verdict(ratios),
        plural(steps, "step"),
        significant(float(np.median(ratios)), 3),
        significant(float(ratios.min()), 3),
        significant(float(ratios.max()), 3),
        over,
    )


def _ratios(group: Sequence[Portrait]) -> NDArray[np.float64]:
    """Return ‖h_T‖/‖h_0‖ of every trajectory that does not start at the origin."""
    norms = np.concatenate([np.linalg.norm(portrait.paths, axis=-1) for portrait in group], axis=1)
    moving = norms[:, norms[0] > 0]
    return np.asarray(moving[-1] / moving[0]) if moving.size else np.array([np.nan])


def _verdict(ratios: NDArray[np.float64]) -> str:
    done = {
        _AWAY: ratios > 1 + KEEPS,
        _KEEP: np.abs(ratios - 1) <= KEEPS,
        _TOWARDS: ratios < 1 - KEEPS,
    }
    return next((verdict for verdict, which in done.items() if which.mean() >= SHARE), _MIXED)


def _criterion(every: Sequence[Portrait]) -> Markup:
    return Markup(
        "Told is ‖h<sub>T</sub>‖ / ‖h<sub>0</sub>‖ at T = {}, the median over initial states and "
        "seeds with its range. Within {} % of one, a state keeps its distance; what at least {} % "
        "of the trajectories do is said of the model. What happens between the first and the last "
        "step, the figures show."
    ).format(len(every[0].paths) - 1, f"{100 * KEEPS:.0f}", f"{100 * SHARE:.0f}")
