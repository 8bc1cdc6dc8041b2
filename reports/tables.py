"""The tables of a report: intervals and costs, failed runs."""

from __future__ import annotations

import numpy as np

from harness.analysis import cell_errors, reference
from harness.analysis.evidence import REJECTED, Run
from harness.analysis.names import short_name, target_name
from harness.analysis.statistics import mean_interval, mean_std
from harness.analysis.study import Study
from harness.analysis.verdict import counted
from reports import lines
from reports.formats import MISSING, number, spread, with_interval
from reports.layout import Table

LEFT_OUT = " Worlds in which random search had no proposal by then, or had ended before, are left out."
AT_CHARGE = "random search at its charge"
STOPPED = (
    " Random search at its charge: stopped when it had been charged as many seconds as the row in the same world."
    + LEFT_OUT
    + " n: the number of the other worlds, where any are left out."
)
CHARGES = " Charged s: charged search seconds, mean per run."
ESTIMATED = " ≈: estimated by extrapolation, see the costs."


def seeds(study: Study, benchmark: str, row: str) -> str:
    """Return the number of finished runs: ``8/10`` if some are missing, ``10 (3 asked)`` if the store has more."""
    done, requested = len(study.done(benchmark, row)), study.requested(benchmark, row)
    if done > requested:
        return f"{done} ({requested} asked)"
    return str(done) if done == requested else f"{done}/{max(requested, len(study.searches(benchmark, row)))}"


def at_charge(study: Study, benchmark: str, row: str, target: str) -> str:
    """Return the accuracy of random search at a row's charge as text, with n if worlds are left out; empty for other rows."""
    if row not in reference.at_own_charge(study, benchmark):
        return ""
    accuracies = reference.values(study, benchmark, row, target).dropna().to_numpy(dtype=float)
    worlds = study.done(benchmark, row)[Run.WORLD].nunique()
    return spread(*mean_std(accuracies)) + (f" (n = {accuracies.size})" if 0 < accuracies.size < worlds else "")


def charge(study: Study, benchmark: str, row: str) -> str:
    """Return the mean charged seconds of the finished searches of a row; marked if they are an estimate."""
    cost = study.done(benchmark, row)[Run.SECONDS].mean()
    estimate = "≈ " if row in study.shared_weights(benchmark) and cost else ""
    return estimate + number(cost, 0 if cost >= 100 or cost == 0 else 1 if cost >= 10 else 2)


def add_optimum(table: Table, study: Study, benchmark: str, ours: str) -> None:
    """Add the best accuracies of the stated set, in the columns ``ours``, and those that papers print, if any is known."""
    columns: dict[str, dict[str, str]] = {ours: {}, "published": {}}
    for target in study.targets(benchmark):
        columns[ours][short_name(target)] = number(study.of_target("optimum", benchmark, target))
        columns["published"][short_name(target)] = number(study.printed_optimum.get(target))
    cells = [columns.get(column.name, {}).get(column.group, "") for column in table.columns[1:]]
    if {*cells} - {"", MISSING}:
        table.add(["Optimal", *cells], rule=True)


def intervals(study: Study, benchmark: str) -> Table | None:
    """Return regret, rank, validation accuracy and cost per row and target, with intervals; None if nothing was run."""
    rows, targets = study.rows(benchmark), study.targets(benchmark)
    sized = any(study.of_target("set_size", benchmark, target) for target in targets)
    printed = any(key[0] == benchmark for key in study.published_valid)
    ranked = any(study.finished(benchmark, row, target)[Run.REGRET].notna().any() for row in rows for target in targets)
    stated = []
    for row in rows:
        searches, done = study.searches(benchmark, row), study.done(benchmark, row)
        for target in targets:
            frame = study.finished(benchmark, row, target)
            line = {"method": study.label(row), "target": target_name(target), "n": str(len(frame))}
            if ranked:
                regret, rank = frame[Run.REGRET].dropna().to_numpy(dtype=float), float(frame[Run.RANK].median())
                line["regret [95 %]"] = with_interval(mean_std(regret)[0], mean_interval(regret))
                line["rank"] = number(rank, 0 if rank % 1 == 0 else 1)
                size = study.of_target("set_size", benchmark, target) or np.nan
                line |= {"percentile": number(100 * rank / size)} if sized else {}
            line["validation"] = spread(*mean_std(frame[Run.VALID].dropna().to_numpy(dtype=float)))
            if printed:
                published = study.published_valid.get((benchmark, row, target))
                line["published validation"] = spread(published["mean"], published["std"]) if published else MISSING
            line |= {"queries": number(done[Run.QUERIES].mean(), 1), "wall s": number(done[Run.WALL_SECONDS].mean(), 3)}
            stated.append(line | {"failed": str(len(searches) - len(done))})
    caption = (
        (_regret_caption(sized) if ranked else "")
        + "Validation accuracy in percent, mean ± std. Queries and wall seconds (this machine’s, never "
        "charged) per run, mean. failed: runs that did not finish or were rejected, which are in no mean."
        + _rejected(study, benchmark)
    )
    return lines.tabled(caption, stated, ruled=True)


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
    stated = [
        {"method": study.label(row), "benchmark": benchmark, "status": status, "runs": str(count)}
        | {"first error": error if len(error) <= 120 else error[:119] + "…"}
        for benchmark, row, status, count, error in study.failures()
    ]
    return lines.tabled("Runs that did not finish. They are in no mean.", stated)


def tally(study: Study) -> str:
    """Return a sentence with the number of rows per verdict."""
    verdicts = [study.row_verdict(b, row) for b in study.benchmarks for row in [*study.rows(b), *study.printed(b)]]
    counts = counted(verdict.name for verdict in verdicts if verdict is not None)
    return f"Row verdicts: {counts}." if counts else ""


def tally_of_trained(study: Study) -> str:
    """Return a sentence with the number of verdicts on trained cells, by row, stage and data set."""
    names = []
    for benchmark in study.benchmarks:
        for _, data, group in cell_errors.chosen(study, benchmark) if study.untested(benchmark) else ():
            results = cell_errors.judged(study, benchmark, data, group).values()
            names += [result.verdict.name for result in results if result.values.size]
    return f"Verdicts on trained cells, by row, stage and data set: {counted(names)}." if names else ""
