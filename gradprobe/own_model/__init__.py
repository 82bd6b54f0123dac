"""A user's own model from the command line: found by its name, measured, and summed up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.own_model.finding import find as find
    from gradprobe.own_model.measuring import draw_inputs as draw_inputs
    from gradprobe.own_model.measuring import make as make
    from gradprobe.own_model.measuring import measure as measure
    from gradprobe.own_model.measuring import read_inputs as read_inputs
    from gradprobe.own_model.tables import as_text as as_text
    from gradprobe.own_model.tables import check_table_path as check_table_path
    from gradprobe.own_model.tables import summary as summary
    from gradprobe.own_model.tables import write_table as write_table

_PLACES = {
    "as_text": "gradprobe.own_model.tables",
    "check_table_path": "gradprobe.own_model.tables",
    "draw_inputs": "gradprobe.own_model.measuring",
    "find": "gradprobe.own_model.finding",
    "make": "gradprobe.own_model.measuring",
    "measure": "gradprobe.own_model.measuring",
    "read_inputs": "gradprobe.own_model.measuring",
    "summary": "gradprobe.own_model.tables",
    "write_table": "gradprobe.own_model.tables",
}

__all__ = [
    "as_text",
    "check_table_path",
    "draw_inputs",
    "find",
    "make",
    "measure",
    "read_inputs",
    "summary",
    "write_table",
]

__getattr__ = lazy_names(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted(__all__)
