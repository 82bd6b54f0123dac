"""A fixture for pytest: hold a model's gradients to a baseline that lies beside the test.

It is loaded into everybody's pytest, so it imports nothing until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gradprobe.pytest_check import ModelCheck

OPTION = "--gradprobe-update"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that approves.

    Parameters
    ----------
    parser
        Of pytest.
    """
    parser.getgroup("gradprobe").addoption(
        OPTION,
        action="store_true",
        help="approve what gradprobe_check measures: write the baselines beside the tests",
    )


@pytest.fixture
def gradprobe_check(request: pytest.FixtureRequest) -> ModelCheck:
    """Return a function that holds a model to its baseline.

    ``gradprobe_check(model, inputs, probes=..., lengths=...)``, see
    `gradprobe.pytest_check.ModelCheck`.  The baseline of ``tests/test_cell.py::test_gradients``
    is ``tests/test_cell/test_gradients.json``; ``pytest --gradprobe-update`` writes it.
    """
    from gradprobe.pytest_check import ModelCheck  # noqa: PLC0415 - imports torch

    return ModelCheck(
        folder=request.path.with_suffix(""),
        test=request.node.name,
        update=bool(request.config.getoption(OPTION)),
        drawings=lambda: request.getfixturevalue("tmp_path"),
    )
