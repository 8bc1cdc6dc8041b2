"""What the command line prints besides progress: what there is, what would run, what failed."""

from __future__ import annotations

import multiprocessing
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

from harness import protocol as protocols
from harness import registry
from harness.engine import Task, local
from harness.plan import RETRAINING, Plan, PlannedRow
from harness.registry import MethodInfo
from harness.store import Store


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
    width = max([len(row.spec.row) for row in plan.rows] + [len(row) for *_, row in plan.skipped] + [6]) + 2
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
    for (benchmark, _, row), reason in plan.skipped.items():
        where = f" on {benchmark}" if len(plan.opened) > 1 else ""
        print(f"  {row:{width}}{'–':>7}  not measured here{where}: {reason}")
    trained = any(getattr(opened.problem, "retraining", None) for opened in plan.opened.values())
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
CONTRACT_LIMIT_S = 60.0


def contract(info: MethodInfo) -> bool:
    """The claims of the contract, and which of them ``info`` breaks. True where it keeps them all.

    Checked in a process of its own, so that a method that never ends, or ends its process, is told so too.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_check, args=(info.reference, theirs), daemon=True)
    process.start()
    theirs.close()
    kept, deadline = True, time.monotonic() + CONTRACT_LIMIT_S
    verdict = f"was still busy after {CONTRACT_LIMIT_S:g} s: it does not let BudgetExhausted through, or never asks"
    while ours.poll(max(0.0, deadline - time.monotonic())):
        try:
            message = ours.recv()
        except EOFError:
            process.join()
            verdict = f"ended the process (exit code {process.exitcode})"
            break
        if message is None:
            verdict = ""
            break
        claim, problem = message
        kept = kept and not problem
        print(f"  {'no ' if problem else 'yes'}  {claim}{f': {problem}' if problem else ''}", flush=True)
    process.kill()
    if verdict:
        kept = False
        print(f"  no   the next check: it {verdict}")
    print(f"{info.name} {'keeps' if kept else 'breaks'} the contract")
    return kept


def _check(reference: str, pipe: Connection[Any, Any]) -> None:
    from harness.conformance import check

    for claim in check(registry.method(reference)):
        pipe.send(claim)
    pipe.send(None)


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
