"""The cells that searches proposed: how often each kind of operation is in them, and drawings of them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from harness.analysis.epochs import logged
from harness.analysis.evidence import Cell, Kind, Space
from harness.analysis.statistics import mean_std
from harness.analysis.study import Study
from harness.analysis.traces import Log, Traces
from reports import sketches
from reports.figures import Drawing
from reports.formats import number, spread
from reports.layout import Column, Table
from reports.sketches import LEGIBLE, Sketch

KINDS: tuple[Kind, ...] = ("identity", "zero", "pooling", "convolution")
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


class Proposals(NamedTuple):
    """The cells that the finished runs of one row ended with, in the order of their worlds."""

    texts: list[str]
    cells: dict[str, tuple[Cell, ...]]


def _proposals(study: Study, benchmark: str, row: str) -> Proposals:
    proposals = study.cells(benchmark, row).values()
    return Proposals([text for text, _ in proposals], dict(proposals))


def operations(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Count the operations of final cells, by kind; None if no row has cells with an operation on every edge."""
    rows = {row: _proposals(study, benchmark, row) for row in study.shared_weights(benchmark)}
    rows = {row: proposals for row, proposals in rows.items() if proposals.texts and _on_every_edge(proposals)}
    if not rows:
        return None
    ((cell,), *_) = next(iter(rows.values())).cells.values()
    edges = WORDS[len(cell.edges)] if len(cell.edges) < len(WORDS) else str(len(cell.edges))
    columns = [Column("method", right=False), Column("runs"), Column("different cells")]
    columns += [Column("skip connections"), Column("none"), Column("pooling"), Column("convolutions"), Column("collapsed")]
    columns += [Column("entropy at the end")]
    table = Table(
        f"Final cells of weight sharing: edges, out of {edges}, with a skip connection, no operation, pooling or a convolution"
        ", mean ± standard deviation (ddof 0) over finished runs. Collapsed: runs, in percent, whose cell has no convolution. "
        "Entropy: of the weights on operations in the last epoch, 1 where all are the same; n/a where a method has none.",
        columns,
    )
    for row, proposals in rows.items():
        counts = {kind: [_count(proposals.cells[text], kind) for text in proposals.texts] for kind in KINDS}
        means = [spread(*mean_std(counts[kind]), 1) for kind in KINDS]
        collapsed = number(100 * float((np.array(counts["convolution"]) == 0).mean()), 0)
        entropies = [logged(search.log, Log.ENTROPY) for search in traces.of(benchmark, row).logging()]
        last = [float(entropy.iloc[-1]) for entropy in entropies if len(entropy)]
        runs = [str(len(proposals.texts)), str(len(proposals.cells))]
        table.add([study.label(row), *runs, *means, collapsed, spread(*mean_std(last), 3) if last else "n/a"])
    return table


def _on_every_edge(proposals: Proposals) -> bool:
    return all(len(cells) == 1 and all(edge.operation for edge in cells[0].edges) for cells in proposals.cells.values())


def _count(cells: tuple[Cell, ...], kind: Kind) -> float:
    return float(sum(edge.operation is not None and edge.operation.kind == kind for cell in cells for edge in cell.edges))


def most_common(study: Study, traces: Traces) -> Drawing | None:
    """Draw, on benchmarks with a judge, the cell that most runs of each row of weight sharing ended with."""
    drawn: list[Sketch] = []
    legends: dict[str, None] = {}
    shown, proposed = set[str](), set[str]()
    for benchmark in study.benchmarks:
        rows = [] if study.untested(benchmark) else study.shared_weights(benchmark)
        for row in rows:
            proposals = _proposals(study, benchmark, row)
            if proposals.texts:
                (text, count), *_ = Counter(proposals.texts).most_common(1)
                shown.add(text)
                proposed |= {*proposals.texts}
                where = f" on {benchmark}" if len(study.benchmarks) > 1 else ""
                for cell in proposals.cells[text]:
                    title = f"{_title(study.label(row) + where, cell)} ({count} of {len(proposals.texts)} runs)"
                    drawn.append(Sketch(row, title, cell))
                legends[study.evidence.spaces[benchmark].legend] = None
    caption = "Final cells of weight sharing: the one that most runs ended with, the first of equals; in brackets how many. "
    caption += " ".join(legends) + _left_out(shown, proposed)
    return Drawing(sketches.render(drawn), caption) if drawn else None


def first(study: Study, traces: Traces) -> Drawing | None:
    """Draw, where cells are trained from scratch, the cells that each row's first finished search proposed."""
    drawn: list[Sketch] = []
    spaces: dict[str, Space] = {}
    shown, proposed = set[str](), set[str]()
    for benchmark in study.benchmarks:
        for row in study.rows(benchmark) if study.untested(benchmark) else []:
            proposals = _proposals(study, benchmark, row)
            cells = next(iter(proposals.cells.values()), ())
            shown |= {*proposals.texts[:1]}
            proposed |= {*proposals.texts}
            drawn += [Sketch(row, _title(study.label(row), cell), cell) for cell in cells]
            if cells:
                space = study.evidence.spaces[benchmark]
                spaces[space.title] = space
    caption = (
        "Cells that the first finished search of each row proposed. "
        + " ".join(map(_explained, spaces.values()))
        + f" Nodes that nothing reaches are left out; more than {WORDS[LEGIBLE]} operations on an edge are counted."
        + _left_out(shown, proposed)
    )
    return Drawing(sketches.render(drawn), caption) if drawn else None


def _left_out(shown: set[str], proposed: set[str]) -> str:
    """Return a sentence with the number of proposed cells that a figure does not draw; empty if it draws them all."""
    absent = len(proposed - shown)
    return f" Not drawn: {absent} of {len(proposed)} different proposals; the page of runs draws the cells of every run." * (
        absent > 0
    )


def _title(row: str, cell: Cell) -> str:
    return f"{row}, {cell.name}" if cell.name else row


def _explained(space: Space) -> str:
    return ": ".join(filter(None, (space.title, space.cells))) + f". {space.legend}"
