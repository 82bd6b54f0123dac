"""The JSON Schema of a study file, for editors: what may stand where, and what it means."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from gradprobe.listing import summaries
from gradprobe.models.registry import MODELS
from gradprobe.probes.registry import PROBES
from gradprobe.studies import choices, schema, sweeps
from gradprobe.tasks.registry import TASKS
from gradprobe.training.protocol import TrainingProtocol

if TYPE_CHECKING:
    from pydantic import BaseModel

ADDRESS = "https://json-schema.org/draft/2020-12/schema"
REGISTRIES = {"TaskChoice": TASKS, "ModelChoice": MODELS}
OWN_NAME = r"^[^\W\d]\w*:[^\W\d]\w*(\.[^\W\d]\w*)*$"
UNDERLINE = re.compile(r"^-+$")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file, with a description of every key.

    The descriptions are those of the classes' own documentation.  A file that breaks this schema is
    refused by `gradprobe.studies.load_study`; the reverse is not true, since what tables must be
    together, and what options a model has, is checked only there.

    Examples
    --------
    >>> json_schema()["properties"]["question"]["description"]
    'What is asked, in one sentence.'
    """
    found = schema.Study.model_json_schema()
    definitions: dict[str, dict[str, Any]] = found.pop("$defs")
    tables = {name: each for name, each in definitions.items() if "properties" in each}
    for name, definition in tables.items():
        _describe(definition, _class_of(name))
        _name_choices(definition, REGISTRIES.get(name, {}), own=name == "ModelChoice")
    _describe(found, schema.Study)
    definitions["TaskChoice"]["required"].remove("label")  # the name, if it is not given
    _require_sizes(definitions["ModelChoice"])
    found["properties"]["probes"] = _probes(found["properties"]["probes"])
    title = "A study of gradprobe"
    whole = {"$schema": ADDRESS, **found, "title": title, "$defs": definitions}
    cleaned: dict[str, Any] = _without_null(whole)
    return cleaned


def _class_of(name: str) -> type[BaseModel]:
    if name == "TrainingTable":
        return TrainingProtocol  # the keys are its own
    found: type[BaseModel] = next(
        getattr(module, name) for module in (choices, schema, sweeps) if hasattr(module, name)
    )
    return found


def _describe(definition: dict[str, Any], table: type[BaseModel]) -> None:
    """Put the documentation of `table` into its definition, and that of every key."""
    text = inspect.cleandoc(table.__doc__ or "")
    definition["description"] = text.partition("\n")[0].replace("``", "")
    definition.pop("title", None)
    keys = _attributes(text)
    if table is sweeps.TrainingSweep:
        keys = _attributes(inspect.cleandoc(TrainingProtocol.__doc__ or ""))
    for name, key in definition["properties"].items():
        key.pop("title", None)
        if name in keys:
            key["description"] = keys[name]


def _attributes(text: str) -> dict[str, str]:
    r"""Return the descriptions of a documentation's section ``Attributes``, by name.

    Examples
    --------
    >>> _attributes("A.\n\nAttributes\n----------\na, b\n    Two\n    numbers.\n\nExamples")
    {'a': 'Two numbers.', 'b': 'Two numbers.'}
    """
    _, _, section = text.partition("\nAttributes\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if UNDERLINE.match(line):
            continue
        if not line.strip():
            break
        if not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
            continue
        for name in names:
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return {name: words.replace("``", "").replace("`", "") for name, words in found.items()}


def _name_choices(definition: dict[str, Any], registry: dict[str, str], *, own: bool) -> None:
    """List the names of a registry, each with its line, where one of them is to be chosen.

    Where a name may also be a user's own, ``MODULE:CELL``, it is one of the two.
    """
    if registry:
        told = summaries(registry)
        key = definition["properties"]["name"]
        names: dict[str, Any] = {"enum": list(registry)}
        key.update({"anyOf": [names, {"pattern": OWN_NAME}]} if own else names)
        lines = "\n".join(f"- {name}: {line}" for name, line in told.items())
        key["description"] = f"{key.get('description', '')}\n\n{lines}".strip()


def _require_sizes(definition: dict[str, Any]) -> None:
    """Let a model have a size, or sweep it; the study may sweep it for all, which is not seen."""
    definition["properties"]["hidden_size"]["description"] += (
        "  Required, unless a table sweep holds it."
    )


def _probes(key: dict[str, Any]) -> dict[str, Any]:
    """List the probes by name, each a table of its options."""
    table = {"type": "object"}
    told = {name: {**table, "description": line} for name, line in summaries(PROBES).items()}
    return {
        "type": "object",
        "description": key["description"],
        "properties": told,
        "additionalProperties": False,
    }


def _without_null(value: Any) -> Any:
    """Return a schema without null, which TOML does not have."""
    if isinstance(value, list):
        return [_without_null(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _without_null(each)
        for key, each in value.items()
        if not (key == "default" and each is None)
    }
    alternatives = kept.get("anyOf")
    if isinstance(alternatives, list):
        kept["anyOf"] = [each for each in alternatives if each != {"type": "null"}]
        if len(kept["anyOf"]) == 1:
            (only,) = kept.pop("anyOf")
            return {**only, **kept}
    return kept
