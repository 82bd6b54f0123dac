"""The files and the table that a check writes: well-formed, complete, and nothing gets through."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree as ET

import pytest

from gradprobe.gate import Baseline, Comparison, FailOn, Measured, Verdict, compare
from gradprobe.gate.directions import Worse
from gradprobe.gate.metric import Metric, Name
from gradprobe.gate.outputs.history import history
from gradprobe.gate.outputs.junit import junit
from gradprobe.gate.outputs.markdown import MOST_ROWS, markdown
from gradprobe.gate.outputs.terminal import print_comparison

# What the schema junit-10.xsd of Jenkins' xUnit plugin says of each element that we write: the
# attributes that it must have, those that it may have besides, and its children.
SCHEMA = {
    "testsuites": ((), ("name", "time", "tests", "failures", "errors"), ("testsuite",)),
    "testsuite": (
        ("name", "tests", "failures", "errors"),
        (
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ),
        ("testsuite", "properties", "testcase", "system-out", "system-err"),
    ),
    "testcase": (
        ("name",),
        ("time", "classname", "group"),
        ("skipped", "error", "failure", "system-out", "system-err"),
    ),
    "failure": ((), ("type", "message"), ()),
    "error": ((), ("type", "message"), ()),
    "skipped": ((), ("type", "message"), ()),
}
HOSTILE = (
    "<script>alert(1)</script> | `a` **b** ]]> & \n \x00 \x1b[31m \ud800 \u202e"
    " [x](http://y) ::error::"
)


def metric(model: str, worse: Worse, value: float | None, length: int = 8) -> Metric:
    name = Name(model, "digits", length, 0, "p", "q", "end_to_end", "state", "at the end")
    return Metric.of(name, {0: value}, worse, 1e-5)


def everything() -> tuple[Comparison, Baseline, Measured]:
    """Return a comparison with every verdict in it, of models with hostile names."""
    cases = [
        (Worse.HIGHER, 1.0, 2.0),
        (Worse.NEITHER, 1.0, 2.0),
        (Worse.HIGHER, 1.0, None),
        (Worse.HIGHER, 2.0, float("-inf")),
        (Worse.HIGHER, None, None),
        (Worse.HIGHER, 1.0, 1.0),
    ]
    sides: list[list[Metric]] = [[], []]
    for place, (worse, *values) in enumerate(cases):
        for side, value in zip(sides, values, strict=True):
            side.append(metric(f"{place} {HOSTILE}", worse, value))
    approved, now = (Measured(HOSTILE, {}, (0,), side) for side in sides)
    baseline = Baseline.of(approved)
    comparison = compare(baseline, now)
    return Comparison(comparison.findings, (HOSTILE,), comparison.method), baseline, now


def check_schema(element: ET.Element) -> None:
    needed, allowed, children = SCHEMA[element.tag]
    assert set(needed) <= set(element.attrib) <= {*needed, *allowed}, element.tag
    for child in element:
        assert child.tag in children, (element.tag, child.tag)
        check_schema(child)


@pytest.mark.parametrize("fail_on", FailOn)
def test_junit_keeps_the_schema_and_counts_right(fail_on: FailOn) -> None:
    text = junit(everything()[0], fail_on)
    text.encode("utf-8")
    assert text.startswith("<?xml version='1.0' encoding='UTF-8'?>")
    root = ET.fromstring(text)  # noqa: S314 - written above
    check_schema(root)
    for suite in root:
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[count]) == len(suite.findall(f"testcase/{tag}"))
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    failures = 1 if fail_on is FailOn.REGRESSION else 2
    assert root.attrib["failures"] == str(failures)
    assert root.attrib["errors"] == "2"  # the obstacle, and the metric that is unresolved now
    assert root.attrib["tests"] == "7"
    assert next(root.iter("failure")).attrib["type"] == "regression"


def test_junit_of_a_pass_has_no_failure_and_of_nothing_has_an_error() -> None:
    one = Measured("", {}, (0,), [metric("GRU", Worse.HIGHER, 1.0)])
    passed = ET.fromstring(junit(compare(Baseline.of(one), one), FailOn.CHANGED))  # noqa: S314
    assert (passed.attrib["failures"], passed.attrib["errors"]) == ("0", "0")
    nothing = ET.fromstring(junit(Comparison((), (), ""), FailOn.CHANGED))  # noqa: S314
    check_schema(nothing)
    assert nothing.attrib["errors"] == "1"


def test_markdown_shows_every_name_as_it_is_and_nothing_of_it_acts() -> None:
    text = markdown(everything()[0], FailOn.REGRESSION, f"gradprobe report '{HOSTILE}'")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 4
    assert {line.count("|") for line in table} == {8}
    body = text.replace("gradprobe report", "")
    for acting in ("<script", "](", "**b**", "\x1b", "\x00", "\ud800"):
        assert acting not in body.rsplit("To look", 1)[0]
    assert "script&gt;alert" in body
    assert text.startswith("## gradprobe: FAILED\n\n1 regression, 1 changed, 1 not comparable")
    assert table[2].startswith("| **regression** |")


def test_markdown_says_how_many_rows_it_leaves_out() -> None:
    count = MOST_ROWS + 5
    sides = (
        Measured("", {}, (0,), [metric("GRU", Worse.HIGHER, value, n) for n in range(count)])
        for value in (1.0, 2.0)
    )
    approved, now = sides
    text = markdown(compare(Baseline.of(approved), now), FailOn.REGRESSION, "gradprobe report r")
    assert text.count("| **regression** |") == MOST_ROWS
    assert f"And 5 more, of {count}" in text
    assert len(text.encode()) < 2**20


def test_the_terminal_table_has_every_metric_that_is_not_as_approved() -> None:
    stream = io.StringIO()
    print_comparison(everything()[0], FailOn.REGRESSION, stream)
    text = stream.getvalue()
    text.encode("utf-8")
    assert "\x1b" not in text
    assert "\x00" not in text
    rows = [line for line in text.splitlines() if line.startswith("│")]
    verdicts = [row.split("│")[1].strip() for row in rows]
    assert [one for one in verdicts if one] == [
        "regression",
        "changed",
        "not comparable",
        "improved",
    ]
    assert text.splitlines()[-1].startswith("FAILED: 1 regression, 1 changed")


def test_the_history_has_every_finding_and_no_number_that_json_lacks() -> None:
    comparison, baseline, measured = everything()
    text = history(comparison, FailOn.REGRESSION, baseline, measured)
    content = json.loads(text, parse_constant=pytest.fail)
    assert content["exit_code"] == 1
    assert len(content["findings"]) == 6
    assert content["counts"]["regression"] == 1
    assert {one["verdict"] for one in content["findings"]} == {one.value for one in Verdict}
    improved = next(one for one in content["findings"] if one["verdict"] == "improved")
    assert improved["measured"] == "-inf"
