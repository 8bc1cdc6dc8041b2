"""Where the pages of a report are: its folder, and its page of runs with some runs chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from harness.analysis.evidence import Page
from harness.analysis.study import Study
from reports.layout import PAGE, Linked

RUNS = "runs.html"


def folder(page: Page) -> str:
    """Return the name of the folder of a report: its protocol, with the changes of it."""
    return re.sub(r"[^\w.]+", "-", f"{page.protocol} {page.modified}".strip()).strip("-")


def of_runs(**chosen: Sequence[str]) -> str:
    """Return the address of the runs that have one of some values in every named column, from the folder of their report."""
    pairs = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, values in chosen.items() for value in values]
    return f"{RUNS}#{'&'.join(pairs)}"


def linked(text: str, pages: Mapping[str, str], study: Study | None, benchmark: str = "", *rows: str) -> str:
    """Return a text that leads to the report of a study, or to its runs of some rows; the text alone without a report.

    Args:
        pages: by name of a report's folder its address, relative to the page that has the text.
    """
    address = pages.get(folder(study.page)) if study else None
    if study is None or address is None:
        return text
    runs = of_runs(method=[study.label(row) for row in rows], benchmark=[benchmark])
    return Linked(text, f"{address}/{runs if rows else PAGE}")
