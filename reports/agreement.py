"""Agreement of results with the papers: a line per result with both intervals, the margin, the spread ratio and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.formats import MISSING, bracket, number, signed, spread, target_name
from reports.layout import Block, Bullets, Column, Table
from reports.statistics import mean_std
from reports.study import Study
from reports.verdict import Verdict, margin_of

MEAN_RECORD = (
    "ours is the mean over recorded seeds, the papers drew one recorded seed per query. The mean is slightly easier: for "
    "random search on NAS-Bench-201 about +0.1 (CIFAR-10), +0.15 (CIFAR-100) and +0.2 points (ImageNet-16-120)."
)

HOLM = "A row differs if it does on a target after Holm’s correction over its targets."


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
    return [
        Judged(
            study.label(row),
            target,
            study.test(benchmark, row, target),
            study.lines[benchmark, row, target],
            margin_of(benchmark, target),
            verdict,
        )
        for row in study.rows(benchmark)
        for target, verdict in study.verdicts(benchmark, row).items()
    ]


def table(results: Sequence[Judged], measure: str = "", remark: str = HOLM) -> Table:
    """Return a line per result.

    Args:
        measure: what the numbers are, a sentence or ``""``.
        remark: the last sentence of the caption.
    """
    names = ["method", "target", "ours", "published", "Δ", "95 %", "90 %", "δ", "spread ratio", "verdict", "remarks"]
    lines = Table(
        f"Agreement with the papers. {measure}Δ, its intervals and δ in points. A published std s (ddof 0) over n runs becomes "
        "s·√(n/(n−1)). Reproduced: the 90 % interval lies inside ±δ. Differs: the 95 % interval lies wholly outside ±δ. "
        "Consistent, not conclusive: the 95 % interval contains 0. Unclear: otherwise. Spread ratio: our std over the "
        f"published one, reported and not judged. {remark}",
        [Column(name, right=name not in ("method", "target", "verdict", "remarks")) for name in names],
    )
    for before, result in zip([None, *results], results, strict=False):
        mean, std = mean_std(result.values)
        line, difference = result.line, result.verdict.difference
        lines.add(
            [
                result.label,
                target_name(result.target),
                spread(mean, std),
                spread(line["mean"], line["std"]),
                signed(difference.delta) if difference else MISSING,
                bracket(difference.interval(0.95) if difference else None, sign=True),
                bracket(difference.interval(0.90) if difference else None, sign=True),
                number(result.margin),
                number(std / line["std"]) if line["std"] > 0 else MISSING,
                result.verdict.name,
                "; ".join(filter(None, [result.verdict.reason, *result.verdict.notes])),
            ],
            rule=before is not None and before.label != result.label,
        )
    return lines


def caveats(results: Sequence[Judged], mean_record: bool = False) -> list[Block]:
    """Return remarks for the comparison with the papers; they change no verdict.

    Args:
        mean_record: the searches read means over recorded seeds.
    """
    sharing: dict[str, dict[str, None]] = {}  # caveat -> the rows it belongs to, in order
    for result in results:
        source = result.line["n_source"]
        for text in filter(None, (result.line["caveats"], f"published n {source}" if source.startswith("assumed") else "")):
            sharing.setdefault(text, {})[result.label] = None
    items = [("Search signal", MEAN_RECORD)] if mean_record else []
    items += [("; ".join(rows), text) for text, rows in sharing.items()]
    return [Bullets(items)] if items else []
