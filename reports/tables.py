"""The tables of a report: results with the papers' numbers, intervals, and the comparison with random search."""

from __future__ import annotations

from math import isfinite, nan

from reports import coverage, supernets
from reports.evidence import DONE, REJECTED, Run
from reports.formats import MISSING, number, probability, short_name, spread, target_name, with_interval
from reports.layout import Column, Table
from reports.pairs import Comparison, compare, families, noted
from reports.statistics import mean_interval, mean_std
from reports.study import Study
from reports.verdict import LETTERS, NOT_MEASURED, VERDICTS, Verdict, margin_of


def results(study: Study, benchmark: str) -> Table:
    """Return test accuracy per row and target, with the published numbers if there are any."""
    targets, compared = study.targets(benchmark), study.compared(benchmark)
    ran = study.rows(benchmark)
    printed = study.printed(benchmark)
    both = compared and any(key[0] == benchmark for key in study.published_valid)
    columns = [Column("method", right=False), Column("seeds")]
    for target in targets:
        name = short_name(target)
        columns += [Column("valid", name), Column("published valid", name)] if both else []
        columns += [Column("ours", name)] + ([Column("published", name), Column("Δ [95 %]", name)] if compared else [])
    columns += [Column("published in", right=False)] if compared else []
    columns += [Column("charged s")] + ([Column("row verdict", right=False)] if compared else [])
    table = Table(_results_caption(study, benchmark), columns)
    for index, row in enumerate([*ran, *(printed if compared else ())]):
        searches = study.searches(benchmark, row)
        cells: list[str] = [supernets.marked(study, benchmark, row), study.seeds(benchmark, row) if len(searches) else "0"]
        for target in targets:
            cells += _validation(study, benchmark, row, target) if both else []
            cells.append(coverage.final(study, benchmark, row, target) or spread(*mean_std(study.test(benchmark, row, target))))
            if compared:
                cells += _published(study, benchmark, row, target)
        cells += [study.source(benchmark, row)] if compared else []
        estimate = "≈ " if row in study.shared_weights(benchmark) else ""
        cost = searches.loc[searches[Run.STATUS] == DONE, Run.SECONDS].mean()
        cells.append(estimate + number(cost, 0 if cost >= 10 else 2))
        if compared:
            cells.append(_in_words(study.row_verdict(benchmark, row)))
        table.add(cells, rule=index > 0 and not len(searches) and bool(index == len(ran)))
    _add_optimum(table, study, benchmark, compared, both)
    return table


def _validation(study: Study, benchmark: str, row: str, target: str) -> list[str]:
    line = study.published_valid.get((benchmark, row, target))
    measured = study.finished(benchmark, row, target)[Run.VALID].dropna().to_numpy(dtype=float)
    return [spread(*mean_std(measured)), spread(line["mean"], line["std"]) if line else MISSING]


def _published(study: Study, benchmark: str, row: str, target: str) -> list[str]:
    line = study.lines.get((benchmark, row, target))
    if line is None:
        return [MISSING, MISSING]
    verdict = study.verdicts(benchmark, row)[target]
    if verdict.difference is None:
        return [spread(line["mean"], line["std"]), MISSING if verdict.name == NOT_MEASURED else LETTERS[verdict.name]]
    delta = with_interval(verdict.difference.delta, verdict.difference.interval(0.95), sign=True)
    return [spread(line["mean"], line["std"]), f"{delta} {LETTERS[verdict.name]}"]


def _in_words(verdict: Verdict | None) -> str:
    if verdict is None:
        return MISSING
    return f"{verdict.name}: {verdict.reason}" if verdict.reason else verdict.name


def _add_optimum(table: Table, study: Study, benchmark: str, compared: bool, both: bool) -> None:
    targets = study.targets(benchmark)
    ours = {target: best for target in targets if (best := study.of_target("optimum", benchmark, target)) is not None}
    printed = study.printed_optimum
    if not any(isfinite(ours.get(target, nan)) or (compared and target in printed) for target in targets):
        return
    cells = ["Optimal", ""]
    for target in targets:
        cells += ["", ""] if both else []
        cells += [number(ours.get(target))] + ([number(printed.get(target)), ""] if compared else [])
    table.add(cells + [""] * (len(table.columns) - len(cells)), rule=True)


def _results_caption(study: Study, benchmark: str) -> str:
    text = "Test accuracy in percent, mean ± standard deviation (ddof 0) over finished runs."
    if study.compared(benchmark):
        known = {target: margin_of(benchmark, target) for target in study.targets(benchmark)}
        margins = [f"{short_name(target)} {number(margin)}" for target, margin in known.items() if margin is not None]
        letters = "; ".join(f"{LETTERS[name]} = {name}" for name in VERDICTS if name != NOT_MEASURED)
        text += f" Δ = ours − published in points, with Welch’s 95 % interval; letters: {letters}."
        text += f" δ, fixed in advance: {', '.join(margins)}." if margins else " No δ was fixed."
    text += " charged s: charged search seconds, mean per run."
    return text + (" ≈: estimated by extrapolation, see the costs." if study.shared_weights(benchmark) else "")


