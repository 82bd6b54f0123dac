"""Baseline files: small, sorted, the same each time; and what is wrong with others is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gate_results import store

from gradprobe import gate
from gradprobe.errors import BaselineError, NotComparableError
from gradprobe.gate.baseline import parse_baseline
from gradprobe.gate.directions import Worse
from gradprobe.gate.example import NAME, metric
from gradprobe.gate.metric import Metric

if TYPE_CHECKING:
    from collections.abc import Callable


def content() -> dict[str, Any]:
    one = metric({0: -1.0, 1: float("-inf"), 2: None})
    measured = gate.Measured("study", {"GRU": {"digits": "a"}}, (0, 1, 2), [one])
    loaded: dict[str, Any] = json.loads(gate.Baseline.of(measured).text())
    return loaded


def test_a_file_says_zeros_infinities_and_what_is_unresolved() -> None:
    (line,) = content()["metrics"]
    assert line["values"] == {"0": -1.0, "1": "-inf", "2": None}
    assert line["median"] == "-inf"
    assert line["worse"] == "farther from 0"


def test_a_file_has_a_line_for_each_metric_in_the_order_of_their_names(
    baseline_file: Path,
) -> None:
    text = baseline_file.read_text()
    baseline = gate.read_baseline(baseline_file)
    lines = [line for line in text.splitlines() if '"quantity"' in line]
    assert len(lines) == len(baseline.metrics) == 28
    names = [one.name.order() for one in baseline.metrics]
    assert names == sorted(names)
    assert baseline.text() == text
    assert len(text) < 20_000


def test_the_study_counts_for_the_hash_but_not_its_seeds(
    tmp_path: Path, approved_results: Path
) -> None:
    hashes = [
        gate.Baseline.of(gate.read_measured(folder)).hash
        for folder in (approved_results, store(tmp_path / "one", [7]))
    ]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda file: file.pop("hash"), "hash: Field required"),
        (lambda file: file.update(extra=1), "extra: Extra inputs are not permitted"),
        (lambda file: file.update(hash="0" * 64), "hash is not that of settings"),
        (
            lambda file: file["settings"].update(LSTM={"digits": "b"}),
            "hash is not that of settings",
        ),
        (lambda file: file["metrics"].clear(), "at least 1 item"),
        (lambda file: file.pop("metrics"), "it has no metrics"),
        (lambda file: file["metrics"].append(file["metrics"][0]), "stands in it twice"),
        (lambda file: file["metrics"][0].update(median=-1.0), "median is not that of values"),
        (lambda file: file["metrics"][0].update(tolerance=0), "greater than 0"),
        (lambda file: file["metrics"][0].update(tolerance="wide"), "valid number"),
        (lambda file: file["metrics"][0].update(worse="bigger"), "'farther from 0'"),
        (lambda file: file["metrics"][0]["values"].update({"0": "small"}), '"-inf", "inf" or null'),
        (lambda file: file["metrics"][0]["values"].update({"0": True}), '"-inf", "inf" or null'),
        (lambda file: file["metrics"][0]["values"].update({"x": 1.0}), "valid integer"),
        (lambda file: file["metrics"][0]["values"].update({"9": None}), "seed 9"),
        (lambda file: file.update(seeds=[]), "at least 1 item"),
        (lambda file: file.update(metrics=7), "metrics"),
    ],
)
def test_an_edited_file_is_refused_and_the_message_says_why(
    edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    file = content()
    edit(file)
    with pytest.raises(BaselineError) as caught:
        parse_baseline(json.dumps(file), "approved.json")
    assert str(caught.value).startswith("approved.json: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"metrics": [], "metrics": []}', "the key 'metrics' is repeated"),
        ('{"metrics": NaN}', "NaN is not a number"),
        ("[]", "is not a baseline"),
        ('"metrics"', "is not a baseline"),
    ],
)
def test_what_is_no_baseline_is_refused(text: str, message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        parse_baseline(text, "approved.json")


def test_a_file_that_is_no_text_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BaselineError, match="UTF-8"):
        gate.read_baseline(tmp_path / "bytes.json")
    with pytest.raises(BaselineError, match="cannot be read"):
        gate.read_baseline(tmp_path)


def test_a_file_of_another_format_is_not_comparable() -> None:
    with pytest.raises(NotComparableError, match="has format 2"):
        parse_baseline(json.dumps({**content(), "format": 2}), "approved.json")


def test_a_tolerance_may_be_edited() -> None:
    file = content()
    file["metrics"][0]["tolerance"] = 0.25
    assert parse_baseline(json.dumps(file), "approved.json").metrics[0].tolerance == 0.25


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    baseline = parse_baseline(json.dumps(content()), "approved.json")
    with pytest.raises(BaselineError, match="cannot be written"):
        gate.write_baseline(baseline, tmp_path / "missing" / "approved.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BaselineError, match="cannot be written"):
        gate.write_baseline(baseline, tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_names_with_every_kind_of_character_come_back() -> None:
    hostile = '<script>|`\n\x00\u202e"\\ ε'
    one = Metric.of(NAME._replace(model=hostile), {0: 1.0}, Worse.HIGHER, 1e-5)
    measured = gate.Measured(hostile, {hostile: {"digits": "a"}}, (0,), [one])
    baseline = gate.Baseline.of(measured)
    assert parse_baseline(baseline.text(), "approved.json") == baseline


def test_half_a_result_is_not_approved(tmp_path: Path) -> None:
    folder = store(tmp_path / "half", [0, 1], skipped=[1])
    with pytest.raises(NotComparableError, match="not finished at seed 1"):
        gate.Baseline.of(gate.read_measured(folder))
