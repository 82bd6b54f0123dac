"""What a study file may sweep: keys of its tables, each with a list of values to try.

A table ``sweep`` holds keys of the table that it stands in, with lists in place of values.  Every
combination is a model, or a task, of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, JsonValue, create_model

from gradprobe.studies.fields import Positive, Strict, finite_options, no_reserved
from gradprobe.training.protocol import TrainingProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def distinct_values(values: Sequence[Any]) -> Sequence[Any]:
    """Return the swept `values`, none of which may stand twice.

    Examples
    --------
    >>> distinct_values([[0.5], [1.0]])
    [[0.5], [1.0]]
    """
    seen = set()
    for value in values:
        text = json.dumps(value, sort_keys=True)
        if text in seen:
            raise ValueError(f"each value must stand once, {text} is repeated")
        seen.add(text)
    return values


def _swept(kind: Any) -> Any:
    return Annotated[
        tuple[kind, ...], Field(strict=False, min_length=1), AfterValidator(distinct_values)
    ]


Sizes = Annotated[
    tuple[Positive, ...], Field(strict=False, min_length=1), AfterValidator(distinct_values)
]
SweptValues = Annotated[
    tuple[JsonValue, ...], Field(strict=False, min_length=1), AfterValidator(distinct_values)
]
SweptOptions = Annotated[dict[str, SweptValues], AfterValidator(finite_options)]
SweptModelOptions = Annotated[SweptOptions, AfterValidator(no_reserved)]

if TYPE_CHECKING:
    TrainingSweep = BaseModel
else:
    TrainingSweep = create_model(
        "TrainingSweep",
        __base__=Strict,
        __doc__="Keys of a table ``training``, each with the list of values to try.",
        **{
            name: (_swept(Annotated[field.annotation, *field.metadata, Field()]) | None, None)
            for name, field in TrainingProtocol.model_fields.items()
        },
    )


class TaskSweep(Strict):
    """A table ``sweep`` of a task.

    Attributes
    ----------
    options
        The task's options, each with the list of values to try.

    Examples
    --------
    >>> [axis.values for axis in axes(TaskSweep(options={"length": [100, 200]}))]
    [(100, 200)]
    """

    options: SweptOptions = Field(default_factory=dict)


class AllModelsSweep(Strict):
    """What a study may sweep of all its models.

    Attributes
    ----------
    hidden_size, num_layers
        Lists of sizes to try.
    options
        Options that all models have, each with the list of values to try.

    Examples
    --------
    >>> [axis.key for axis in axes(AllModelsSweep(hidden_size=[8, 16]))]
    ['hidden_size']
    """

    hidden_size: Sizes | None = None
    num_layers: Sizes | None = None
    options: SweptModelOptions = Field(default_factory=dict)


class ModelSweep(AllModelsSweep):
    """A table ``sweep`` of a model.

    Attributes
    ----------
    hidden_size, num_layers
        Lists of sizes to try.
    options
        The model's options, each with the list of values to try.
    training
        Keys of its training, each with the list of values to try.

    Examples
    --------
    >>> sweep = ModelSweep(options={"diffusion": [0.0, 0.1]}, training={"momentum": [0.0, 0.9]})
    >>> [axis.key for axis in axes(sweep)]
    ['options.diffusion', 'training.momentum']
    """

    training: TrainingSweep | None = None


class StudySweep(Strict):
    """The table ``[sweep]``: what is swept of the whole study.

    Attributes
    ----------
    training
        Keys of all trainings, each with the list of values to try.
    models
        What is swept of all models.
    tasks
        What is swept of all tasks.

    Examples
    --------
    >>> StudySweep(tasks={"options": {"length": [100, 200]}}).tasks.options
    {'length': (100, 200)}
    """

    training: TrainingSweep | None = None
    models: AllModelsSweep = AllModelsSweep()
    tasks: TaskSweep = TaskSweep()


@dataclass(frozen=True)
class Axis:
    """One swept key and its values.

    Attributes
    ----------
    path
        Where the value belongs in a table of a model or a task.
    values
        What to try, in the file's order.
    """

    path: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def key(self) -> str:
        """The dotted path."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Origin:
    """What a model or a task with swept values was made from.

    Attributes
    ----------
    position
        Which of the file's tables of its kind, from 0.
    family
        The label that stands there.
    parameters
        The swept values, by name.
    """

    position: int
    family: str
    parameters: Mapping[str, Any]


def axes(sweep: BaseModel | None, *prefix: str) -> Iterator[Axis]:
    """Yield what a table ``sweep`` sweeps: sizes, then options in the file's order, then training.

    Parameters
    ----------
    sweep
        A table, or a part of one.
    *prefix
        Where its keys belong.

    Examples
    --------
    >>> list(axes(None))
    []
    """
    for name in () if sweep is None else type(sweep).model_fields:
        value = getattr(sweep, name)
        if isinstance(value, BaseModel):
            yield from axes(value, *prefix, name)
        elif isinstance(value, dict):
            yield from (Axis((*prefix, name, key), values) for key, values in value.items())
        elif value is not None:
            yield Axis((*prefix, name), value)
