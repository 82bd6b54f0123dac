"""Whatever stands in a study file, it is either a study or refused with a sentence."""

from __future__ import annotations

import string
import tomllib
from typing import TYPE_CHECKING, Any

import tomlkit
from command_in_process import gradprobe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from study_texts import SMALL_STUDY, SWEPT_STUDY, TRAINED_STUDY

from gradprobe.errors import StudyFileError
from gradprobe.listing import shipped_study_files
from gradprobe.studies.grid import cells
from gradprobe.studies.overrides import overridden, parse_override
from gradprobe.studies.reading import parse_study

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = ("dynamics", "table_2")
TEXTS = [
    SMALL_STUDY,
    TRAINED_STUDY,
    SWEPT_STUDY,
    *(path.read_text("utf-8") for path in shipped_study_files() if path.stem in SHIPPED),
]
KEYS = sorted(
    {
        *(word for text in TEXTS for word in text.replace(".", " ").split() if word.isidentifier()),
        *("sweep", "on", "only", "skip", "published", "threads_per_cell", "probes", "hidden_size"),
        *("", "a b", "ε", "\x7f", "models[0]"),
    }
)
FEW = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# TOML's values, the odd ones among them: huge and non-finite numbers, dates, empty and nested ones.
values = st.recursive(
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-2, 100)
    | st.floats()
    | st.sampled_from(KEYS)
    | st.text(max_size=8).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
    | st.datetimes()
    | st.dates()
    | st.times(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)


def must_be_judged(text: str) -> None:
    """Hold that `text` is a study with cells, or refused in words that name the file."""
    try:
        study = parse_study(text, "fuzzed.toml")
    except StudyFileError as error:
        refusal = str(error)
    else:
        assert len({cell.hash for cell in cells(study)}) == len(cells(study)) > 0
        return
    assert refusal.startswith("fuzzed.toml: ")
    assert "Traceback" not in refusal


def places(table: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every key and entry."""
    if isinstance(table, dict):
        inner = list(table.items())
    elif isinstance(table, list):
        inner = list(enumerate(table))
    else:
        return []
    return [found for key, value in inner for found in [(*path, key), *places(value, (*path, key))]]


@FEW
@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=8))
def test_any_tables_are_judged(tables: dict[str, Any]) -> None:
    must_be_judged(tomlkit.dumps(tables))


@FEW
@given(st.text(max_size=200) | st.text(string.printable, max_size=200))
def test_any_text_is_judged(text: str) -> None:
    must_be_judged(text)


@settings(FEW, max_examples=150)
@given(st.data())
def test_any_value_anywhere_is_judged(data: st.DataObject) -> None:
    tables = tomllib.loads(data.draw(st.sampled_from(TEXTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        found = places(tables)
        *outer, last = data.draw(st.sampled_from(found))
        place: Any = tables
        for part in outer:
            place = place[part]
        if data.draw(st.booleans()):
            place[last] = data.draw(values)
        elif isinstance(place, dict) and data.draw(st.booleans()):
            place[data.draw(st.sampled_from(KEYS))] = place.pop(last)
        else:
            del place[last]
        if not tables:
            break
    must_be_judged(tomlkit.dumps(tables))


@FEW
@given(st.data())
def test_any_cut_of_a_file_is_judged(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TEXTS))
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 40))
    must_be_judged(text[:start] + data.draw(st.text(max_size=3)) + text[start + length :])


@FEW
@given(
    st.lists(st.sampled_from([*KEYS, "models[1]", '"padded"', "models[-1]"]), max_size=4),
    st.text(max_size=12) | st.sampled_from(["3", "[0.1, 1.0]", "{ a = 1 }", "nan", "1e999"]),
)
def test_any_change_is_carried_out_or_refused(keys: list[str], value: str) -> None:
    try:
        change = parse_override(f"{'.'.join(keys)}={value}")
        text = overridden(TRAINED_STUDY, [change], "fuzzed.toml")
    except StudyFileError:
        return
    must_be_judged(text)


def test_nesting_beyond_reason_is_refused() -> None:
    must_be_judged("a = " + "[" * 100_000)
    must_be_judged("a." * 5_000 + "a = 1")
    must_be_judged(SMALL_STUDY.replace("sequences = 2", f"sequences = {'9' * 5_000}"))
    must_be_judged(SMALL_STUDY.replace("forget_bias = 5.0", f"x = {'[' * 300}{']' * 300}"))


def test_the_command_says_it_in_a_sentence_and_ends_with_2(tmp_path: Path) -> None:
    for number, text in enumerate(["", "a =", "\x00", TEXTS[0][:200], "a = " + "[" * 100_000]):
        path = tmp_path / f"{number}.toml"
        path.write_text(text, encoding="utf-8")
        result = gradprobe("run", str(path))
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"gradprobe: error: {path}: ")
