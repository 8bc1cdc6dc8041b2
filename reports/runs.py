"""Every run of a report with its costs, accuracies, trace, settings, origin and failure, for the page of runs."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from harness.analysis.evidence import Run
from harness.analysis.names import target_name
from harness.analysis.study import Study
from harness.analysis.traces import RowTraces
from reports import sketches

COSTS = {
    Run.QUERIES: ("queries", 0),
    Run.SECONDS: ("charged s", 2),
    Run.EPOCHS: ("image passes", 1),
    Run.WALL_SECONDS: ("wall s", 3),
}
"""Name and printed decimals of the columns of costs."""
DIGITS = 4
"""Significant digits in traces and logs; ``runs.csv`` has all digits of a run."""


def listing(study: Study) -> dict[str, Any]:
    """Return what ``runs.js`` reads.

    ``columns``: names, and decimals of those with numbers; ``lines``: one list of values per run; ``details``: per run the
    number of its row in ``settings``, its proposal, its error, the number of its session in ``sessions`` (None if unknown), and
    its trace and log as columns by name; ``cells``: by proposal its drawings, see :func:`reports.sketches.outline`.
    """
    targets = list(dict.fromkeys(target for benchmark in study.benchmarks for target in study.targets(benchmark)))
    columns: list[tuple[str, int | None]] = [("method", None), ("status", None), ("seed", 0), ("benchmark", None)]
    columns += [(f"{target_name(target)} test", 2) for target in targets] + list(COSTS.values())
    lines: list[list[Any]] = []
    details: list[list[Any]] = []
    settings: list[dict[str, str]] = []
    sessions = {session.id: number for number, session in enumerate(study.page.sessions)}
    for benchmark in study.benchmarks:
        for row in study.rows(benchmark):
            searches = study.searches(benchmark, row)
            judged = [study.judged(benchmark, row, target).set_index(Run.WORLD)[Run.TEST] for target in targets]
            tests = [_short(test.reindex(searches[Run.WORLD]).to_numpy(dtype=float), 6) for test in judged]
            costs = [_short(searches[name].to_numpy(dtype=float), 6) for name in COSTS]
            plain = [searches[name].tolist() for name in (Run.STATUS, Run.WORLD)]
            first = ([study.label(row), *values, benchmark] for values in zip(*plain, strict=True))
            lines += [[*named, *values] for named, *values in zip(first, *tests, *costs, strict=True)]
            traces = _traces(study.evidence.traces.of(benchmark, row))
            facts = (searches[name].tolist() for name in (Run.WORLD, Run.ARCH, Run.ERROR, Run.SESSION))
            for world, arch, error, session in zip(*facts, strict=True):
                details.append([len(settings), arch, error, sessions.get(session), *traces.get(world, ({}, {}))])
            settings.append({name: str(value) for name, value in study.settings(benchmark, row).items()})
    origins = [
        {"command": session.command, "code": session.code, "date": session.date, "machine": session.host}
        for session in study.page.sessions
    ]
    drawn = {text: graphs for space in study.evidence.spaces.values() for text, graphs in space.drawn.items()}
    cells = {text: [sketches.outline(cell) for cell in graphs] for text, graphs in drawn.items()}
    named = [{"title": name, "digits": digits} for name, digits in columns]
    return {"columns": named, "lines": lines, "details": details, "settings": settings, "sessions": origins, "cells": cells}


def _traces(searches: RowTraces) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """Return trace and log of each search by world, as columns by name."""
    flat = {"charged s": _short(searches.seconds), "queries": _short(searches.queries)}
    flat |= {f"{target_name(target)} test": _short(values) for target, values in searches.test.items()}
    flat = {name: values for name, values in flat.items() if any(value is not None for value in values)}
    starts = searches.starts.tolist()
    return {
        world: (
            {name: values[starts[position] : starts[position + 1]] for name, values in flat.items()},
            {
                name.replace("_", " "): _short(np.asarray(values, dtype=float))
                for name, values in searches.logs.get(position, {}).items()
            },
        )
        for position, world in enumerate(searches.worlds.tolist())
    }


def _short(values: np.ndarray, digits: int = DIGITS) -> list[float | None]:
    """Return numbers with few significant digits, None for a missing one."""
    return [float(f"{value:.{digits}g}") if isfinite(value) else None for value in values.tolist()]
