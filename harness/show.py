"""Print methods and benchmarks, verdicts of checks, and failed runs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness import protocols, registry
from harness.store import Store

if TYPE_CHECKING:
    from harness.testing.claims import Claim


def everything() -> None:
    """Print methods, benchmarks and protocols."""
    infos = registry.methods().values()
    width = max(len(info.name) for info in infos) + 2
    print(f"{'methods':{width + 2}}{'kind':13}{'what it does':62}paper")
    for info in infos:
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


def contract(name: str) -> bool:
    """Print the claims of the contract of a method or a benchmark, and which it breaks. Return True if it breaks none.

    Args:
        name: a method, its file, the id of a benchmark, or ``module:function`` that returns benchmarks.
    """
    from harness.testing.check import claims_of

    verdicts = [_verdict(subject, claims) for subject, claims in claims_of(name)]
    return all(verdicts)


def _verdict(name: str, claims: Iterable[Claim]) -> bool:
    """Print claims as they are checked, and the verdict. Return True if none is broken."""
    broken = unchecked = 0
    for claim in claims:
        broken, unchecked = broken + bool(claim.problem), unchecked + (not claim.checked)
        verdict = "no" if claim.problem else "yes" if claim.checked else "–    not checked:"
        print(f"  {verdict:4} {claim.text}{f': {claim.problem}' if claim.problem else ''}", flush=True)
    rest = f" as far as it was checked ({unchecked} claim{'s' * (unchecked != 1)} not)" if unchecked else ""
    print(f"{name} {'breaks' if broken else 'keeps'} the contract{'' if broken else rest}")
    return not broken


def failures(store: Store) -> None:
    """Print every failed run of the store, grouped by row and reason."""
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
