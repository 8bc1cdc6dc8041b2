"""The harness's books of a search, to compare with the ledger: its queries, and the charges of its training side.

A search runs in a separate process and could write into everything that it reaches there. So the books are compared after
the search, in a process that the method never touched: every query is repeated there, and every number of the trace must
follow from the results.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.budget import Ledger
from harness.outcome import Trace
from harness.problem import MissingRecord, Oracle
from harness.replay import each_time
from harness.space import Arch
from harness.training import Meter

Queries = list[tuple[Arch, int | None]]
"""Architecture and fidelity of each query for which the oracle had a record, in order."""


class Books:
    """Record of every query of the oracle, and of every charge of the training side."""

    __slots__ = ("queries", "trained", "_oracle")

    def __init__(self, oracle: Oracle | None) -> None:
        self.queries: Queries = []
        self.trained: dict[str, float] = {}
        """Amounts that the training side has charged, by currency."""
        self._oracle = oracle

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        """Query the oracle, and note the query if it has a record. See :meth:`harness.problem.Oracle.measure`."""
        if self._oracle is None:
            raise MissingRecord("this benchmark has no oracle: methods train through view.task")
        measured = self._oracle.measure(arch, fidelity, asked)
        self.queries.append((arch, fidelity))
        return measured

    def meter(self, ledger: Ledger) -> Meter:
        """Return the function through which the training side charges: first the ledger, then the books.

        A step that a device replays is charged each time.
        """

        def charge(queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float) -> None:
            ledger.charge(queries, seconds, epochs, macs, **extra)
            for name, amount in {"queries": queries, "seconds": seconds, "epochs": epochs, "macs": macs, **extra}.items():
                if amount:
                    self.trained[name] = self.trained.get(name, 0.0) + amount

        return each_time(charge)


@dataclass(frozen=True)
class Booked:
    """Ledger and trace of a search, and the books of the harness."""

    trace: Trace
    spent: Mapping[str, float]
    queries: Queries
    trained: Mapping[str, float] = field(default_factory=dict)


def mismatch(booked: Booked, oracle: Oracle | None, rule: Mapping[str, Any]) -> str:
    """Return how ledger, trace and books disagree, or an empty string.

    Args:
        oracle: the search side in the run's world, which the method never reached.
        rule: the budget: ``currency``, ``limit``, ``policy``.
    """
    trace, spent = booked.trace, booked.spent
    booked_queries = len(trace.accuracy)
    if not booked_queries <= len(booked.queries) <= booked_queries + 1:  # the query that the budget refused is not booked
        return f"the oracle was queried {len(booked.queries)} times, the trace has {booked_queries} queries"
    total = dict.fromkeys(("queries", "seconds", "epochs", "macs"), 0.0) | dict.fromkeys(spent, 0.0)
    earlier: Counter[Any] = Counter()
    for number, (arch, fidelity) in enumerate(booked.queries[:booked_queries]):
        assert oracle is not None
        accuracy, seconds, epochs, macs = oracle.measure(arch, fidelity, earlier[arch, fidelity])
        earlier[arch, fidelity] += 1
        for name, amount in (("queries", 1), ("seconds", seconds), ("epochs", epochs), ("macs", macs)):
            total[name] += amount
        reported = trace.accuracy[number]
        if reported != accuracy and (reported == reported or accuracy == accuracy):  # NaN is not equal to itself
            return f"query {number + 1} returned {accuracy}, the trace says {reported}"
        if not booked.trained and trace.seconds[number] != total["seconds"]:
            return f"query {number + 1} ended at {total['seconds']} charged seconds, the trace says {trace.seconds[number]}"
    for name, amount in booked.trained.items():
        total[name] = total.get(name, 0.0) + amount
    for name, amount in total.items():
        if not math.isclose(amount, spent.get(name, 0.0), rel_tol=1e-9, abs_tol=1e-9):
            return f"{amount:g} {name} were charged, the ledger says {spent.get(name, 0.0):g}"
    currency = rule["currency"]
    if currency is not None and rule["policy"] != "allow_last" and total.get(currency, 0.0) > rule["limit"] * (1 + 1e-9):
        return f"{total[currency]:g} {currency} were charged, the limit is {rule['limit']:g}"
    return _disorder(trace, total)


def _disorder(trace: Trace, total: Mapping[str, float]) -> str:
    """Return what is wrong with the moments of the proposals, or an empty string."""
    moments = [(proposal.queries, proposal.seconds) for proposal in trace.proposals]
    if any(later[0] < earlier[0] or later[1] < earlier[1] for earlier, later in itertools.pairwise(moments)):
        return "the proposals are not in order of time"
    if moments and not (moments[0] >= (0, 0.0) and moments[-1][0] <= total["queries"]):
        return f"a proposal was made after {moments[-1][0]} queries, and there were {total['queries']:g}"
    if moments and moments[-1][1] > total["seconds"] * (1 + 1e-9) + 1e-9:
        return f"a proposal was made at {moments[-1][1]:g} charged seconds, and the search ended at {total['seconds']:g}"
    return ""
