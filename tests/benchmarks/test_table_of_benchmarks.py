"""The table of reports/benchmarks says what was measured, and which bars were missed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "reports" / "benchmarks" / "rebuild_benchmarks.py"
BENCHMARKS: list[dict[str, Any]] = [
    {
        "name": "test_norms[forwards]",
        "fullname": "tests/benchmarks/test_lstm_speed.py::test_norms[forwards]",
        "extra_info": {
            "seconds": {"subject": 3.0, "gemms_alone": 2.0, "jacrev": 4.0, "jacfwd": 1.0},
            "bars": {"gemms_alone": 1.6, "jacrev": 0.5},
        },
    }
]


@pytest.fixture(name="rebuild")
def load() -> ModuleType:
    specification = importlib.util.spec_from_file_location("rebuild_benchmarks", FILE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_table_holds_every_pair_and_its_verdict(rebuild: ModuleType) -> None:
    table = rebuild.rows(BENCHMARKS)
    assert table["other"].tolist() == ["gemms alone", "jacfwd", "jacrev"]
    assert table["ratio"].tolist() == [1.5, 3.0, 0.75]
    page = rebuild.page(table, {"threads": "1"})
    assert "| lstm speed: norms: forwards | gemms alone | 3 | 2 | 1.50 | 1.6 | met |" in page
    assert "| lstm speed: norms: forwards | jacfwd | 3 | 1 | 3.00 |  |  |" in page
    assert "| lstm speed: norms: forwards | jacrev | 3 | 4 | 0.75 | 0.5 | **missed** |" in page
    assert page.endswith("- threads: 1\n")


def test_the_circumstances_are_known(rebuild: ModuleType) -> None:
    about = rebuild.circumstances()
    assert "torch" in about["versions"]
    assert "clvlib" in about["versions"]
