"""Charged, published and measured costs of weight sharing."""

from __future__ import annotations

from reports.evidence import Run
from reports.formats import MISSING, number, thousands
from reports.layout import Column, Table
from reports.study import Study


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
        "What weight sharing costs, mean per run. Charged seconds are an estimate by extrapolation: an additive model of "
        "seconds per image, fitted to the benchmark's own training seconds, applied to every pass of the supernet"
        f"{f' ({models})' if models else ''}. They are not comparable with the published search seconds, which were measured "
        "on the authors' machines and are listed next to them. Measured: real seconds of the search on the device named, on "
        "the machine named below. Image passes: charged images over the images of the training part, passes for the "
        "architecture counted.",
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
