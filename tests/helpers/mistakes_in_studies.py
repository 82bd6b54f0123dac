"""How a mistake in a study file is to be told."""

from __future__ import annotations

import re

import pytest

from gradprobe.errors import StudyFileError
from gradprobe.studies.reading import parse_study

LINE = re.compile(r"^line \d+: ")


def assert_told(expected: str, study: str, before: str, after: str) -> None:
    """Assert that `study` with `after` in place of `before` is refused in the words `expected`."""
    assert before in study
    with pytest.raises(StudyFileError) as caught:
        parse_study(study.replace(before, after), "broken.toml")
    first, *others = str(caught.value).splitlines()
    mistakes = [line.strip() for line in others] or [first.removeprefix("broken.toml: ")]
    assert first.startswith("broken.toml: ")
    told = [mistake for mistake in mistakes if expected in mistake]
    assert told, mistakes
    # The key comes first, after its line; a key of the file that is missing has none.
    assert LINE.match(told[0]) or told[0] == "grid: missing; this key is required"
