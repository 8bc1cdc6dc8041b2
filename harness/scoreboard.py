"""Collect what the scoreboard compares: the evidence of every protocol in some stores, and what an unmeasured number needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness import protocols, provenance, registry
from harness.current import current
from harness.errors import UserError
from harness.frames import collect
from harness.library import libraries
from harness.opening import open_benchmark
from harness.plan import Plan, make
from harness.store import Store
from reports import report, scoreboard
from reports.evidence import Evidence
from reports.formats import target_name
from reports.published import load
from reports.study import Study


def write(to: Path, stores: Sequence[Store], known: Mapping[tuple[Store, str], Evidence] | None = None) -> Path:
    """Write the scoreboard of some stores into a folder, and return its file.

    Args:
        known: evidence that was collected already, by store and title of its rules.
    """
    studies = [Study(evidence, load()) for store in stores for evidence in evidences(store, known or {})]
    return report.write_page(to / "scoreboard.md", "Scoreboard of the papers' numbers", scoreboard.blocks(studies, load(), way))


def evidences(store: Store, known: Mapping[tuple[Store, str], Evidence]) -> Iterator[Evidence]:
    """Yield the evidence of every protocol of a store, and of every other budget that it was run under."""
    names = dict.fromkeys(str(spec["protocol"]) for spec in store.specs().values())
    for name in (name for name in names if name in protocols.protocols()):
        rules = protocols.protocol(name)
        benchmarks = {str(spec["benchmark"]) for spec in store.specs().values() if spec["protocol"] == name}
        searched = sorted(benchmarks & {benchmark for part in rules.parts for benchmark in part.benchmarks})
        if not searched:
            continue
        plan = make(rules, everything=True, benchmarks=searched, report_only=True)
        others = {
            (spec["benchmark"], f"{spec['budget']['currency']}={spec['budget']['limit']!r}")
            for spec in current(plan, store).other_budgets.values()
        }
        plans = [plan, *(_under(name, benchmark, budget) for benchmark, budget in sorted(others) if "None" not in budget)]
        for plan in plans:
            yield known.get((store, plan.protocol.name + plan.protocol.modified)) or collect(plan, store, provenance.gather())


def _under(name: str, benchmark: str, budget: str) -> Plan:
    rules = protocols.protocol(name).with_budget(budget)
    return make(rules, everything=True, benchmarks=[benchmark], report_only=True)


def way(line: Mapping[str, Any], row: str) -> scoreboard.Way:
    """Return what this machine lacks for a row of a printed line, and the arguments of the command that measures it."""
    info = registry.method(row.partition("[")[0].partition(":")[0])
    benchmark = registry.benchmark(line["benchmark"])
    needs = [] if benchmark.availability().ready else [f"the data of {line['benchmark']}"]
    if device := " --device cuda" * (info.kind == "one-shot" and not benchmark.embedded):
        needs.append("a GPU")
    data = line["target"] if line["recipe"] else line["benchmark"].partition("/")[2]
    if info.kind == "one-shot" and not _images(line["benchmark"], data, line["recipe"].partition(";")[0]):
        needs.append(f"the images of {target_name(data)}")
    base, _, changes = row.removesuffix("]").partition("[")
    changed = " ".join(f"--set {base}.{change}" for change in filter(None, changes.split(",")))
    arguments = f"--protocol {line['protocol']} --benchmarks {line['benchmark']} --methods {base} {changed}".rstrip()
    return scoreboard.Way(f"needs {' and '.join(needs)}" if needs else "", arguments + device)


@cache
def _images(benchmark: str, data: str, recipe: str) -> bool:
    """Return whether the images of a data set are here. Imports none."""
    known = {_plain(source.needed_by) for library in libraries() for source in library.sources()}
    present = {_plain(state.needed_by) for library in libraries() for state in library.state()}
    if _plain(data) in known:
        return _plain(data) in present
    try:  # a folder that no library imports
        retraining = open_benchmark(benchmark, {}, {}).retraining
        return retraining is None or bool(retraining.describe(recipe, "test", data))
    except UserError:
        return False


def _plain(name: str) -> str:
    return name.lower().replace("-", "")
