"""The table to print: test accuracies of every row, with the papers' numbers and few marks, narrow enough for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports import coverage, ranked, reference
from reports.formats import MISSING, number, spread, target_name
from reports.layout import Bold, Cited, Column, Table
from reports.pairs import LEVEL, Comparison
from reports.study import Study
from reports.verdict import LETTERS, NOT_MEASURED, VERDICTS

PRINTED = "not run here"


def table(study: Study) -> Table | None:
    """Return rows by group; per benchmark and target our mean, a mark, and the published mean. None without a judge."""
    places = [(name, target) for name in study.benchmarks if not study.untested(name) for target in study.targets(name)]
    if not places:
        return None
    counts = {row: _runs(study, row, [name for name, _ in places]) for rows in _groups(study).values() for row in rows}
    differ = len({*counts.values()} - {""}) > 1
    columns = [Column("method", right=False), *([Column("runs")] if differ else [])]
    published = {place for place in places if any(key[::2] == place for key in study.lines)}
    for place in places:
        columns += [Column("ours", _head(study, *place)), Column("", _head(study, *place), right=False)]
        columns += [Column("published", _head(study, *place))] if place in published else []
    columns += [Column("ref.", right=False)] if published else []
    results = Table(_caption(study, places, counts), columns)
    compared = {name: reference.comparisons(study, name) for name, _ in places}
    for group, rows in _groups(study).items():
        for row in rows:
            cells = [study.label(row), *([counts[row]] if differ else [])]
            keys: dict[str, None] = {}
            for name, target in places:
                cells += _ours(study, name, row, target, compared[name][target])
                if (name, target) in published:
                    line = study.lines.get((name, row, target))
                    cells.append(spread(line["mean"], line["std"]) if line else "")
                    source = study.source(name, row)
                    keys |= dict.fromkeys(source.keys if isinstance(source, Cited) else ())
            results.add([*cells, *([Cited("", list(keys))] if published else [])], rule=group if row == rows[0] else False)
    best = ["best of the set", *([""] if differ else [])]
    for name, target in places:
        best += [number(study.of_target("optimum", name, target)), ""]
        best += [number(study.printed_optimum.get(target))] if (name, target) in published else []
    if {*best[1:]} - {"", MISSING}:
        results.add([*best, *([""] if published else [])], rule=True)
    return results


def _runs(study: Study, row: str, benchmarks: Sequence[str]) -> str:
    """Return the number of finished runs of a row, one for each benchmark if they differ; empty if there are none."""
    return "/".join(dict.fromkeys(str(count) for name in benchmarks if (count := len(study.done(name, row)))))


def _head(study: Study, benchmark: str, target: str) -> str:
    named = target_name(target)
    return named if len(study.benchmarks) == 1 else benchmark if len(study.targets(benchmark)) == 1 else f"{benchmark}, {named}"


def _groups(study: Study) -> dict[str, list[str]]:
    """Return the rows of all benchmarks by group, in the order of the first benchmark that has them."""
    groups: dict[str, dict[str, None]] = {}
    for name in study.benchmarks:
        members = {} if study.untested(name) else ranked.groups(study, name)
        for group, rows in [*members.items(), (PRINTED, study.printed(name))]:
            groups.setdefault(group, {}).update(dict.fromkeys(rows))
    printed = groups.pop(PRINTED)
    ran = {row for rows in groups.values() for row in rows}
    groups[PRINTED] = {row: None for row in printed if row not in ran}
    return {group: list(rows) for group, rows in groups.items() if rows}


def _ours(study: Study, benchmark: str, row: str, target: str, compared: Comparison) -> list[str]:
    """Return the mean of a row, bold if it is the best, and its mark."""
    if not len(study.done(benchmark, row)):
        return ["", ""]
    text = coverage.final(study, benchmark, row, target)
    text = Bold(text) if row in ranked.leaders(study, benchmark, target) else text
    verdict = study.verdicts(benchmark, row).get(target)
    pair = compared.pairs.get(row)
    sign = "" if pair is None or compared.corrected[row] >= LEVEL else "+" if pair.difference > 0 else "−"
    letter = LETTERS[verdict.name] if verdict and verdict.name != NOT_MEASURED else ""
    return [text, f"{sign}{letter}"]


def _caption(study: Study, places: Sequence[tuple[str, str]], counts: Mapping[str, str]) -> str:
    numbers = {*counts.values()} - {""}
    runs = f"{numbers.pop()} runs" if len(numbers) == 1 else "the runs"
    text = f"Test accuracy in percent, mean ± standard deviation (ddof 0) over {runs}; the best mean of ours is bold. "
    text += f"+ and −: significantly better and worse than random search (paired over seeds, Holm, p < {LEVEL:g})."
    if any(study.compared(name) for name, _ in places):
        letters = ", ".join(f"{LETTERS[name]}: {name}" for name in VERDICTS if name != NOT_MEASURED)
        text += f" Verdict on the published mean: {letters}."
    return text
