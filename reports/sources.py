"""Where the papers print a number, in words that cite the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, isnan

from harness.analysis import cell_errors
from harness.analysis.names import target_name
from harness.analysis.published import CITATIONS, PAPERS, Line, place
from harness.analysis.study import Study
from reports.formats import number, spread
from reports.layout import Cited


def cited(text: str, lines: Sequence[Line]) -> Cited:
    """Return a text that cites the papers of some lines."""
    return Cited(text, list(dict.fromkeys(CITATIONS[line["paper"]] for line in lines)))


def method(study: Study, row: str, remark: str = "") -> Cited:
    """Return the label of a row and a remark, citing the papers of its method."""
    return Cited(study.label(row) + remark, study.page.citations.get(row.partition("[")[0], ()))


def source(line: Line) -> str:
    """Return where a line is printed and how its n is known, such as ``GAEA T2, n = 500 assumed``."""
    n = "not printed" if isnan(line["n"]) else f"= {line['n']:.0f}" + " assumed" * (line["n_source"] != "printed")
    return f"{PAPERS[line['paper']]} {place(line['table'])}, n {n}"


def of_row(study: Study, benchmark: str, row: str) -> Cited:
    """Return where a row's numbers are printed, once if all targets share it; empty if no paper prints the row."""
    lines = {target: line for target in study.targets(benchmark) if (line := study.lines.get((benchmark, row, target)))}
    texts = {target: source(line) for target, line in lines.items()}
    if len(set(texts.values())) > 1:
        return cited("; ".join(f"{target_name(target)}: {text}" for target, text in texts.items()), [*lines.values()])
    return cited(next(iter(texts.values()), ""), [*lines.values()])


def of_cells(study: Study, benchmark: str, data: str, set_number: int = 1) -> Mapping[str, Cited]:
    """Return by row the papers' numbers of its cell on a data set, see :func:`harness.analysis.cell_errors.lines`."""
    return {row: of_lines(lines) for row, lines in cell_errors.lines(study, benchmark, data, set_number).items()}


def of_lines(lines: Sequence[Line]) -> Cited:
    """Return the errors of lines, each with parameters, search cost and source in brackets."""
    return cited(" / ".join(dict.fromkeys(map(_of_cell, lines))), lines)


def of_top5(study: Study, benchmark: str, data: str) -> Mapping[str, Cited]:
    """Return by row the papers' top-5 errors of its cell on a data set, in percent."""
    by_row = cell_errors.lines(study, benchmark, data, metric="top5_error_pct")
    texts = {row: dict.fromkeys(spread(line["mean"], line["std"]) for line in lines) for row, lines in by_row.items()}
    return {row: cited(" / ".join(texts[row]), lines) for row, lines in by_row.items()}


def _of_cell(line: Line) -> str:
    size = f"{number(line['params_M'], 2)} M" if isfinite(line["params_M"]) else ""
    cost = f"{line['search_cost']:g} {line['cost_unit']}" if isfinite(line["search_cost"]) else ""
    return f"{spread(line['mean'], line['std'])} ({'; '.join(filter(None, (size, cost, source(line))))})"
