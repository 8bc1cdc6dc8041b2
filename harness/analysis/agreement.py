"""Agreement of results with the papers: each result with the published line that it is judged against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.study import Study
from harness.analysis.verdict import Verdict, margin_of


@dataclass(frozen=True)
class Judged:
    """A result with the published line that it is judged against; values in percent, one per run."""

    label: str
    target: str
    values: np.ndarray
    line: Mapping[str, Any]
    margin: float | None
    verdict: Verdict


def of_benchmark(study: Study, benchmark: str) -> list[Judged]:
    """Return the results of a benchmark whose judge knows test accuracies, row by row."""
    results = []
    for row in study.rows(benchmark):
        for target, verdict in study.verdicts(benchmark, row).items():
            tests, line = study.test(benchmark, row, target), study.lines[benchmark, row, target]
            results.append(Judged(study.label(row), target, tests, line, margin_of(benchmark, target), verdict))
    return results
