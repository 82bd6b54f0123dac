"""JUnit XML as Jenkins and GitLab read it: a suite for a model on a task, a case for a metric.

The format is that of the schema ``junit-10.xsd`` of Jenkins' xUnit plugin.
"""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree as ET

from gradprobe.gate.findings import Comparison, FailOn, Finding, Verdict
from gradprobe.reports.numbers import printable

_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
GATE = "gradprobe"


def junit(comparison: Comparison, fail_on: FailOn) -> str:
    """Return the findings as JUnit XML.

    What lets the check fail is a ``failure``, what cannot be compared an ``error``, what is not
    resolved ``skipped``.  A check that is not a pass has a failure or an error at least.

    Parameters
    ----------
    comparison, fail_on
        What was found, and what lets the check fail.

    Examples
    --------
    >>> xml = junit(Comparison((), (), ""), FailOn.REGRESSION)
    >>> 'errors="1"' in xml
    True
    """
    root = ET.Element("testsuites", name=GATE)
    obstacles = list(comparison.obstacles)
    if not obstacles and not comparison.findings:
        obstacles.append("nothing was compared")
    _suite(root, GATE, [_obstacle(text) for text in obstacles] or [_case(GATE, "comparison")])
    for place, findings in groupby(comparison.findings, key=lambda finding: finding.name.place):
        _suite(root, place, [_finding(finding, fail_on) for finding in findings])
    for attribute in ("tests", "failures", "errors"):
        total = sum(int(suite.attrib[attribute]) for suite in root)
        root.set(attribute, str(total))
    ET.indent(root)
    return (
        ET.tostring(root, encoding="unicode", xml_declaration=True)
        .replace("encoding='us-ascii'", "encoding='UTF-8'")
        .replace("encoding='utf-8'", "encoding='UTF-8'")
        + "\n"
    )


def _suite(root: ET.Element, name: str, cases: list[ET.Element]) -> None:
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    attributes = {key: str(count) for key, count in counts.items()}
    ET.SubElement(root, "testsuite", {"name": _clean(name), **attributes}).extend(cases)


def _case(suite: str, name: str) -> ET.Element:
    return ET.Element("testcase", classname=_clean(f"{GATE}.{suite}"), name=_clean(name), time="0")


def _obstacle(text: str) -> ET.Element:
    case = _case(GATE, text)
    ET.SubElement(case, "error", type="not comparable", message=_clean(text)).text = _clean(text)
    return case


def _finding(finding: Finding, fail_on: FailOn) -> ET.Element:
    name = finding.name
    title = f"{name.when}: {name.what}" if name.when else name.what
    case = _case(name.place, title)
    if fail_on.fails(finding.verdict):
        kind = "failure"
    elif finding.verdict is Verdict.NOT_COMPARABLE:
        kind = "error"
    elif finding.verdict is Verdict.UNRESOLVED:
        kind = "skipped"
    else:
        return case
    message = _clean(finding.message)
    ET.SubElement(case, kind, type=finding.verdict.value, message=message).text = _clean(
        f"{name}: {finding.message}"
    )
    return case


def _clean(text: str) -> str:
    """Return `text` with what XML cannot hold made visible."""
    return _REFUSED.sub("\N{REPLACEMENT CHARACTER}", printable(text))
