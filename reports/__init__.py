"""Reports: pure functions from finished runs to tables and figures. Nothing here starts a run or reads a benchmark."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from reports.traces import Traces


def write(
    folder: Path,
    runs: pd.DataFrame,
    traces: Traces | Iterable[dict[str, Any]],
    facts: dict[str, Any],
    published: pd.DataFrame | None = None,
    trained: pd.DataFrame | None = None,
) -> list[Path]:
    """Write the report of one protocol into ``folder`` and return the files; see :func:`reports.report.write`."""
    from reports.report import write as write_report  # pandas is imported only when there is something to report

    return write_report(folder, runs, traces, facts, published, trained)
