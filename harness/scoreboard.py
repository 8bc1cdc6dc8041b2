"""Collect what the scoreboard compares: the evidence of every protocol in some stores, and what an unmeasured number needs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness import protocols, provenance, registry
from harness.analysis.evidence import Evidence
from harness.analysis.names import target_name
from harness.analysis.published import load
from harness.analysis.scoreboard import Way
from harness.analysis.study import Study, other_images
from harness.cache import data_roots
from harness.current import current
from harness.frames import collect
from harness.library import libraries
from harness.plan import make
from harness.problem import Problem
from harness.store import Store
from reports import report, scoreboard
from reports.layout import MARKDOWN


def write(to: Path, stores: Sequence[Store], known: Evidence | None = None) -> Path:
    """Write the scoreboard of some stores into a folder, and return its file.

    Args:
        known: evidence that was collected already from the only store.
    """
    studies = [Study(evidence, load()) for store in stores for evidence in evidences(store, known)]
    near = [path.parent for folder in (to, to.resolve().parent) for path in sorted(folder.glob(f"*/{MARKDOWN}"))]
    pages = {folder.name: os.path.relpath(folder, to) for folder in reversed(near)}
    blocks = scoreboard.blocks(studies, load(), way, pages)
    return report.write_page(to / "scoreboard.md", "Scoreboard of the papers' numbers", blocks)


def evidences(store: Store, known: Evidence | None = None) -> Iterator[Evidence]:
    """Yield the evidence of every protocol of a store, and of every other budget that it was run under."""
    names = dict.fromkeys(str(spec["protocol"]) for spec in store.specs().values())
    for rules in (protocols.protocol(name) for name in names if name in protocols.protocols()):
        benchmarks = {str(spec["benchmark"]) for spec in store.specs().values() if spec["protocol"] == rules.name}
        searched = sorted(benchmarks & {benchmark for part in rules.parts for benchmark in part.benchmarks})
        if not searched:
            continue
        plan = make(rules, everything=True, benchmarks=searched, report_only=True)
        others = {
            (spec["benchmark"], _as_given(spec["budget"], plan.opened[spec["benchmark"], spec["kind"]].problem))
            for spec in current(plan, store).other_budgets.values()
            if spec["budget"]["currency"] is not None
        }
        same = known is not None and (known.page.protocol, known.page.modified) == (rules.name, "")
        yield known if known and same else collect(plan, store, provenance.gather())
        for name, budget in sorted(others):
            plan = make(rules.with_budget(budget), everything=True, benchmarks=[name], report_only=True)
            yield collect(plan, store, provenance.gather())


def _as_given(rule: Mapping[str, Any], problem: Problem) -> str:
    """Return a limit as ``--budget`` names it: in mean trainings if it is a whole number of them. Folders have that name."""
    cost = problem.mean_cost if rule["currency"] == problem.clock_currency else None
    trainings = round(rule["limit"] / cost) if cost else 0
    exact = cost is not None and trainings > 0 and trainings * cost == rule["limit"]
    return f"trainings={trainings}" if exact else f"{rule['currency']}={rule['limit']!r}"


def way(protocol: str, benchmark: str, rows: Sequence[str], data: str, sets: int = 1) -> Way:
    """Return what this machine lacks for the rows, and the arguments of their command (a ``WayTo``)."""
    changed = [row.removesuffix("]").partition("[") for row in rows]
    trains = any(registry.method(name.partition(":")[0]).kind == "one-shot" for name, _, _ in changed)
    device = " --device cuda" * (trains and not registry.benchmark(benchmark).embedded)
    images = [benchmark.partition("/")[2], data] if device else [""]
    lacking = dict.fromkeys(absent for name in images for absent in _lacking(benchmark, name))
    needs = ", ".join(["a GPU"] * bool(device) + [*lacking])
    arguments = f"--protocol {protocol} --benchmarks {benchmark}"
    if not any(part.changes for part in protocols.protocol(protocol).parts):  # else its rows are compared with each other
        arguments += f" --methods {','.join(dict.fromkeys(name for name, _, _ in changed))}"
        arguments += "".join(f" --set {name}.{change}" for name, _, texts in changed for change in texts.split(",") if change)
    searches = sets * max((stage.sets_of for stage in protocols.protocol(protocol).stages), default=0)
    return Way(f"needs {needs}" if needs else "", arguments + f" --seeds {searches}" * (sets > 1) + device)


@cache
def _lacking(benchmark: str, data: str) -> tuple[str, ...]:
    """Return what is missing in the data folders: the table of a benchmark, the images of a data set."""
    known = {_plain(source.needed_by) for library in libraries() for source in library.sources()}
    states = [state for library in libraries() for state in library.state()]
    present = {_plain(state.needed_by) for state in states if not other_images(state.text)}
    folder = any((root / data).is_dir() for root in data_roots())  # images that no library imports
    table = () if registry.benchmark(benchmark).availability().ready else (f"the data of {benchmark}",)
    here = not data or (_plain(data) in present if _plain(data) in known else folder)
    lossy = any(_plain(state.needed_by) == _plain(data) for state in states)
    return table if here else (*table, f"the {'original ' * lossy}images of {target_name(data)}")


def _plain(name: str) -> str:
    return name.lower().replace("-", "")
