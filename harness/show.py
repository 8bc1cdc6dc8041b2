"""What the command line prints besides progress: what there is, what would run, what failed."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from harness import protocol as protocols
from harness import registry
from harness.engine import Task, local
from harness.plan import RETRAINING, Plan, PlannedRow
from harness.store import Store

if TYPE_CHECKING:
    from harness.conformance.claims import Claim


def everything() -> None:
    """Methods, benchmarks and protocols."""
    found = registry.methods().values()
    width = max(len(info.name) for info in found) + 2
    print(f"{'methods':{width + 2}}{'kind':13}{'what it does':62}paper")
    for info in found:
        summary = textwrap.shorten(info.summary, 60, placeholder=" …")
        print(f"  {info.name:{width}}{info.kind:13}{summary:62}{info.paper}")
        if info.rows != [info.name]:
            print(f"  {'':{width}}rows: {'  '.join(info.rows)}")
    print(f"\n{'benchmarks':{width + 2}}state")
    for benchmark in registry.benchmarks().values():
        print(f"  {benchmark.id:{width}}{benchmark.availability().text}")
    print("\nprotocols")
    named = {
        rules.name + (" (default)" if rules.name == protocols.DEFAULT else ""): rules
        for rules in protocols.protocols().values()
    }
    width = max(width, *(len(name) + 2 for name in named))
    for name, rules in named.items():
        print(f"  {name:{width}}{rules.title}; {rules.seeds} seeds")
    print("\nA method of your own: --methods ./my_method.py   Hyperparameters: --set method.field=value")


def price(plan: Plan, statuses: Mapping[str, str], workers: int) -> None:
    """The plan as a table, with what each row is expected to take here: a search of each is begun, timed and thrown away."""
    for planned in plan.rows:
        planned.done = {run.run_id for run in planned.runs if run.run_id in statuses}
    methods = _count(len({row.spec.method for row in plan.rows if row.spec.kind != RETRAINING}), "method")
    names = list(dict.fromkeys(row.spec.benchmark for row in plan.rows))
    done = plan.total - plan.todo
    rows = _count(len(plan.rows), "row")
    runs = f"{plan.total:,} {'searches and trainings' if plan.trainings else 'searches'}"
    print(f"{plan.protocol.name}: {rows} ({methods}), {runs} on {', '.join(names)}; {done:,} done")
    width = max([len(row.spec.row) for row in plan.rows] + [len(row) for row in plan.skipped] + [6]) + 2
    print(f"  {'row':{width}}{'runs':>7}  {'budget each':24}about")
    total = 0.0
    known: dict[str, float | None] = {row.spec.identity: 0.0 for row in plan.rows if not row.todo}
    sampled = _sampled([row for row in plan.rows if row.todo], workers)
    shown = names[0] if len(names) == 1 else ""
    for planned in plan.rows:
        if planned.spec.benchmark != shown:
            shown = planned.spec.benchmark
            print(f"  {shown}", flush=True)
        while planned.spec.identity not in known:
            known.update([next(sampled)])
        seconds = known[planned.spec.identity]
        rule = planned.spec.budget
        limit = f"{rule['limit']:,.0f} charged {rule['currency']}" if rule["currency"] else "own schedule"
        left = f"{len(planned.todo):,}"
        if seconds is None:
            about = "fails at its first search"
        else:
            total += seconds * len(planned.todo)
            about = f"{_duration(seconds * len(planned.todo))} here"
        print(f"  {planned.spec.row:{width}}{left:>7}  {limit:24}{about}", flush=True)
    for row, reason in plan.skipped.items():
        print(f"  {row:{width}}{'–':>7}  not measured here: {reason}")
    trained = any(getattr(plan.problems[row.spec.benchmark], "retraining", None) for row in plan.rows)
    for stage in plan.protocol.stages if trained else ():
        if stage.name in plan.waiting or not plan.trainings:
            what = f"the best cell of each row by {stage.chosen_by}" if stage.chosen_by else f"every cell that is {stage.what}"
            print(f"  then {stage.name}: {what}, {_count(stage.seeds, 'training')} from scratch, priced once it is known")
    print(f"  {'total':{width}}{plan.todo:>7,}  {'':24}{_duration(total / workers)} on {_count(workers, 'worker')}")


def _sampled(rows: Iterable[PlannedRow], workers: int) -> Iterator[tuple[str, float | None]]:
    """Of each row's identity, the real seconds that one of its searches takes with all workers busy; None where it fails."""
    tasks = (
        Task(row.spec, (row.runs[0] if row.spec.kind == RETRAINING else row.spec.run(-1),), sample_s=SAMPLE_S) for row in rows
    )
    for finished in local(tasks, workers):
        if not isinstance(finished, list):
            spec, _, result = finished
            yield spec.identity, result.wall_seconds if result.status in ("done", "sampled") else None


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return time.strftime("%H h %M min" if seconds >= 3600 else "%M min", time.gmtime(seconds)).lstrip("0")


SAMPLE_S = 1.0


def contract(name: str) -> bool:
    """Print the claims of the contract of a method or a benchmark, and which it breaks. True if it keeps all that were checked.

    Args:
        name: a method, its file, the id of a benchmark, or ``module:function`` that returns benchmarks.
    """
    from harness import conformance

    verdicts = [_verdict(subject, claims) for subject, claims in conformance.of(name)]
    return all(verdicts)


def _verdict(name: str, claims: Iterable[Claim]) -> bool:
    """Print claims as they are checked, and the verdict. True if all that were checked hold."""
    broken = unchecked = 0
    for claim in claims:
        broken, unchecked = broken + bool(claim.problem), unchecked + (not claim.checked)
        answer = "no" if claim.problem else "yes" if claim.checked else "–    not checked:"
        print(f"  {answer:4} {claim.text}{f': {claim.problem}' if claim.problem else ''}", flush=True)
    rest = f" as far as it was checked ({_count(unchecked, 'claim')} not)" if unchecked else ""
    print(f"{name} {'breaks' if broken else 'keeps'} the contract{'' if broken else rest}")
    return not broken


def failures(store: Store) -> None:
    """Every failed run of the store, grouped by row and reason."""
    reasons: dict[tuple[str, str, str, str], list[int]] = {}
    for spec, world, status, error in store.failed():
        where = f"{spec['row']} on {spec['benchmark']}", spec["protocol"]
        reasons.setdefault((*where, status, error), []).append(world)
    for (row, protocol, status, error), worlds in reasons.items():
        shown = ", ".join(map(str, worlds[:10])) + (" …" if len(worlds) > 10 else "")
        print(f"{row}, {protocol}: {len(worlds)} {status} (seeds {shown})")
        print(textwrap.indent(error, "    "))
    if not reasons:
        print("no failed runs")
