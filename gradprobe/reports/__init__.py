"""Reports: figures, tables and one HTML file from stored results; torch is never imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.reports import figures as figures
    from gradprobe.reports.page import build_report as build_report
    from gradprobe.reports.writing import write_report as write_report

__all__ = ["build_report", "figures", "write_report"]

__getattr__ = lazy_names(
    __name__,
    {
        "figures": "",
        "build_report": "gradprobe.reports.page",
        "write_report": "gradprobe.reports.writing",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
