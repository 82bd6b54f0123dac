"""Carrying out the sweeps of a study: a model or a task with a label of its own for each value."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import chain, product
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from gradprobe.studies.choices import ModelChoice, TaskChoice, stated
from gradprobe.studies.sweeps import Axis, Origin, axes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gradprobe.studies.schema import Study

AnyChoice = TypeVar("AnyChoice", ModelChoice, TaskChoice)

MOST_CELLS = 1_000_000
LONGEST_VALUE = 20
"""Characters of a value in a label; a longer one is told by its number."""
PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.]*)\}")


def expanded(study: Study) -> tuple[Study, list[str]]:
    """Return `study` with its sweeps carried out, and what is wrong with them.

    A model that sweeps is replaced by one for each combination of values, the last key changing
    fastest: first what the model itself sweeps, then what the study does.  The values stand where
    they would have been written, so that a cell is the same however it came about.

    Parameters
    ----------
    study
        A checked study.

    Examples
    --------
    >>> from gradprobe.studies.schema import Study
    >>> study, mistakes = expanded(Study(
    ...     name="example", question="?", tasks=[{"name": "digits_rows"}],
    ...     grid={"seeds": [0], "sequences": 1},
    ...     models=[{
    ...         "label": "LSTM", "name": "lstm", "hidden_size": 4,
    ...         "sweep": {"options": {"forget_bias": [1.0, 5.0]}},
    ...     }],
    ...     probes={"singular_values": {}},
    ... ))
    >>> [model.label for model in study.models], study.models[1].parameters, mistakes
    (['LSTM (forget_bias=1)', 'LSTM (forget_bias=5)'], {'forget_bias': 5.0}, [])
    """
    swept_models = [_axes_of_model(study, model) for model in study.models]
    swept_tasks = [_axes_of_task(study, task) for task in study.tasks]
    mistakes = list(_contradictions(study, swept_models, swept_tasks))
    mistakes += _too_many(study, swept_models, swept_tasks)
    if mistakes or not any([*swept_models, *swept_tasks]):
        return study, mistakes
    names = _names(models=swept_models, tasks=swept_tasks)
    models = _all_expanded("models", study.models, swept_models, names, mistakes)
    tasks = _all_expanded("tasks", study.tasks, swept_tasks, names, mistakes)
    mistakes += _repeated("models", models) + _repeated("tasks", tasks)
    return study.model_copy(update={"models": models, "tasks": tasks, "sweep": None}), mistakes


def _axes_of_model(study: Study, model: ModelChoice) -> list[Axis]:
    whole = study.sweep
    shared = [] if whole is None else [*axes(whole.models), *axes(whole.training, "training")]
    return [*axes(model.sweep), *shared]


def _axes_of_task(study: Study, task: TaskChoice) -> list[Axis]:
    return [*axes(task.sweep), *axes(study.sweep and study.sweep.tasks)]


def _names(**swept: Sequence[Sequence[Axis]]) -> dict[tuple[str, ...], str]:
    """Return what each key is called: its last part, or all of it where that would be ambiguous."""
    paths = {
        (kind, *axis.path)
        for kind, choices in swept.items()
        for axis in chain.from_iterable(choices)
    }
    last = Counter(path[-1] for path in paths)
    return {path: path[-1] if last[path[-1]] == 1 else ".".join(path) for path in paths}


def _called(kind: str, swept: Sequence[Axis], names: Mapping[tuple[str, ...], str]) -> list[str]:
    return [names[kind, *axis.path] for axis in swept]


def _all_expanded(
    kind: str,
    choices: Sequence[AnyChoice],
    swept: Sequence[Sequence[Axis]],
    names: Mapping[tuple[str, ...], str],
    mistakes: list[str],
) -> tuple[AnyChoice, ...]:
    made: list[AnyChoice] = []
    for position, (choice, chosen) in enumerate(zip(choices, swept, strict=True)):
        try:
            made += _expanded(position, choice, chosen, _called(kind, chosen, names))
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            mistakes.append(f"{kind}[{position}].sweep ({choice.label}): {reason}")
        except ValueError as error:
            mistakes.append(f"{kind}[{position}].label ({choice.label}): {error}")
    return tuple(made)


def _expanded(
    position: int,
    choice: AnyChoice,
    swept: Sequence[Axis],
    names: Sequence[str],
) -> Iterator[AnyChoice]:
    """Yield a choice for each combination of values; the choice itself if nothing is swept."""
    if not swept:
        choice._origin = Origin(position, choice.label, {})
        yield choice
        return
    for numbers in product(*(range(len(axis.values)) for axis in swept)):
        table = choice.model_dump(exclude_unset=True)
        texts, parameters = {}, {}
        for axis, name, number in zip(swept, names, numbers, strict=True):
            value = axis.values[number]
            _put(table, axis.path, value)
            parameters[name], texts[name] = value, _in_brief(value, number)
        table["label"] = _label(choice.label, texts)
        made = type(choice).model_validate(table)
        made._origin = Origin(position, choice.label, parameters)
        yield made


def _put(table: dict[str, Any], path: Sequence[str], value: object) -> None:
    for part in path[:-1]:
        table = table.setdefault(part, {})
    table[path[-1]] = value


def _label(template: str, texts: Mapping[str, str]) -> str:
    """Return a label that tells every value: in the template's braces, the others after it.

    Examples
    --------
    >>> _label("LSTM, bias {forget_bias}", {"forget_bias": "5", "learning_rate": "0.1"})
    'LSTM, bias 5 (learning_rate=0.1)'
    """
    named = set(PLACEHOLDER.findall(template))
    unknown = sorted(named - set(texts))
    if unknown:
        raise ValueError(
            f"{{{unknown[0]}}} is not swept; what is swept: {', '.join(sorted(texts))}"
        )
    filled = PLACEHOLDER.sub(lambda found: texts[found[1]], template)
    others = ", ".join(f"{name}={text}" for name, text in texts.items() if name not in named)
    return f"{filled} ({others})" if others else filled


def _in_brief(value: object, number: int) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"no. {number + 1}"


def _contradictions(
    study: Study, swept_models: Sequence[Sequence[Axis]], swept_tasks: Sequence[Sequence[Axis]]
) -> Iterator[str]:
    """Yield keys that are swept twice, or both swept and given a value."""
    for index, (model, swept) in enumerate(zip(study.models, swept_models, strict=True)):
        for axis in _clashes(swept, _stated_for(study, model)):
            yield f"models[{index}].sweep ({model.label}): {axis.key} {_CLASH}"
    for index, (task, swept) in enumerate(zip(study.tasks, swept_tasks, strict=True)):
        for axis in _clashes(swept, [_stated(task)]):
            yield f"tasks[{index}].sweep ({task.label}): {axis.key} {_CLASH}"
    if study.training is None:
        yield from (f"{place}.training: {NO_TRAINING}" for place in _swept_trainings(study))


def _swept_trainings(study: Study) -> Iterator[str]:
    if study.sweep is not None and study.sweep.training is not None:
        yield "sweep"
    for index, model in enumerate(study.models):
        if model.sweep is not None and model.sweep.training is not None:
            yield f"models[{index}].sweep"


NO_TRAINING = "the study trains nothing; add a table [training], which may be empty"
_CLASH = "is swept, and is given another value elsewhere as well; expected it once"


def _stated_for(study: Study, model: ModelChoice) -> list[dict[str, Any]]:
    tables = [_stated(model)]
    tables += [exception.model_dump(exclude_unset=True) for exception in model.on.values()]
    trainings = [
        study.training,
        *(task.training for task in study.tasks if model.runs_on(task.label)),
    ]
    return tables + [{"training": stated(table)} for table in trainings]


def _stated(choice: ModelChoice | TaskChoice) -> dict[str, Any]:
    return choice.model_dump(exclude_unset=True)


def _clashes(swept: Sequence[Axis], tables: Iterable[dict[str, Any]]) -> list[Axis]:
    paths = [axis.path for axis in swept]
    places = list(tables)
    return [
        axis
        for index, axis in enumerate(swept)
        if axis.path in paths[:index] or any(_holds(table, axis.path) for table in places)
    ]


def _holds(table: Any, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return table is not None


def _too_many(study: Study, *swept: Sequence[Sequence[Axis]]) -> list[str]:
    models, tasks = (sum(_combinations(chosen) for chosen in choices) for choices in swept)
    count = models * tasks * len(study.grid.seeds)
    if count <= MOST_CELLS:
        return []
    return [
        f"sweep: expected at most {MOST_CELLS:,} cells, got {models:,} models × "
        f"{tasks:,} tasks × {len(study.grid.seeds):,} seeds"
    ]


def _combinations(swept: Sequence[Axis]) -> int:
    return math.prod(len(axis.values) for axis in swept)


def _repeated(kind: str, choices: Sequence[ModelChoice | TaskChoice]) -> list[str]:
    counts = Counter(choice.label for choice in choices)
    return [
        f"{kind}: each label must stand once, {label!r} is repeated"
        for label, count in counts.items()
        if count > 1
    ]
