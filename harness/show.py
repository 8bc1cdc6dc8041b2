"""What the command line prints besides progress: what there is, what would run, what failed."""

from __future__ import annotations

import multiprocessing
import textwrap
import time
from multiprocessing.connection import Connection
from typing import Any

from harness import protocol as protocols
from harness import registry
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
