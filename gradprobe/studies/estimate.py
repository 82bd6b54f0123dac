"""What a run would do, and how long it would take: told without doing it."""

from __future__ import annotations

import importlib
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from gradprobe.errors import DataError
from gradprobe.models.importing import importable
from gradprobe.studies.forecast import sibling_key
from gradprobe.studies.grid import canonical, cells
from gradprobe.studies.mistakes import refuse
from gradprobe.studies.price import Price
from gradprobe.studies.progress import title

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.schema import Study
    from gradprobe.studies.writer import Stored

MOST_MEASURED = 6
"""How many cells are tried, at most."""
ENDS = 3
"""How many of the first and of the last cells are listed."""
OTHER_LOAD = 1.3
"""What else a machine does may make a run this much longer or shorter than it was measured."""


def roughly(seconds: float) -> str:
    """Return a duration with no more digits than an estimate has.

    Examples
    --------
    >>> roughly(0.2), roughly(43), roughly(2603), roughly(9000), roughly(400_000)
    ('1 s', '43 s', '43 min', '2.5 h', '4.6 days')
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    hours = seconds / 3600
    return f"{hours:.2g} h" if hours < 48 else f"{hours / 24:.2g} days"


def grid_in_words(study: Study, stored: Stored, folder: object) -> Iterator[str]:
    """Yield lines that tell the grid of `study`, and what of it is done.

    Parameters
    ----------
    study
        A checked study.
    stored
        What the folder of results holds.
    folder
        Its name.

    Examples
    --------
    >>> from gradprobe.listing import shipped_study_files
    >>> from gradprobe.studies import load_study
    >>> from gradprobe.studies.writer import Stored
    >>> study = load_study(shipped_study_files()[0])
    >>> next(grid_in_words(study, Stored(set(), {}), "results"))
    'digits_accuracy: 138 cells = 23 models × 2 tasks × 3 seeds'
    """
    grid = cells(study)
    models, tasks = len({cell.label for cell in grid}), len({cell.task for cell in grid})
    seeds = len(study.grid.seeds)
    whole = models * tasks * seeds == len(grid)
    sizes = " × ".join((_plural(models, "model"), _plural(tasks, "task"), _plural(seeds, "seed")))
    some = "" if whole else ", some models not on all tasks"
    yield f"{study.name}: {_plural(len(grid), 'cell')} = {sizes}{some}"
    for kind, choices in (("task", study.tasks), ("model", study.models)):
        yield from _sweeps_in_words(kind, choices)
    yield from (f"  {number:>7,}. {title(cell)}" for number, cell in _ends(grid))
    done = sum(cell.hash in stored.finished for cell in grid)
    failed = sum(cell.hash in stored.failed for cell in grid)
    left = len(grid) - done - failed
    yield f"{folder}: {done:,} finished, {failed:,} failed, {left:,} to compute"


def _sweeps_in_words(kind: str, choices: Sequence[Any]) -> Iterator[str]:
    families: dict[str, list[Any]] = {}
    for choice in choices:
        families.setdefault(choice.family, []).append(choice)
    for family, made in families.items():
        values = {
            name: len({canonical(choice.parameters[name]) for choice in made})
            for name in made[0].parameters
        }
        if values:
            product = " × ".join(f"{name} ({count})" for name, count in values.items())
            yield f"  {kind} {family!r}: {product} = {len(made):,}"


def _ends(grid: Sequence[Cell]) -> list[tuple[int, Cell]]:
    numbered = list(enumerate(grid, start=1))
    return numbered if len(grid) <= 2 * ENDS else numbered[:ENDS] + numbered[-ENDS:]


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def cost_in_words(study: Study, waiting: Sequence[Cell], workers: int) -> Iterator[str]:
    """Yield how long `waiting` will take, measured on a few steps of some of them.

    Parameters
    ----------
    study
        A checked study.
    waiting
        Those of its cells that would be computed.
    workers
        How many are computed at once.

    Raises
    ------
    StudyFileError
        A model or a probe cannot be made as the study says.
    """
    if not waiting:
        return
    missing = list(_missing_data(study, waiting))
    if missing:
        yield "How long it will take cannot be measured without the data:"
        yield from (f"  {sentence}" for sentence in missing)
        return
    with importable(study.cell_files):
        costs = _rehearsed(study, waiting)
        chosen = _representatives(waiting, costs)
        measure = importlib.import_module("gradprobe.studies.pricing").price
        prices = {
            _kind(cell): (measure(cell.specification), costs[sibling_key(cell)]) for cell in chosen
        }
    total = _total(waiting, costs, prices) * (1 / min(workers, len(waiting)))
    low, high = total.least / OTHER_LOAD, total.most * OTHER_LOAD
    yield (
        f"about {roughly(total.seconds)} on {_plural(workers, 'worker')}, probably between "
        f"{roughly(low)} and {roughly(high)}"
    )
    yield (
        f"  (from a few steps of {_plural(len(chosen), 'cell')}; another load of this machine, "
        "more steps than were tried, and cells that diverge early make it longer or shorter)"
    )


def _missing_data(study: Study, waiting: Iterable[Cell]) -> Iterator[str]:
    needed = {cell.task for cell in waiting}
    for task in study.tasks:
        if task.label in needed:
            try:
                task.build().check_data()
            except DataError as error:
                yield f"{task.label}: {error}"


def _rehearsed(study: Study, waiting: Iterable[Cell]) -> dict[str, float]:
    """Return the relative cost of a cell of each setting; refuse what cannot be made."""
    rehearse = importlib.import_module("gradprobe.studies.cell").rehearse
    costs: dict[str, float] = {}
    mistakes: list[str] = []
    for cell in waiting:
        key = sibling_key(cell)
        if key in costs:
            continue
        found = rehearse(cell.specification, with_probes=not costs)
        costs[key] = found.cost
        mistakes += [
            f"{place} ({title(cell)}): {mistake}" for place, mistake in found.mistakes.items()
        ]
    refuse(study.file_name, mistakes)
    return costs


def _kind(cell: Cell) -> str:
    """Return what tells how costly a cell is, but for numbers among its options."""
    specification = cell.specification
    model = {key: specification["model"][key] for key in ("name", "hidden_size", "num_layers")}
    training = specification["training"] or {}
    budget = {key: training.get(key) for key in ("batch_size", "iterations", "validate_every")}
    task = [specification["task"]["name"], specification["task"].get("length")]
    return canonical([model, budget, task, specification["lengths"]])


def _representatives(waiting: Sequence[Cell], costs: dict[str, float]) -> list[Cell]:
    """Return a cell of each kind; of too many kinds, some from the cheapest to the dearest."""
    kinds = {_kind(cell): cell for cell in reversed(waiting)}
    ordered = sorted(kinds.values(), key=lambda cell: costs[sibling_key(cell)])
    if len(ordered) <= MOST_MEASURED:
        return ordered
    step = (len(ordered) - 1) / (MOST_MEASURED - 1)
    return [ordered[round(index * step)] for index in range(MOST_MEASURED)]


def _total(
    waiting: Sequence[Cell], costs: dict[str, float], prices: dict[str, tuple[Price, float]]
) -> Price:
    """Return the price of all; a kind that was not tried is priced between the others."""
    rates = [price * (1 / max(cost, 1.0)) for price, cost in prices.values()]
    unknown = Price(
        math.fsum(rate.seconds for rate in rates) / len(rates),
        min(rate.least for rate in rates),
        max(rate.most for rate in rates),
    )
    total = Price(0.0, 0.0, 0.0)
    for kind, count in Counter((_kind(cell), sibling_key(cell)) for cell in waiting).items():
        found = prices.get(kind[0])
        price = unknown * max(costs[kind[1]], 1.0) if found is None else found[0]
        total = total + price * count
    return total
