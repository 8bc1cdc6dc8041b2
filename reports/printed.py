"""Our test accuracies next to the papers': the table of the page, and a narrow one to print."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis import reference
from harness.analysis.names import target_name
from harness.analysis.pairs import LEVEL, Comparison
from harness.analysis.study import Study
from harness.analysis.verdict import LETTERS, NOT_MEASURED, VERDICTS, Verdict, margin_of
from reports import coverage, ranked, sources, tables
from reports.formats import MISSING, number, spread, with_interval
from reports.layout import MARK, Bold, Cited, Column, Table

PRINTED = "not run here"
DIFFERENCE = "Δ [95 %]"
METHOD, RUNS = Column("method", right=False), Column("runs")


def table(study: Study, benchmarks: Sequence[str], narrow: bool = False) -> Table:
    """Return rows by group; per benchmark and target our mean, a mark, and the published mean.

    Args:
        narrow: print a reference instead of the differences, the places of the numbers, and the verdicts.
    """
    places = [(name, target) for name in benchmarks for target in study.targets(name)]
    published = {place for place in places if any(key[::2] == place for key in study.lines)}
    compared = {name: reference.comparisons(study, name) for name in benchmarks}
    lines: list[tuple[str | bool, dict[Column, str]]] = []
    for group, rows in _groups(study, benchmarks).items():
        for row in rows:
            cells: dict[Column, str] = {
                METHOD: study.label(row) if narrow else sources.method(study, row),
                RUNS: _runs(study, benchmarks, row),
            }
            for name, target in places:
                head = _head(study, benchmarks, name, target)
                cells[Column("ours", head)] = _ours(study, name, row, target)
                cells[Column(MARK, head, right=False)] = _mark(study, name, row, target, compared[name][target])
                if (name, target) in published:
                    line = study.lines.get((name, row, target))
                    cells[Column("published", head)] = spread(line["mean"], line["std"]) if line else ""
                    cells |= {} if narrow else {Column(DIFFERENCE, head): _difference(study, name, row, target)}
            if published:
                source = next(filter(None, (sources.of_row(study, name, row) for name in benchmarks)), Cited(""))
                cells[Column("ref." if narrow else "published in", right=False)] = Cited("" if narrow else source, source.keys)
                cells |= {} if narrow else {Column("row verdict", right=False): _verdict(study, benchmarks[0], row)}
            lines.append((group if row == rows[0] else "", cells))
    best = {METHOD: "Optimal"}
    for name, target in places:
        head = _head(study, benchmarks, name, target)
        best[Column("ours", head)] = number(study.of_target("optimum", name, target))
        best[Column("published", head)] = number(study.printed_optimum.get(target))
    columns = list(lines[0][1]) if lines else [METHOD]
    runs = {cells[RUNS] for _, cells in lines} - {"0"}
    if narrow and lines and len(runs) == 1:
        columns.remove(RUNS)
    results = Table(_caption(study, benchmarks, " or ".join(sorted(runs)) or "finished", bool(published), narrow), columns)
    known = {text for column in columns[1:] if (text := best.get(column, MISSING)) != MISSING}
    for rule, cells in [*lines, *([(True, best)] if known else [])]:
        results.add([cells.get(column, "") for column in columns], rule)
    return results


def _head(study: Study, benchmarks: Sequence[str], name: str, target: str) -> str:
    parts = [name] * (len(benchmarks) > 1) + [target_name(target)] * (len(benchmarks) == 1 or len(study.targets(name)) > 1)
    return ", ".join(parts)


def _groups(study: Study, benchmarks: Sequence[str]) -> dict[str, list[str]]:
    """Return the rows of all benchmarks by group, in the order of the first benchmark that has them."""
    groups: dict[str, dict[str, None]] = {}
    for name in benchmarks:
        for group, rows in ranked.groups(study, name).items():
            groups.setdefault(group, {}).update(dict.fromkeys(rows))
    ran = {row for rows in groups.values() for row in rows}
    groups[PRINTED] = {row: None for name in benchmarks for row in study.printed(name) if row not in ran}
    return {group: list(rows) for group, rows in groups.items() if rows}


def _runs(study: Study, benchmarks: Sequence[str], row: str) -> str:
    counts = [tables.seeds(study, name, row) if len(study.searches(name, row)) else "0" for name in benchmarks]
    return "; ".join(dict.fromkeys(counts))


def _ours(study: Study, benchmark: str, row: str, target: str) -> str:
    if not len(study.searches(benchmark, row)):
        return ""
    text = coverage.final(study, benchmark, row, target)
    return Bold(text) if row in ranked.leaders(study, benchmark, target) else text


def _mark(study: Study, benchmark: str, row: str, target: str, compared: Comparison) -> str:
    """Return the sign of a significant difference from random search, and the letter of the verdict."""
    pair, verdict = compared.pairs.get(row), _judged(study, benchmark, row, target)
    sign = "" if pair is None or compared.corrected[row] >= LEVEL else "+" if pair.difference > 0 else "−"
    return sign + (LETTERS[verdict.name] if verdict and verdict.name != NOT_MEASURED else "")


def _judged(study: Study, benchmark: str, row: str, target: str) -> Verdict | None:
    return study.verdicts(benchmark, row)[target] if (benchmark, row, target) in study.lines else None


def _difference(study: Study, benchmark: str, row: str, target: str) -> str:
    verdict = _judged(study, benchmark, row, target)
    difference = verdict.difference if verdict else None
    return with_interval(difference.delta, difference.interval(0.95), sign=True) if difference else MISSING


def _verdict(study: Study, benchmark: str, row: str) -> str:
    verdict = study.row_verdict(benchmark, row)
    return ": ".join(filter(None, (verdict.name, verdict.reason))) if verdict else MISSING


def _caption(study: Study, benchmarks: Sequence[str], runs: str, published: bool, narrow: bool) -> str:
    text = f"Test accuracy in percent, mean ± standard deviation (ddof 0) over {runs} runs; the best mean of ours is bold. "
    text += f"+ and −: significantly better and worse than random search (paired over seeds, Holm, p < {LEVEL:g})."
    if published:
        text += f" Verdict: {', '.join(f'{LETTERS[name]} {name}' for name in VERDICTS if name != NOT_MEASURED)}."
    if published and not narrow:
        known = {target: margin_of(benchmarks[0], target) for target in study.targets(benchmarks[0])}
        margins = [f"{target_name(target)} {number(margin)}" for target, margin in known.items() if margin is not None]
        text += " Δ = ours − published in points, with Welch’s 95 % interval;"
        text += f" δ, fixed in advance: {', '.join(margins)}." if margins else " no δ was fixed."
    return text
