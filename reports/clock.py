"""Charged, published and measured costs of weight sharing, and comparisons at equal charged seconds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.evidence import Run
from reports.formats import MISSING, number, spread, target_name, thousands
from reports.layout import Column, Table
from reports.pairs import compare, noted
from reports.statistics import mean_std
from reports.study import Study
from reports.traces import RowTraces, Traces

ESTIMATE = (
    "an estimate by extrapolation: an additive model of seconds per image, fitted to the benchmark's own training seconds, "
    "applied to every pass of the supernet"
)


def costs(study: Study, benchmark: str) -> Table | None:
    """Return charged, published and measured seconds of every row of weight sharing; None if there is no such row."""
    rows = study.shared_weights(benchmark)
    if not rows:
        return None
    names = ["method", "runs", "charged s (estimate)", "published", "unit", "measured wall s", "device", "image passes"]
    parts = study.parts(benchmark)
    estimates = [f"{name.removeprefix('clock:')}: {text}" for part in parts for name, text in part.estimate.items()]
    models = thousands("; ".join([part.supernet_clock for part in parts if part.supernet_clock] + estimates))
    table = Table(
        f"What weight sharing costs, mean per run. Charged seconds are {ESTIMATE}{f' ({models})' if models else ''}. They are "
        "not comparable with the published search seconds, which were measured on the authors' machines and are listed next to "
        "them. Measured: real seconds of the search on the device named, on the machine named below. Image passes: charged "
        "images over the images of the training part, passes for the architecture counted.",
        [Column(name, right=name not in ("method", "unit", "device")) for name in names],
    )
    for row in rows:
        done = study.done(benchmark, row)
        line = next((line for t in study.targets(benchmark) if (line := study.lines.get((benchmark, row, t)))), None)
        printed = [number(line["search_cost"], 0), line["cost_unit"] or MISSING] if line else [MISSING, MISSING]
        device = ", ".join(sorted(set(done[Run.DEVICE])))
        charged, passes = number(done[Run.SECONDS].mean(), 0), number(done[Run.EPOCHS].mean(), 0)
        wall = number(done[Run.WALL_SECONDS].mean(), 1)
        table.add([study.label(row), str(len(done)), charged, *printed, wall, device, passes])
    return table


def limits(study: Study, traces: Traces, benchmark: str) -> dict[int, float]:
    """Return by world the charged seconds that every row may spend: those of random search, else the cheapest row's mean.

    Rows that are charged nothing (a random cell) do not count as cheap.
    """
    reference = study.reference(benchmark)
    if reference is not None:
        return _ends(traces.of(benchmark, reference))
    rows = [searches for row in study.rows(benchmark) if (searches := traces.of(benchmark, row)).end.any()]
    worlds = {int(world) for searches in rows for world in searches.worlds}
    return dict.fromkeys(worlds, min(float(searches.end.mean()) for searches in rows)) if rows else {}


def _ends(searches: RowTraces) -> dict[int, float]:
    return dict(zip(searches.worlds.tolist(), searches.end.tolist(), strict=True))


def equal_budget(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare all rows at the same charged seconds, never with a paper.

    None if no row shares weights, or if every search ended before the limit: the table of results says the same.
    """
    allowed = limits(study, traces, benchmark)
    if not study.shared_weights(benchmark) or not allowed:
        return None
    rows = study.rows(benchmark)
    shares = {row: _share(traces.of(benchmark, row), allowed) for row in rows}
    if all(np.isnan(share) or share == 100 for share in shares.values()):
        return None
    reference = study.reference(benchmark)
    whose = f"those of {study.label(reference)} in the same world" if reference else "the mean of the cheapest row"
    mean = np.mean(list(allowed.values()))
    columns = [Column("method", right=False), Column("target", right=False), Column("schedule done %"), Column("n")]
    columns += [Column("test"), *([Column("difference [95 %]"), Column("p (Holm)")] if reference else [])]
    table = Table(
        f"Equal budget: the proposal in force once a search had been charged {number(float(mean), 0)} s "
        f"({whose}), exactly what it would have returned if stopped there. Test accuracy in percent, mean ± standard deviation "
        "(ddof 0) over the n runs that had a proposal by then; no paper is compared. Seconds of weight sharing are "
        f"{ESTIMATE}. Schedules were not shortened to fit: a learning rate that was to fall later had not fallen yet."
        + (f" Paired differences from random search in points; {TESTED}." if reference else ""),
        columns,
    )
    remarks: list[str] = []
    for target in study.targets(benchmark):
        values = {row: _at(traces.of(benchmark, row), target, allowed) for row in rows}
        compared = {row: accuracies for row, accuracies in values.items() if row != reference}
        comparison = compare(compared, values[reference], target_name(target)) if reference else None
        remarks += comparison.remarks if comparison else []
        for row in rows:
            text = spread(*mean_std(values[row].to_numpy())) if len(values[row]) else MISSING
            cells = [study.label(row), target_name(target), number(shares[row], 0), str(len(values[row])), text]
            table.add(cells + (comparison.cells(row) if comparison else []))
    table.caption += noted(remarks)
    return table


