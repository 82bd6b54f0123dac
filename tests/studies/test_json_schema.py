"""The JSON Schema of study files: what is shipped fits it, and what is wrong does not."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from command_in_process import gradprobe
from study_texts import SMALL_STUDY, SWEPT_STUDY, TRAINED_STUDY

from gradprobe.listing import shipped_study_files
from gradprobe.models.registry import MODELS
from gradprobe.probes.registry import PROBES
from gradprobe.study_schema import json_schema
from gradprobe.tasks.registry import TASKS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def validator() -> Any:
    printed = gradprobe("schema")
    assert printed.exit_code == 0
    found = json.loads(printed.stdout)
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.mark.parametrize("path", shipped_study_files(), ids=lambda path: path.stem)
def test_a_shipped_study_fits(validator: Any, path: Path) -> None:
    assert list(validator.iter_errors(tomllib.loads(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("text", [SMALL_STUDY, TRAINED_STUDY, SWEPT_STUDY])
def test_studies_of_the_tests_fit(validator: Any, text: str) -> None:
    assert list(validator.iter_errors(tomllib.loads(text))) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[grid]", "[grdi]"),
        ("sequences = 2", "seqences = 2"),
        ("seeds = [0, 1]", "seeds = []"),
        ("seeds = [0, 1]", "seeds = [-1]"),
        ("sequences = 2", 'sequences = "2"'),
        ('optimizer = "adagrad"', 'optimizer = "adagrd"'),
        ("iterations = 20", "iteration = 20"),
        ('name = "lstm"', 'name = "lstn"'),
        ('name = "digits_rows"', 'name = "digit_rows"'),
        ("[probes.gradient_norm]", "[probes.gradient_norms]"),
        ("hidden_size = 5", "hiden_size = 5"),
        ("{ test_accuracy = 97.3 }", "{ test_accuracy = 973 }"),
        ('label = "LSTM"', 'label = "LSTM"\nsweep = { options.forget_bias = 1.0 }'),
        ('label = "LSTM"', 'label = "LSTM"\nsweep = { training.iteration = [1] }'),
    ],
)
def test_what_is_wrong_does_not_fit(validator: Any, before: str, after: str) -> None:
    assert before in TRAINED_STUDY
    broken = tomllib.loads(TRAINED_STUDY.replace(before, after))
    assert list(validator.iter_errors(broken))


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("mycells:Leaky", True),
        ("zellen_2:Äußere.innere", True),
        ("mycells.py:Leaky", False),
        ("mycells:", False),
        ("mycells:2", False),
    ],
)
def test_a_cell_of_one_s_own_fits(validator: Any, name: str, fits: bool) -> None:
    text = SMALL_STUDY.replace('name = "lstm"', f'name = "{name}"')
    assert text != SMALL_STUDY
    assert (list(validator.iter_errors(tomllib.loads(text))) == []) is fits


def test_every_key_has_a_description_and_unknown_keys_are_refused() -> None:
    found = json_schema()
    tables = {"Study": found, **found["$defs"]}
    for name, table in tables.items():
        if "properties" not in table:
            continue
        assert table["additionalProperties"] is False, name
        assert table["description"], name
        for key, value in table["properties"].items():
            assert value.get("description"), f"{name}.{key}"
            assert value.get("type") != "null", f"{name}.{key}"


def test_names_are_completed() -> None:
    found = json_schema()
    ours, own = found["$defs"]["ModelChoice"]["properties"]["name"]["anyOf"]
    assert ours == {"enum": list(MODELS)}
    assert list(own) == ["pattern"]
    assert found["$defs"]["TaskChoice"]["properties"]["name"]["enum"] == list(TASKS)
    assert list(found["properties"]["probes"]["properties"]) == list(PROBES)
    assert '"null"' not in json.dumps(found)  # TOML has none
