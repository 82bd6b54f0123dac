"""The parts of a study file: its tasks, its models, what is published of them, their training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PrivateAttr,
    create_model,
    model_validator,
)

from gradprobe import tasks
from gradprobe.errors import GradprobeError
from gradprobe.models.cell_files import is_own, module_of
from gradprobe.models.registry import MODELS
from gradprobe.studies.fields import (
    Labels,
    Lengths,
    ModelOptions,
    Options,
    Positive,
    Strict,
    Text,
    registered,
)
from gradprobe.studies.sweeps import ModelSweep, Origin, TaskSweep
from gradprobe.training.protocol import TrainingProtocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradprobe.tasks.base import Task

if TYPE_CHECKING:
    TrainingTable = BaseModel
else:
    # The same keys, each checked alone: only all tables together make a whole protocol.
    TrainingTable = create_model(
        "TrainingTable",
        __base__=Strict,
        **{
            name: (field.annotation, field) for name, field in TrainingProtocol.model_fields.items()
        },
    )


def stated(table: BaseModel | None) -> dict[str, Any]:
    """Return the keys that a table of the file states, without those left at their defaults.

    Examples
    --------
    >>> stated(Published(test_accuracy=98.0, source="Table 1"))
    {'test_accuracy': 98.0, 'source': 'Table 1'}
    """
    return {} if table is None else table.model_dump(mode="json", exclude_unset=True)


def model_name(name: str) -> str:
    """Return the name of a model that is registered, or the place of one's own: ``MODULE:CELL``.

    Examples
    --------
    >>> model_name("lstm"), model_name("mycells:Leaky")
    ('lstm', 'mycells:Leaky')
    """
    if not is_own(name):
        return registered("model", MODELS)(name)
    try:
        module_of(name)
    except GradprobeError as error:
        raise ValueError(str(error)) from None
    return name


class Published(Strict):
    """What a paper prints of a model on a task; shown beside what was measured.

    Attributes
    ----------
    test_accuracy
        In percent.
    test_mean_squared_error
        Of tasks whose targets are numbers.
    parameters, units
        Number of parameters, and of hidden units.
    iterations
        The full budget of training.
    source
        Where it is printed.

    Examples
    --------
    >>> Published(test_accuracy=98.0, parameters=10_000, source="Table 1").source
    'Table 1'
    """

    test_accuracy: Annotated[float, Field(ge=0, le=100)] | None = None
    test_mean_squared_error: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    parameters: Positive | None = None
    units: Positive | None = None
    iterations: Positive | None = None
    source: Text | None = None


class Choice(Strict):
    """A table that has a label, and may stand for several: one for each value that it sweeps.

    Examples
    --------
    >>> Choice(label="GRU").family, dict(Choice(label="GRU").parameters)
    ('GRU', {})
    """

    label: Text
    _origin: Origin | None = PrivateAttr(default=None)

    @property
    def family(self) -> str:
        """The label that stands in the file; `label` tells the swept values besides."""
        return self.label if self._origin is None else self._origin.family

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The swept values, by name; empty if nothing is swept."""
        return {} if self._origin is None else self._origin.parameters

    def position(self, index: int) -> int:
        """Return which of the file's tables this is of.

        Parameters
        ----------
        index
            Which of the study's choices of its kind it is, all sweeps carried out.
        """
        return index if self._origin is None else self._origin.position


class TaskChoice(Choice):
    """One table ``[[tasks]]``: where the inputs come from.

    Attributes
    ----------
    label
        What the task is called in tables and reports; its name if not given.
    name, options
        As for `gradprobe.tasks.build`.
    lengths
        The T at which probes measure on this task, if not those of the grid.
    training
        What differs from the table ``[training]`` on this task.
    published
        What a paper prints of all models on this task.
    sweep
        Options of the task to try every value of.

    Examples
    --------
    >>> task = TaskChoice(name="noise_padded_digits", options={"length": 50})
    >>> task.label, task.build().length
    ('noise_padded_digits', 50)
    """

    name: Annotated[str, AfterValidator(registered("task", tasks.TASKS))]
    options: Options = Field(default_factory=dict)
    lengths: Lengths | None = None
    training: TrainingTable | None = None
    published: Published = Published()
    sweep: Annotated[TaskSweep | None, Field(exclude=True)] = None

    @model_validator(mode="before")
    @classmethod
    def _labelled(cls, table: Any) -> Any:
        if isinstance(table, dict) and "label" not in table:
            return {"label": table.get("name"), **table} if "name" in table else table
        return table

    @model_validator(mode="after")
    def _buildable(self) -> TaskChoice:
        try:
            self.build()
        except GradprobeError as error:
            raise ValueError(str(error)) from None
        return self

    def build(self) -> Task:
        """Return the task itself; with the first of the values if it sweeps its options."""
        swept = self.sweep.options if self.sweep is not None else {}
        first = {name: values[0] for name, values in swept.items()}
        return tasks.build(self.name, **{**first, **self.options})


class TaskException(Strict):
    """One table ``[models.on.TASK]``: what differs for a model on the task of that label.

    Attributes
    ----------
    hidden_size
        In place of the model's.
    options, training, published
        Merged key by key over the model's.

    Examples
    --------
    >>> TaskException(hidden_size=196).hidden_size
    196
    """

    hidden_size: Positive | None = None
    options: ModelOptions = Field(default_factory=dict)
    training: TrainingTable | None = None
    published: Published = Published()


class ModelChoice(Choice):
    """One table ``[[models]]``: a model and what it is called in the report.

    Attributes
    ----------
    label
        What the model is called; what it sweeps is appended, or replaces ``{NAME}`` in it.
    name
        One of `gradprobe list models`, or ``MODULE:CELL``, a cell of your own: a class or function
        called CELL in the file MODULE.py, which `gradprobe run` is given by its option ``--cells``.
    hidden_size, num_layers, options
        As for `gradprobe.models.build`.
    only, skip
        Labels of the tasks that it runs on, or does not; all tasks if neither is given.
    training
        What differs from the table ``[training]`` for this model.
    published
        What a paper prints of it.
    on
        Exceptions, by the task's label; their tables are merged key by key over the model's.
    sweep
        Keys of this table to try every value of: sizes, options and keys of the training.

    Examples
    --------
    >>> ModelChoice(label="LSTM", name="lstm", hidden_size=64).num_layers
    1
    """

    name: Annotated[str, AfterValidator(model_name)]
    hidden_size: Positive | None = None
    num_layers: Positive = 1
    options: ModelOptions = Field(default_factory=dict)
    only: Labels | None = None
    skip: Labels = ()
    training: TrainingTable | None = None
    published: Published = Published()
    on: dict[str, TaskException] = Field(default_factory=dict)
    sweep: Annotated[ModelSweep | None, Field(exclude=True)] = None

    def runs_on(self, task: str) -> bool:
        """Return whether the model runs on the task called `task`.

        Parameters
        ----------
        task
            A task's label in the file.
        """
        return task not in self.skip and (self.only is None or task in self.only)
