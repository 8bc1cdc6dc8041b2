"""The harness's own books of a search: what the oracle answered and what training charged, to hold against the ledger.

A search runs in its own process and could write into everything that it reaches there. So the books are compared after
the search, in a process that the method never touched: the oracle is asked once more what it answered, and every number of
the trace must follow from that.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.budget import Budget
from harness.outcome import Trace
from harness.problem import MissingRecord, Oracle
from harness.space import Arch
from harness.training import Meter

Answers = list[tuple[Arch, int | None]]
"""Architecture and fidelity of each query that the oracle answered, in order."""


class Books:
    """Notes every answer of the oracle, and every charge of the training side."""

    __slots__ = ("answers", "trained", "_oracle")

    def __init__(self, oracle: Oracle | None) -> None:
        self.answers: Answers = []
        self.trained: dict[str, float] = {}
        """By currency, what the training side has charged."""
        self._oracle = oracle

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        """Ask the oracle, and note that it answered. See :meth:`harness.problem.Oracle.measure`."""
        if self._oracle is None:
            raise MissingRecord("this benchmark answers no queries: methods train through view.task")
        answer = self._oracle.measure(arch, fidelity, asked)
        self.answers.append((arch, fidelity))
        return answer

    def meter(self, ledger: Budget) -> Meter:
        """Return what the training side charges through: the ledger, then the books."""

        def charge(queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float) -> None:
            ledger.charge(queries, seconds, epochs, macs, **extra)
            for name, amount in {"queries": queries, "seconds": seconds, "epochs": epochs, "macs": macs, **extra}.items():
                if amount:
                    self.trained[name] = self.trained.get(name, 0.0) + amount

        return charge


@dataclass(frozen=True)
class Booked:
    """What a search says that it did, and what the harness noted."""

    trace: Trace
    spent: Mapping[str, float]
    answers: Answers
    trained: Mapping[str, float] = field(default_factory=dict)


def mismatch(booked: Booked, oracle: Oracle | None, rule: Mapping[str, Any]) -> str:
    """Return how ledger, trace and books disagree, or an empty string.

    Args:
        oracle: the search side in the run's world, which the method never reached.
        rule: the budget: ``currency``, ``limit``, ``policy``.
    """
    trace, spent = booked.trace, booked.spent
    booked_queries = len(trace.accuracy)
    if not booked_queries <= len(booked.answers) <= booked_queries + 1:  # the query that the budget refused is not booked
        return f"the oracle answered {len(booked.answers)} queries, the trace holds {booked_queries}"
    total = dict.fromkeys(("queries", "seconds", "epochs", "macs"), 0.0) | dict.fromkeys(spent, 0.0)
    asked: Counter[Any] = Counter()
    for number, (arch, fidelity) in enumerate(booked.answers[:booked_queries]):
        assert oracle is not None
        accuracy, seconds, epochs, macs = oracle.measure(arch, fidelity, asked[arch, fidelity])
        asked[arch, fidelity] += 1
        for name, amount in (("queries", 1), ("seconds", seconds), ("epochs", epochs), ("macs", macs)):
            total[name] += amount
        said = trace.accuracy[number]
        if said != accuracy and (said == said or accuracy == accuracy):  # NaN is not equal to itself
            return f"query {number + 1} was answered {accuracy}, the trace says {said}"
        if not booked.trained and trace.seconds[number] != total["seconds"]:
            return f"query {number + 1} ended at {total['seconds']} charged seconds, the trace says {trace.seconds[number]}"
    for name, amount in booked.trained.items():
        total[name] = total.get(name, 0.0) + amount
    for name, amount in total.items():
        if not math.isclose(amount, spent.get(name, 0.0), rel_tol=1e-9, abs_tol=1e-9):
            return f"{amount:g} {name} were charged, the ledger says {spent.get(name, 0.0):g}"
    currency = rule["currency"]
    if currency is not None and rule["policy"] == "refuse" and total.get(currency, 0.0) > rule["limit"] * (1 + 1e-9):
        return f"{total[currency]:g} {currency} were charged, the limit is {rule['limit']:g}"
    return _disorder(trace, total)


def _disorder(trace: Trace, total: Mapping[str, float]) -> str:
    """What is impossible about the moments of the proposals."""
    moments = [(proposal.queries, proposal.seconds) for proposal in trace.proposals]
    if any(later[0] < earlier[0] or later[1] < earlier[1] for earlier, later in itertools.pairwise(moments)):
        return "the proposals are not in order of time"
    if moments and not (moments[0] >= (0, 0.0) and moments[-1][0] <= total["queries"]):
        return f"a proposal was made after {moments[-1][0]} queries, and there were {total['queries']:g}"
    if moments and moments[-1][1] > total["seconds"] * (1 + 1e-9) + 1e-9:
        return f"a proposal was made at {moments[-1][1]:g} charged seconds, and the search ended at {total['seconds']:g}"
    return ""
