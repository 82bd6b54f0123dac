"""What was set differently for two results: settings of models, versions, machines, seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gradprobe.reports.numbers import NOTHING, plural, printable
from gradprobe.reports.provenance import is_finished

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gradprobe.reports.contract import Cell, Results

OF_ONE_CELL = ("seed", "streams", "threads")
"""Parts of a cell's specification that are no setting of its model or task."""


class Setting(NamedTuple):
    """Something that was set differently: what it belongs to, its name, and its two values."""

    place: str
    name: str
    before: str
    after: str


def differing_settings(before: Results, after: Results) -> list[Setting]:
    """Return what differs between what two results were computed from and with.

    Settings of models, tasks and probes come first, then seeds, then versions and machines.  What
    differs in the same way for every model and task is told once.

    Parameters
    ----------
    before, after
        As `gradprobe.studies.read_results` returns them.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> one, other = (example_results(models=1, lengths=[8], seeds=seeds) for seeds in (1, 2))
    >>> differing_settings(one, other)
    [Setting(place='', name='seeds', before='0', after='0, 1')]
    """
    old, new = _finished(before), _finished(after)
    seeds = Setting("", "seeds", _seeds(old), _seeds(new))
    found = [
        *_texts(before, after),
        *_specifications(old, new),
        *([seeds] if seeds.before != seeds.after else []),
        *_provenances(old, new),
    ]
    return [
        setting._replace(before=printable(setting.before), after=printable(setting.after))
        for setting in found
    ]


def _texts(before: Results, after: Results) -> Iterator[Setting]:
    for name in ("name", "question"):
        old, new = str(getattr(before.study, name)), str(getattr(after.study, name))
        if old != new:
            yield Setting("", f"study’s {name}", old, new)


def _specifications(old: Sequence[Cell], new: Sequence[Cell]) -> list[Setting]:
    one, other = _by_place(old), _by_place(new)
    both = [place for place in one if place in other]
    found: dict[tuple[str, str, str], list[str]] = {}
    for place in both:
        for name, before, after in _different(one[place], other[place]):
            found.setdefault((name, before, after), []).append(f"{place[0]} on {place[1]}")
    settings = [
        Setting("" if len(places) == len(both) > 1 else place, *key)
        for key, places in found.items()
        for place in (places[:1] if len(places) == len(both) > 1 else places)
    ]
    return [*settings, *_absent(one, other, "only before"), *_absent(other, one, "only after")]


def _absent(
    mine: Mapping[tuple[str, str], Any], others: Mapping[tuple[str, str], Any], where: str
) -> Iterator[Setting]:
    for model, task in mine:
        if (model, task) not in others:
            there = ("there", NOTHING) if where == "only before" else (NOTHING, "there")
            yield Setting(f"{model} on {task}", where, *there)


def _by_place(cells: Sequence[Cell]) -> dict[tuple[str, str], dict[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for cell in cells:
        kept = {k: v for k, v in cell.specification.items() if k not in OF_ONE_CELL}
        found.setdefault((cell.label, cell.task), dict(_flat(kept)))
    return found


def _provenances(old: Sequence[Cell], new: Sequence[Cell]) -> list[Setting]:
    """Return the facts of the cells that differ; those of a task are named after it."""
    one, other = _facts(old), _facts(new)
    names = dict.fromkeys([*one, *other])
    pairs = [(name, one.get(name, NOTHING), other.get(name, NOTHING)) for name in names]
    return [Setting("", *pair) for pair in pairs if pair[1] != pair[2]]


def _facts(cells: Sequence[Cell]) -> dict[str, str]:
    values: dict[str, dict[str, None]] = {}
    for cell in cells:
        for name, value in _flat(cell.provenance):
            values.setdefault(name, {})[value] = None
    return {name: _several(list(found)) for name, found in values.items()}


def _several(values: Sequence[str], most: int = 3) -> str:
    more = [f"and {plural(len(values) - most, 'other')}"] if len(values) > most else []
    return "; ".join([*values[:most], *more])


def _different(one: dict[str, str], other: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*one, *other]):
        before, after = one.get(name, NOTHING), other.get(name, NOTHING)
        if before != after:
            yield name, before, after


def _flat(parts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in parts.items():
        title = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{title}: ")
        else:
            yield title, str(value)


def _finished(results: Results) -> list[Cell]:
    return [cell for cell in results.cells if is_finished(cell)]


def _seeds(cells: Iterable[Cell]) -> str:
    return ", ".join(str(seed) for seed in sorted({cell.seed for cell in cells}))
