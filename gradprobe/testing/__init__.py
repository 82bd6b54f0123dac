"""The contract suite for anybody's own cell, in the manner of scikit-learn's `check_estimator`.

Examples
--------
>>> import torch
>>> from gradprobe import testing
>>> testing.check_cell(torch.nn.LSTMCell(2, 3))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.testing.checking import Check as Check
    from gradprobe.testing.checking import check_cell as check_cell
    from gradprobe.testing.checking import checks_of as checks_of

__all__ = ["Check", "check_cell", "checks_of"]

__getattr__ = lazy_names(
    __name__, dict.fromkeys(("Check", "check_cell", "checks_of"), "gradprobe.testing.checking")
)


def __dir__() -> list[str]:
    return sorted(__all__)
