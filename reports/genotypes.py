"""Drawings of cells of the DARTS space, from the genotypes that searches proposed."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reports.figures import Drawing, Panel, render
from reports.study import Study
from reports.traces import Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHORT = {"max_pool_3x3": "max", "avg_pool_3x3": "avg", "skip_connect": "skip", "sep_conv_3x3": "sep 3", "sep_conv_5x5": "sep 5"}
SHORT |= {"dil_conv_3x3": "dil 3", "dil_conv_5x5": "dil 5"}

LEGIBLE = 3
"""Operations that are named on one edge; more are counted."""

PLACES = ((0.0, 0.8), (0.0, -0.8), (1.1, 0.9), (2.0, -0.9), (2.9, 0.9), (3.8, -0.9), (4.9, 0.0))
"""Where the two inputs, the four nodes and the output are drawn."""

NAMES = ("k−2", "k−1", "0", "1", "2", "3", "out")

Edges = list[tuple[int, int, str]]


def edges(text: str) -> dict[str, Edges]:
    """For ``normal`` and ``reduce`` the (source, target, operation) of a genotype; nothing for other architectures.

    The output, number 6, has an edge without operation from every node that it concatenates.
    """
    if not text.startswith("Genotype("):
        return {}
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    fields = {keyword.arg: keyword.value for keyword in call.keywords}
    found = {}
    for name in ("normal", "reduce"):
        cell = ast.literal_eval(fields[name])
        nodes = [cell[at : at + 2] for at in range(0, 8, 2)] if isinstance(cell[0], tuple) else cell
        concat = fields[f"{name}_concat"]
        kept = ast.literal_eval(concat) if isinstance(concat, ast.List) else range(2, 6)
        found[name] = [(source, target, op) for target, node in enumerate(nodes, 2) for op, source in node]
        found[name] += [(source, 6, "") for source in kept]
    return found


def drawings(study: Study, traces: Traces) -> Drawing | None:
    """Draw both cells that each row's first finished search ended with; None where no genotypes are."""
    panels = []
    for benchmark in study.benchmarks:
        for row in study.rows(benchmark):
            searches = study.searches(benchmark, row)
            done = searches[searches["status"] == "done"].sort_values("world")
            for name, cell in edges(str(done["arch"].iloc[0])).items() if len(done) else ():
                panels.append(Panel(f"{study.label(row)}, {name}", "", "", _draw(cell)))
    caption = (
        "Cells of the DARTS space, as the first finished search of each row proposed them: normal and reduction cell. k−2 and "
        "k−1 are the outputs of the two cells before; dotted lines lead to the output, which concatenates. Nodes that nothing "
        "reaches are left out; more than three operations on an edge are counted."
    )
    return Drawing("genotypes", render(study, panels, across=4), caption) if panels else None


def _draw(cell: Edges) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        panel.set_axis_off()
        panel.set_xlim(-0.5, 5.4)
        panel.set_ylim(-1.6, 1.6)
        pairs: dict[tuple[int, int], list[str]] = {}
        for source, target, op in cell:
            pairs.setdefault((source, target), []).append(SHORT.get(op, op))
        for (source, target), ops in pairs.items():
            arrow: dict[str, Any] = {"arrowstyle": "->", "shrinkA": 6, "shrinkB": 6, "linewidth": 0.7}
            arrow |= {"linestyle": ":", "color": "0.5"} if target == 6 else {"connectionstyle": "arc3,rad=0.12"}
            panel.annotate("", PLACES[target], PLACES[source], arrowprops=arrow)
            (x0, y0), (x1, y1) = PLACES[source], PLACES[target]
            share = 0.3 + 0.1 * source  # edges that cross have their names in different places
            look = {"boxstyle": "round,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
            text = "\n".join(filter(None, ops)) if len(ops) <= LEGIBLE else f"{len(ops)} ops"
            if text:
                panel.text(
                    x0 + share * (x1 - x0), y0 + share * (y1 - y0), text, ha="center", va="center", fontsize=5, bbox=look
                )
        drawn = {0, 1, 6} | {state for source, target, _ in cell for state in (source, target)}
        for state in sorted(drawn):
            circle = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "black", "linewidth": 0.6}
            panel.text(*PLACES[state], NAMES[state], ha="center", va="center", fontsize=6, bbox=circle)
        return {}

    return draw
