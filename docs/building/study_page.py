"""The page of the study file: every table and key, from the schema that checks them."""

from __future__ import annotations

import inspect
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from gradprobe.studies import choices, schema
from gradprobe.training.protocol import TrainingProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGINNING = """\
# The study file

A study file is TOML.  The files in `studies/` of the repository are examples, such as
[gradient_decay.toml](../studies/gradient_decay.toml); `gradprobe list studies` lists those that are
installed.  An unknown key, a wrong type or a wrong name is refused with a message that says which
key, what was expected and what was got.

What follows is made from the schema itself.
"""
NAMED = re.compile(r"^(\w[\w, ]*)$\n((?:    .*\n|\n)+)", flags=re.MULTILINE)


def documented_keys(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a table and of its bases say of each key.

    Parameters
    ----------
    model
        A table of the schema.

    Examples
    --------
    >>> documented_keys(schema.Grid)["split"]
    'Which examples the probes read.'
    """
    told: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        section = (inspect.getdoc(kind) or "").partition("Attributes\n----------\n")[2]
        section = re.split(r"\n\n\w+\n-+\n", section)[0] + "\n"
        for names, text in NAMED.findall(section):
            told.update(dict.fromkeys(names.split(", "), " ".join(text.split())))
    for name in set(model.model_fields) - set(told):
        elsewhere = [f"`{other}`" for other, text in told.items() if f"`{name}`" in text]
        if elsewhere:
            told[name] = f"See {', '.join(elsewhere)}."
    return told


def tables() -> Iterator[tuple[type[BaseModel], dict[str, Any]]]:
    """Yield every table of a study file and its JSON schema, the study itself first."""
    whole = schema.Study.model_json_schema()
    yield schema.Study, whole
    for name, definition in whole.get("$defs", {}).items():
        if name in _named_tables(whole):
            yield _class_of(name), definition


def _named_tables(whole: dict[str, Any]) -> set[str]:
    return {name for name, of in whole.get("$defs", {}).items() if "properties" in of}


def _class_of(name: str) -> type[BaseModel]:
    if name == "TrainingTable":  # its keys are those of the protocol, each of them optional
        return TrainingProtocol
    for module in (choices, schema, *_others()):
        found = getattr(module, name, None)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    raise LookupError(f"no class of the schema is called {name}")


def _others() -> list[Any]:
    return [module for name, module in sys.modules.items() if name.startswith("gradprobe.studies.")]


def page() -> str:
    """Return the page."""
    return "\n".join([BEGINNING, *(_section(*table) for table in tables())])


def _section(model: type[BaseModel], definition: dict[str, Any]) -> str:
    told, required = documented_keys(model), set(definition.get("required", ()))
    first = (inspect.getdoc(model) or "").partition("\n")[0]
    rows = [
        f"| `{name}` | {_type(key)} | {_default(name, key, required)} | "
        f"{_cell(key.get('description') or told.get(name, ''))} |"
        for name, key in definition["properties"].items()
    ]
    return "\n".join(
        [
            f"## {model.__name__}\n\n{first}\n",
            "| key | type | default | meaning |\n|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _default(name: str, key: dict[str, Any], required: set[str]) -> str:
    if name in required:
        return "required"
    default = key.get("default")
    if default in (None, "", {}, []):
        return "none"
    if isinstance(default, dict):
        return "an empty table"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _type(key: dict[str, Any]) -> str:
    if "$ref" in key:
        name = key["$ref"].rpartition("/")[2]
        if name == "JsonValue":
            return "any value"
        shown = _class_of(name).__name__
        return f"table [{shown}](#{shown.lower()})"
    if "enum" in key:
        return ", ".join(f"`{json.dumps(value)}`" for value in key["enum"])
    if "const" in key:
        return f"`{json.dumps(key['const'])}`"
    if "anyOf" in key:
        kinds = [_type(kind) for kind in key["anyOf"] if kind.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    return _plain_type(key)


def _plain_type(key: dict[str, Any]) -> str:
    kind = key.get("type", "any value")
    if kind == "array":
        return f"list of {_type(key.get('items', {}))}"
    if kind == "object":
        of = key.get("additionalProperties")
        return f"table of {_type(of)}" if isinstance(of, dict) and of else "table"
    return f"{kind}{_bounds(key)}"


def _bounds(key: dict[str, Any]) -> str:
    signs = {
        "exclusiveMinimum": ">",
        "minimum": "≥",
        "exclusiveMaximum": "<",
        "maximum": "≤",
    }
    told = [f"{sign} {key[name]}" for name, sign in signs.items() if name in key]
    return f" {', '.join(told)}" if told else ""


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("``", "`")
