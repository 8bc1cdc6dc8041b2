"""Charged, published and measured costs of weight sharing."""

from __future__ import annotations

from harness.analysis.evidence import Run
from harness.analysis.study import Study
from reports.formats import MISSING, number, thousands
from reports.layout import Table
from reports.lines import tabled


def costs(study: Study, benchmark: str) -> Table | None:
    """Return charged, published and measured seconds of every row of weight sharing; None if there is no such row."""
    lines = []
    for row in study.shared_weights(benchmark):
        done = study.done(benchmark, row)
        printed = next((line for t in study.targets(benchmark) if (line := study.lines.get((benchmark, row, t)))), None)
        line = {"method": study.label(row), "runs": str(len(done))}
        line["charged s (estimate)"] = number(done[Run.SECONDS].mean(), 0)
        line["published"] = number(printed["search_cost"], 0) if printed else MISSING
        line["unit"] = (printed["cost_unit"] if printed else "") or MISSING
        line["measured wall s"] = number(done[Run.WALL_SECONDS].mean(), 1)
        line["device"] = ", ".join(sorted(set(done[Run.DEVICE])))
        line["image passes"] = number(done[Run.EPOCHS].mean(), 0)
        lines.append(line)
    parts = study.parts(benchmark)
    models = [part.supernet_clock for part in parts if part.supernet_clock]
    models += [f"{name.removeprefix('clock:')}: {text}" for part in parts for name, text in part.estimate.items()]
    model = f" Model: {thousands('; '.join(models))}." if models else ""
    return tabled(f"Cost of a search, mean per run; charged seconds are an estimate by extrapolation.{model}", lines)