TESTED = (
    "Wilcoxon's signed-rank test, Holm's correction per target over the rows without a variant name and, apart from them, over "
    "the rows with one"
)


def own_charge(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare each row of weight sharing with random search stopped at the row's own charge; None if either did not run.

    Rows that are charged nothing have nothing to compare.
    """
    reference = study.reference(benchmark)
    rows = [row for row in study.shared_weights(benchmark) if traces.of(benchmark, row).end.any()]
    if not rows or reference is None or reference in rows:
        return None
    name = study.label(reference)
    names = ["method", "target", "charged s", "n", "test", name, "difference [95 %]", "p (Holm)"]
    table = Table(
        f"The same charge for both: the proposal of {name} in force once it had been charged what the row's search was charged "
        "in all in the same world. Test accuracy in percent, mean ± standard deviation (ddof 0) over the n worlds in which "
        f"{name} had a proposal by then; charged seconds of weight sharing are {ESTIMATE}. Paired differences in points; "
        f"{TESTED}.",
        [Column(column, right=column not in ("method", "target")) for column in names],
    )
    remarks: list[str] = []
    for target in study.targets(benchmark):
        gains, cells = {}, {}
        for row in rows:
            allowed = _ends(traces.of(benchmark, row))
            then, ours = _at(traces.of(benchmark, reference), target, allowed), study.by_world(benchmark, row, target)
            pairs = pd.DataFrame({"ours": ours, "then": then}).dropna()
            charged = np.mean([allowed[int(world)] for world in pairs.index]) if len(pairs) else float("nan")
            means = [spread(*mean_std(pairs[side].to_numpy())) for side in ("ours", "then")]
            cells[row] = [number(float(charged), 0 if charged >= 10 else 2), str(len(pairs)), *means]
            gains[row] = pairs["ours"] - pairs["then"]
        worlds = {world for gain in gains.values() for world in gain.index}
        comparison = compare(gains, pd.Series(0.0, sorted(worlds), dtype=float), target_name(target))
        remarks += comparison.remarks
        for row in rows:
            table.add([study.label(row), target_name(target), *cells[row], *comparison.cells(row)])
    table.caption += noted(remarks)
    return table


def _share(searches: RowTraces, allowed: dict[int, float]) -> float:
    """Return the mean share of the searches that is done at the limit, in percent; NaN if no search has a limit."""
    limit = pd.Series(searches.worlds).map(allowed).to_numpy(dtype=float)
    limited = ~np.isnan(limit)
    ends = searches.end[limited]
    done = np.where(ends > 0, np.minimum(1.0, limit[limited] / np.where(ends > 0, ends, 1.0)), 1.0)
    return 100 * float(done.mean()) if len(done) else float("nan")


def _at(searches: RowTraces, target: str, allowed: dict[int, float]) -> pd.Series:
    """Return by world the test accuracy of the proposal in force at the limit."""
    if target not in searches.test:
        return pd.Series(dtype=float)
    limit = pd.Series(searches.worlds).map(allowed).to_numpy(dtype=float)  # a NaN limit is never reached
    last = searches.in_force(searches.seconds, limit * (1 + 1e-12))
    return pd.Series(searches.test[target][last[last >= 0]], searches.worlds[last >= 0])
