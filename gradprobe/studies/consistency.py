"""What the tables of a study file must be together: labels that exist, trainings that are whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gradprobe.registry import did_you_mean
from gradprobe.studies.expansion import NO_TRAINING
from gradprobe.studies.fields import MISSING
from gradprobe.studies.grid import digest, unseeded_specification
from gradprobe.studies.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradprobe.studies.choices import ModelChoice, TaskChoice
    from gradprobe.studies.schema import Grid, Study
    from gradprobe.studies.settings import Setting


def inconsistencies(study: Study) -> list[str]:
    """Return what is wrong with tables of `study` that are each sound alone: ``key: why``.

    Parameters
    ----------
    study
        Tables that have been checked one by one.

    Examples
    --------
    >>> from gradprobe.studies.schema import Study
    >>> study = Study(
    ...     name="example", question="?", tasks=[{"name": "digits_rows"}],
    ...     grid={"seeds": [0], "sequences": 1},
    ...     models=[{"label": "GRU", "name": "gru", "hidden_size": 4, "skip": ["rows"]}],
    ...     probes={"singular_values": {}},
    ... )
    >>> inconsistencies(study)
    ["models[0].skip (GRU): no task is called 'rows'; the tasks are: digits_rows"]
    """
    checks = (
        _wrong_places,
        _missing_sizes,
        _missing_purpose,
        _too_few_examples,
        _broken_trainings,
        _twins,
    )
    for check in checks:
        mistakes = list(dict.fromkeys(check(study)))  # once, however many a sweep makes of it
        if mistakes:
            return mistakes
    return []


def too_long(tasks: Iterable[TaskChoice | None], grid: Grid | None) -> list[str]:
    """Return where more steps are asked for than a task has.

    Parameters
    ----------
    tasks
        The study's, None in place of those that are wrong themselves.
    grid
        The study's; None if it is wrong itself.

    Examples
    --------
    >>> from gradprobe.studies.choices import TaskChoice
    >>> too_long([TaskChoice(name="digits_rows", lengths=[9])], None)
    ["tasks[0].lengths (digits_rows): expected at most the 8 steps of task 'digits_rows', got 9"]
    """
    mistakes = []
    for index, task in enumerate(tasks):
        lengths = task and (task.lengths or (grid and grid.lengths))
        if task is None or not lengths:
            continue
        steps = task.build().length
        if max(lengths) > steps:
            own = f"tasks[{task.position(index)}].lengths ({task.family})"
            mistakes.append(
                f"{own if task.lengths else 'grid.lengths'}: expected at most the {steps} steps of "
                f"task {task.label!r}, got {max(lengths)}"
            )
    return mistakes


def _wrong_places(study: Study) -> Iterator[str]:
    """Yield labels of tasks that do not exist, and models that run on none."""
    labels = list(dict.fromkeys(task.family for task in study.tasks))
    for index, model in enumerate(study.models):
        place = f"models[{model.position(index)}]"
        for key, named in _named_tasks(model):
            if named not in labels:
                yield (
                    f"{place}.{key} ({model.family}): no task is called {named!r}; the tasks are: "
                    f"{', '.join(labels)}{did_you_mean(named, labels)}"
                )
            elif key == "on" and not model.runs_on(named):
                yield f"{place}.on ({model.family}): the model does not run on task {named!r}"
        if model.only is not None and model.skip:
            yield f"{place}.skip ({model.family}): expected either only or skip, got both"
        elif not any(model.runs_on(label) for label in labels):
            yield f"{place} ({model.family}): runs on no task; the tasks are: {', '.join(labels)}"


def _named_tasks(model: ModelChoice) -> Iterator[tuple[str, str]]:
    yield from (("only", label) for label in model.only or ())
    yield from (("skip", label) for label in model.skip)
    yield from (("on", label) for label in model.on)


def _missing_sizes(study: Study) -> Iterator[str]:
    """Yield models of no size, which no sweep gives them either."""
    for index, model in enumerate(study.models):
        if model.hidden_size is None:
            yield f"models[{model.position(index)}].hidden_size ({model.family}): {MISSING}"


def _missing_purpose(study: Study) -> Iterator[str]:
    """Yield tables of a training that is not there."""
    if study.training is not None:
        return
    if not study.probes:
        yield "probes: expected at least one probe, or a table [training]; nothing is to be done"
    for index, task in enumerate(study.tasks):
        if task.training is not None:
            yield f"tasks[{task.position(index)}].training ({task.family}): {NO_TRAINING}"
    for index, model in enumerate(study.models):
        place = f"models[{model.position(index)}]"
        if model.training is not None:
            yield f"{place}.training ({model.family}): {NO_TRAINING}"
        for label, exception in model.on.items():
            if exception.training is not None:
                yield f"{place}.on.{label}.training ({model.family}): {NO_TRAINING}"


def _too_few_examples(study: Study) -> Iterator[str]:
    """Yield tasks with fewer examples than the probes are to read."""
    split, sequences = study.grid.split, study.grid.sequences
    for task in study.tasks if study.probes else ():
        examples = task.build().size(split)
        if sequences > examples:
            yield (
                f"grid.sequences: expected at most the {examples} examples of split {split!r} of "
                f"task {task.label!r}, got {sequences}"
            )


def _broken_trainings(study: Study) -> Iterator[str]:
    """Yield what is wrong with trainings whose tables are put together; once, if with all."""
    chosen = settings(study)
    found = {(setting.model.label, setting.task.label): _broken(setting) for setting in chosen}
    counts = Counter(mistake for mistakes in found.values() for mistake in set(mistakes))
    yield from (mistake for mistake, count in counts.items() if count == len(chosen))
    for (model, task), mistakes in found.items():
        for mistake in mistakes:
            if counts[mistake] < len(chosen):
                yield f"{mistake} ({model} on {task})"


def _broken(setting: Setting) -> list[str]:
    try:
        protocol = setting.protocol()
    except ValidationError as error:
        return [
            f"{'.'.join(['training', *map(str, detail['loc'])])}: "
            f"{detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_url=False)
        ]
    if protocol is None:
        return []
    if setting.study.probes and not protocol.probe_at:
        return [
            "training.probe_at: expected the iterations to probe at, 0 for the initialisation; "
            "without them the study's probes measure nothing"
        ]
    examples = setting.task.build().size("train")
    if protocol.batch_size > examples:
        return [
            f"training.batch_size: expected at most the {examples} training examples of task "
            f"{setting.task.label!r}, got {protocol.batch_size}"
        ]
    return []


def _twins(study: Study) -> Iterator[str]:
    """Yield settings that would be computed twice."""
    first: dict[str, Setting] = {}
    for setting in settings(study):
        twin = first.setdefault(digest(unseeded_specification(setting)), setting)
        if twin is setting:
            continue
        if twin.task is setting.task:
            yield (
                f"models: {setting.model.label!r} and {twin.model.label!r} are the same model with "
                f"the same options on task {setting.task.label!r}"
            )
        else:
            yield (
                f"tasks: {setting.task.label!r} and {twin.task.label!r} are the same task with the "
                f"same options for {setting.model.label!r}"
            )