def intervals(study: Study, benchmark: str) -> Table:
    """Return regret, rank, validation accuracy and cost per row and target, with intervals."""
    targets = study.targets(benchmark)
    sizes = [size for target in targets if (size := study.of_target("set_size", benchmark, target))]
    published_valid = study.published_valid
    shown = any(key[0] == benchmark for key in published_valid)
    ranked = any(study.finished(benchmark, row, t)[Run.REGRET].notna().any() for row in study.rows(benchmark) for t in targets)
    names = ["method", "target", "n"]
    names += ["regret [95 %]", "rank", *(["percentile"] if sizes else [])] if ranked else []
    names += ["validation"]
    names += ["published validation"] if shown else []
    names += ["queries", "wall s", "failed"]
    table = Table(
        (_regret_caption(bool(sizes)) if ranked else "")
        + "Validation accuracy in percent, mean ± std. Queries and wall seconds (this machine’s, never "
        "charged) per run, mean. failed: runs that did not finish or were rejected, which are in no mean."
        + _rejected(study, benchmark),
        [Column(name, right=name not in ("method", "target")) for name in names],
    )
    for row in study.rows(benchmark):
        searches, done = study.searches(benchmark, row), study.done(benchmark, row)
        for index, target in enumerate(study.targets(benchmark)):
            frame = study.finished(benchmark, row, target)
            regret = frame[Run.REGRET].dropna().to_numpy(dtype=float)
            rank = float(frame[Run.RANK].median()) if frame[Run.RANK].notna().any() else None
            size = study.of_target("set_size", benchmark, target)
            line = published_valid.get((benchmark, row, target))
            standing = [with_interval(mean_std(regret)[0], mean_interval(regret))]
            standing += [number(rank, 0 if rank is None or rank % 1 == 0 else 1)]
            standing += [number(100 * rank / size if rank is not None and size else None)] if sizes else []
            table.add(
                [
                    study.label(row),
                    target_name(target),
                    str(len(frame)),
                    *(standing if ranked else []),
                    spread(*mean_std(frame[Run.VALID].dropna().to_numpy(dtype=float))),
                    *([spread(line["mean"], line["std"]) if line else MISSING] if shown else []),
                    number(done[Run.QUERIES].mean(), 1),
                    number(done[Run.WALL_SECONDS].mean(), 3),
                    str(len(searches) - len(done)),
                ],
                rule=index == 0 and bool(table.rows),
            )
    return table


def _rejected(study: Study, benchmark: str) -> str:
    """Return a sentence that names the rows whose ledger contradicts the benchmark's own count; empty if there are none."""
    counts = {row: int((study.searches(benchmark, row)[Run.STATUS] == REJECTED).sum()) for row in study.rows(benchmark)}
    rows = ", ".join(f"{study.label(row)} ({count})" for row, count in counts.items() if count)
    return f" Rejected, because what the method booked is not what the benchmark answered: {rows}." if rows else ""


def _regret_caption(percentile: bool) -> str:
    return (
        "Regret in percentage points against the best of the stated set: mean and its 95 % interval (BCa bootstrap from 50 to "
        "2 000 runs, Student t otherwise, none below 3). Rank: median of 1 + the number of strictly better architectures"
    ) + ("; percentile: that rank over the size of the set, in percent. " if percentile else ". ")


def against_random_search(study: Study, benchmark: str) -> Table | None:
    """Compare every row with random search on the same world seeds; None if random search did not run."""
    baseline = study.reference(benchmark)
    rows = [row for row in study.rows(benchmark) if row != baseline]
    if not rows or baseline is None:
        return None
    names = ["method", "target", "pairs", "difference [95 %]", "p", "p (Holm)"]
    bounded = any(margin_of(benchmark, target) is not None for target in study.targets(benchmark))
    names += ["beyond δ"] if bounded else []
    table = Table("", [Column(name, right=name not in ("method", "target", "beyond δ")) for name in names])
    comparisons: dict[str, Comparison] = {}
    for target in study.targets(benchmark):
        reference = study.by_world(benchmark, baseline, target)
        values = {row: study.by_world(benchmark, row, target) for row in rows}
        comparisons[target] = compare(values, reference, target_name(target))
    for row in (row for family in families(rows) for row in family):
        for index, (target, comparison) in enumerate(comparisons.items()):
            margin, pair = margin_of(benchmark, target), comparison.pairs.get(row)
            beyond = MISSING if margin is None or pair is None else "yes" if abs(pair.difference) > margin else "no"
            difference, corrected = comparison.cells(row)
            cells = [str(pair.n if pair else 0), difference, probability(pair.p) if pair else MISSING, corrected]
            cells += [beyond] if bounded else []
            table.add([study.label(row), target_name(target), *cells], rule=index == 0 and bool(table.rows))
    table.caption = (
        f"Each row against {study.label(baseline)} on the same world seeds: mean difference of test accuracy in points with "
        "its 95 % interval; Wilcoxon’s signed-rank test (exact up to 50 pairs), corrected by Holm per target over the rows "
        "without a variant name and, apart from them, over the rows with one."
    )
    if bounded:
        table.caption += " beyond δ: whether the mean difference is larger than the margin"
        table.caption += ", which matters where many seeds make every difference significant."
    table.caption += noted([remark for comparison in comparisons.values() for remark in comparison.remarks])
    return table


def failed_runs(study: Study) -> Table | None:
    """Count the runs that did not finish, with the last line of their first error; None if all finished."""
    rows = list(study.failures())
    if not rows:
        return None
    columns = [Column("method", right=False), Column("benchmark", right=False), Column("status", right=False)]
    table = Table(
        "Runs that did not finish. They are in no mean.", [*columns, Column("runs"), Column("first error", right=False)]
    )
    for benchmark, row, status, count, error in rows:
        table.add([study.label(row), benchmark, status, str(count), error if len(error) <= 120 else error[:119] + "…"])
    return table


def tally(study: Study) -> str:
    """Return a sentence with the number of rows per verdict."""
    verdicts = [study.row_verdict(b, row) for b in study.benchmarks for row in [*study.rows(b), *study.printed(b)]]
    names = [verdict.name for verdict in verdicts if verdict is not None]
    counts = [f"{names.count(name)} {name}" for name in VERDICTS if name in names]
    return f"Row verdicts: {', '.join(counts)}." if counts else ""
