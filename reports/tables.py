"""The tables of a report: results with the papers' numbers, intervals and costs, failed runs."""

from __future__ import annotations

from reports import coverage, reference, supernets
from reports.evidence import REJECTED, Run
from reports.formats import MISSING, number, short_name, spread, target_name, with_interval
from reports.layout import Column, Table
from reports.statistics import mean_interval, mean_std
from reports.study import Study
from reports.verdict import LETTERS, NOT_MEASURED, VERDICTS, Verdict, counted, margin_of

AT_CHARGE = "random search at its charge"
STOPPED = (
    " Random search at its charge: stopped when it had been charged as many seconds as the row in the same world."
    + reference.LEFT_OUT
    + " n: the number of the other worlds, where any are left out."
)
CHARGES = " Charged s: charged search seconds, mean per run."
ESTIMATED = " ≈: estimated by extrapolation, see the costs."


def results(study: Study, benchmark: str) -> Table:
    """Return test accuracy per row and target next to the published numbers, in the papers' order."""
    targets, ran = study.targets(benchmark), study.rows(benchmark)
    both = any(key[0] == benchmark for key in study.published_valid)
    stopped = reference.at_own_charge(study, benchmark)
    columns = [Column("method", right=False), Column("seeds")]
    for target in targets:
        name = short_name(target)
        columns += [Column("valid", name), Column("published valid", name)] if both else []
        columns += [Column("ours", name), Column("published", name), Column("Δ [95 %]", name)]
        columns += [Column(AT_CHARGE, name)] if stopped else []
    columns += [Column("published in", right=False), Column("charged s"), Column("row verdict", right=False)]
    table = Table(_results_caption(study, benchmark), columns)
    for index, row in enumerate([*ran, *study.printed(benchmark)]):
        searches = study.searches(benchmark, row)
        cells: list[str] = [supernets.marked(study, benchmark, row), study.seeds(benchmark, row) if len(searches) else "0"]
        for target in targets:
            cells += _validation(study, benchmark, row, target) if both else []
            cells += [coverage.final(study, benchmark, row, target), *_published(study, benchmark, row, target)]
            cells += [reference.at_charge(study, benchmark, row, target)] if stopped else []
        cells += [study.source(benchmark, row), charge(study, benchmark, row), _in_words(study.row_verdict(benchmark, row))]
        table.add(cells, rule=index == len(ran) > 0)
    add_optimum(table, study, benchmark, "ours")
    return table


def charge(study: Study, benchmark: str, row: str) -> str:
    """Return the mean charged seconds of the finished searches of a row; marked if they are an estimate."""
    cost = study.done(benchmark, row)[Run.SECONDS].mean()
    estimate = "≈ " if row in study.shared_weights(benchmark) and cost else ""
    return estimate + number(cost, 0 if cost >= 100 or cost == 0 else 1 if cost >= 10 else 2)


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


def add_optimum(table: Table, study: Study, benchmark: str, ours: str) -> None:
    """Add the best accuracies of the stated set, in the columns ``ours``, and those that papers print, if any is known."""
    columns: dict[str, dict[str, str]] = {ours: {}, "published": {}}
    for target in study.targets(benchmark):
        columns[ours][short_name(target)] = number(study.of_target("optimum", benchmark, target))
        columns["published"][short_name(target)] = number(study.printed_optimum.get(target))
    cells = [columns.get(column.name, {}).get(column.group, "") for column in table.columns[1:]]
    if {*cells} - {"", MISSING}:
        table.add(["Optimal", *cells], rule=True)


def _results_caption(study: Study, benchmark: str) -> str:
    known = {target: margin_of(benchmark, target) for target in study.targets(benchmark)}
    margins = [f"{short_name(target)} {number(margin)}" for target, margin in known.items() if margin is not None]
    letters = "; ".join(f"{LETTERS[name]} = {name}" for name in VERDICTS if name != NOT_MEASURED)
    text = "Test accuracy in percent, mean ± standard deviation (ddof 0) over finished runs."
    text += f" Δ = ours − published in points, with Welch’s 95 % interval; letters: {letters}."
    text += f" δ, fixed in advance: {', '.join(margins)}." if margins else " No δ was fixed."
    text += CHARGES + (STOPPED if reference.at_own_charge(study, benchmark) else "")
    return text + (ESTIMATED if study.shared_weights(benchmark) else "")


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
    counts = counted(verdict.name for verdict in verdicts if verdict is not None)
    return f"Row verdicts: {counts}." if counts else ""
