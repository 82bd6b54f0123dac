"""``gradprobe schema``: what may stand in a study file, for editors and for programs."""

from __future__ import annotations

import json

from gradprobe.command import reported


@reported
def schema() -> None:
    """Print the JSON Schema of a study file, by which editors complete and check it.

    For example: gradprobe schema > study.schema.json, and as the first line of a study file beside
    it: #:schema study.schema.json (Taplo, Even Better TOML and others read that line).
    """
    from gradprobe.study_schema import json_schema  # noqa: PLC0415 - only here is it needed

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
