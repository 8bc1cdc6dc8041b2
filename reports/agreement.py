"""Agreement of results with the papers: a line per result with both intervals, the margin, the spread ratio and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.agreement import Judged
from harness.analysis.names import target_name
from harness.analysis.statistics import mean_std
from reports import lines
from reports.formats import MISSING, bracket, number, signed, spread
from reports.layout import Block, Bullets, Table

MEAN_RECORD = (
    "ours is the mean over recorded seeds, the papers drew one recorded seed per query. The mean is slightly easier: for "
    "random search on NAS-Bench-201 about +0.1 (CIFAR-10), +0.15 (CIFAR-100) and +0.2 points (ImageNet-16-120)."
)

ONE_CELL = "One cell on each side: the intervals hold the noise of trainings, not that of searches."


def table(results: Sequence[Judged], caption: str = "Δ = ours − published, its intervals and δ in points.") -> Table:
    """Return a line per result."""
    rows = []
    for result in results:
        mean, std = mean_std(result.values)
        paper, difference = result.line, result.verdict.difference
        line = {"method": result.label, "target": target_name(result.target), "ours": spread(mean, std)}
        line |= {"published": spread(paper["mean"], paper["std"]), "Δ": signed(difference.delta) if difference else MISSING}
        for name, level in (("95 %", 0.95), ("90 %", 0.90)):
            line[name] = bracket(difference.interval(level) if difference else None, sign=True)
        line |= {"δ": number(result.margin), "spread ratio": number(std / paper["std"]) if paper["std"] > 0 else MISSING}
        remarks = "; ".join(filter(None, [result.verdict.reason, *result.verdict.notes]))
        rows.append(line | {"verdict": result.verdict.name, "remarks": remarks})
    return lines.table(caption, rows, ruled=True)


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
