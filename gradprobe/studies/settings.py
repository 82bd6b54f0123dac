"""The settings of a study: each model on each task that it runs on, all exceptions applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradprobe.errors import ArgumentError
from gradprobe.models.cell_files import source_of
from gradprobe.studies.choices import ModelChoice, TaskChoice, TaskException, stated
from gradprobe.training.protocol import TrainingProtocol

if TYPE_CHECKING:
    from gradprobe.studies.schema import Study


@dataclass(frozen=True)
class Setting:
    """A model on a task: what cells share that differ in their seed alone.

    Attributes
    ----------
    study
        The study that both are of.
    model
        The model, with its exceptions for all tasks.
    task
        The task.

    Examples
    --------
    >>> from gradprobe.studies.schema import Study
    >>> study = Study(
    ...     name="example", question="?",
    ...     tasks=[{"label": "digits", "name": "digits_rows"}],
    ...     grid={"seeds": [0], "sequences": 1},
    ...     models=[{
    ...         "label": "GRU", "name": "gru", "hidden_size": 4,
    ...         "published": {"parameters": 100},
    ...         "on": {"digits": {"hidden_size": 8, "published": {"test_accuracy": 97.5}}},
    ...     }],
    ...     probes={"singular_values": {}},
    ... )
    >>> setting, = settings(study)
    >>> setting.model_specification()["hidden_size"], setting.published()
    (8, {'parameters': 100, 'test_accuracy': 97.5})
    """

    study: Study
    model: ModelChoice
    task: TaskChoice

    @property
    def exception(self) -> TaskException:
        """What the model states for this task alone; empty if it states nothing."""
        return self.model.on.get(self.task.family, TaskException())

    def model_specification(self) -> dict[str, Any]:
        """Return the model as it is built on this task, a user's own cell with its source."""
        source = source_of(self.model.name, self.study.cell_files)
        return {
            "name": self.model.name,
            "hidden_size": self.exception.hidden_size or self.model.hidden_size,
            "num_layers": self.model.num_layers,
            "options": {**self.model.options, **self.exception.options},
            **({} if source is None else {"source": source}),
        }

    def published(self) -> dict[str, Any]:
        """Return what is published of the model on this task."""
        tables = (self.task, self.model, self.exception)
        return {key: value for table in tables for key, value in stated(table.published).items()}

    def stated_training(self) -> dict[str, Any] | None:
        """Return the keys that the file states for this training; None if nothing is trained.

        The study's table comes first, then the task's, the model's, and the exception's; a key of a
        later one replaces that of an earlier one.
        """
        if self.study.training is None:
            return None
        tables = (self.study, self.task, self.model, self.exception)
        return {key: value for table in tables for key, value in stated(table.training).items()}

    def protocol(self) -> TrainingProtocol | None:
        """Return the checked protocol of this training; None if nothing is trained.

        Raises
        ------
        pydantic.ValidationError
            The tables do not make a protocol together.
        """
        keys = self.stated_training()
        return None if keys is None else TrainingProtocol.model_validate(keys)


def settings(study: Study) -> list[Setting]:
    """Return the settings of `study`, task by task, the models of one in the file's order.

    Parameters
    ----------
    study
        A checked study, its sweeps carried out, as `gradprobe.studies.load_study` returns it.

    Raises
    ------
    ArgumentError
        Its sweeps are not carried out.
    """
    swept = [*(model.sweep for model in study.models), *(task.sweep for task in study.tasks)]
    if study.sweep or any(swept):
        raise ArgumentError(
            "expected a study whose sweeps are carried out: read it by load_study or parse_study, "
            "or pass it through gradprobe.studies.expansion.expanded"
        )
    return [
        Setting(study, model, task)
        for task in study.tasks
        for model in study.models
        if model.runs_on(task.family)
    ]
