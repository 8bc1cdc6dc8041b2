"""One clock for all: what weight sharing was charged, what its paper says it took, and what it took here; equal budgets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports.figures import Traces
from reports.formats import MISSING, number, probability, spread, target_name, with_interval
from reports.layout import Column, Table
from reports.statistics import holm, mean_std, paired
from reports.study import Study

ESTIMATE = (
    "an estimate by extrapolation: an additive model of seconds per image, fitted to the benchmark's own training seconds, "
    "applied to every pass of the supernet"
)


def costs(study: Study, benchmark: str) -> Table | None:
    """Charged, published and measured seconds of every row of weight sharing; None where there is none."""
    rows = study.shared_weights(benchmark)
    if not rows:
        return None
    names = ["method", "runs", "charged s (estimate)", "published", "unit", "measured wall s", "device", "image passes"]
    fit = (study.facts.get("estimate") or {}).get(benchmark) or {}
    models = "; ".join(f"{name.removeprefix('clock:')}: {text}" for name, text in fit.items())
    table = Table(
        f"What weight sharing costs, mean per run. Charged seconds are {ESTIMATE}{f' ({models})' if models else ''}. They are "
        "not comparable with the published search seconds, which were measured on the authors' machines and stand beside them. "
        "Measured: real seconds of the search on the device named, on the machine named below. Image passes: charged images "
        "over the images of the training part, passes for the architecture counted.",
        [Column(name, right=name not in ("method", "unit", "device")) for name in names],
    )
    for row in rows:
        searches = study.searches(benchmark, row)
        done = searches[searches["status"] == "done"]
        line = next((line for t in study.targets(benchmark) if (line := study.lines.get((benchmark, row, t)))), None)
        printed = [number(line["search_cost"], 0), line["cost_unit"] or MISSING] if line else [MISSING, MISSING]
        device = ", ".join(sorted(set(done["device"]))) if "device" in done else MISSING
        passes = number(done["epochs"].mean(), 0) if "epochs" in done else MISSING
        wall = number(done["wall_seconds"].mean(), 1)
        table.add([study.label(row), str(len(done)), number(done["seconds"].mean(), 0), *printed, wall, device, passes])
    return table


def limits(study: Study, traces: Traces, benchmark: str) -> dict[int, float]:
    """Charged seconds by world that every row may spend: those of random search there, else of the cheapest row on average."""
    mine = [one for one in traces if one["benchmark"] == benchmark]
    reference = study.reference(benchmark)
    if reference is not None:
        return {one["world"]: float(one["end"]) for one in mine if one["row"] == reference}
    means = pd.Series({row: np.mean([one["end"] for one in mine if one["row"] == row]) for row in {one["row"] for one in mine}})
    return dict.fromkeys({one["world"] for one in mine}, float(means.min())) if len(means) else {}


def equal_budget(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Every row cut off at the same charged seconds; None where no row shares weights. Never compared with a paper."""
    allowed = limits(study, traces, benchmark)
    if not study.shared_weights(benchmark) or not allowed:
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
        + (" Paired differences from random search in points, Wilcoxon's test, Holm's correction." if reference else ""),
        columns,
    )
    for target in study.targets(benchmark):
        found = {row: _at(traces, benchmark, row, target, allowed) for row in study.rows(benchmark)}
        pairs = {row: paired(found[row][0], found[reference][0]) for row in found if row != reference} if reference else {}
        tested = {row: pair for row, pair in pairs.items() if pair is not None}
        corrected = dict(zip(tested, holm([pair.p for pair in tested.values()]), strict=True))
        for row, (values, share) in found.items():
            text = spread(*mean_std(values.to_numpy())) if len(values) else MISSING
            cells = [study.label(row), target_name(target), number(share, 0), str(len(values)), text]
            if reference:
                pair = tested.get(row)
                versus = [with_interval(pair.difference, pair.interval, sign=True), probability(corrected[row])] if pair else []
                cells += versus or [MISSING] * 2
            table.add(cells)
    return table


def _at(traces: Traces, benchmark: str, row: str, target: str, allowed: dict[int, float]) -> tuple[pd.Series, float]:
    """Test accuracy by world of the proposal in force at the limit, and the share of the searches done by then, percent."""
    found: dict[int, float] = {}
    shares: list[float] = []
    for one in traces:
        if one["row"] == row and one["benchmark"] == benchmark and one["world"] in allowed:
            limit = allowed[one["world"]]
            shares.append(min(1.0, limit / one["end"]) if one["end"] else 1.0)
            last = _in_force(one, limit)
            if last >= 0:
                found[one["world"]] = float(one["test"][target][last])
    return pd.Series(found, dtype=float), 100 * float(np.mean(shares)) if shares else float("nan")


def _in_force(trace: dict[str, Any], limit: float) -> int:
    return int(np.searchsorted(np.asarray(trace["seconds"], dtype=float), limit * (1 + 1e-12), side="right")) - 1
