"""Run one search of a method on a benchmark, and judge its proposals."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import threading
import time
import traceback
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType
from typing import Any

from harness import registry
from harness.books import Booked, Books, mismatch
from harness.budget import BudgetExhausted, BudgetTooSmall, Ledger, rounded_up
from harness.checkpoint import File
from harness.delivery import Delivery
from harness.errors import UserError
from harness.outcome import TOO_SMALL, Outcome, Proposal, Result, Trace, printable
from harness.problem import Judge, Problem
from harness.space import Arch
from harness.spec import RowSpec, RunSpec
from harness.view import SearchView


class WallLimit(BaseException):
    """The protocol's real-time limit of one search has passed."""


def execute(
    row: RowSpec, run: RunSpec, checkpoints: Path | None = None, report: Callable[[float], None] | None = None
) -> Result:
    """Search, then judge the proposals, both in this process. See :func:`search` and :func:`judge`."""
    return judge(row, run, search(row, run, checkpoints, report))


def search(
    row: RowSpec,
    run: RunSpec,
    checkpoints: Path | None = None,
    report: Callable[[float], None] | None = None,
    started: Callable[[], None] = lambda: None,
) -> Outcome:
    """Let the row's method search. A fault of the method becomes a status, never an exception.

    Args:
        checkpoints: the folder where a long search saves its state, from which a killed search resumes.
        report: takes the share (0 to 1) of a long search that is done.
        started: called when everything is open, before the search begins.

    Raises:
        UserError: the benchmark's data changed since the plan was made.
    """
    problem = open_problem(row)
    info = registry.method(row.method)
    method = registry.build(info, row.settings)
    rule = row.budget
    ledger = Ledger(rule["currency"], rule["limit"], rule["policy"])
    side = problem.training if row.kind != "multi-trial" else None
    oracle = problem.oracle(run.world_seed)
    trace, books = Trace(), Books(oracle)
    view = SearchView(
        problem.space,
        ledger,
        oracle,
        run.method_seed,
        info.proposes,
        task=partial(side, run.world_seed, row.device) if side else None,
        trace=trace,
        books=books,
        checkpoint=checkpoint_file(checkpoints, run) if checkpoints else None,
        report=report,
    )
    status, text = "done", ""
    started()
    start = time.perf_counter()
    try:
        with wall_limit(row.wall_limit_s):
            returned = method.search(view)
            if returned is not None:
                view.propose(returned)
    except BudgetTooSmall as error:
        status, text = TOO_SMALL, str(error)
    except BudgetExhausted:
        if not trace.proposals and (side or not ledger.spent(rule["currency"])):
            status, text = TOO_SMALL, f"needs more than {rounded_up(ledger.wanted)} {rule['currency']} until its first proposal"
    except WallLimit:
        status, text = "timeout", f"still searching after {row.wall_limit_s:g} s of real time, the limit of {row.protocol}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # any exception of a method, SystemExit too, costs only its own run
        status, text = "failed", without_harness(error)
    wall = time.perf_counter() - start
    spent = {name: ledger.spent(name) for name in ("queries", "seconds", "epochs", "macs", *ledger.extra)}
    return Outcome(status, trace, spent, books.queries, books.trained, wall, text)


def judge(row: RowSpec, run: RunSpec, outcome: Outcome) -> Result:
    """Compare the outcome's ledger with the harness's books, then score the proposals with the test values.

    The engine calls this in a process that the method never touched.
    """
    problem = open_problem(row)
    result = Result(
        run.run_id,
        outcome.status,
        wall_seconds=outcome.wall_seconds,
        spent=outcome.spent,
        error=printable(outcome.error),
    )
    try:
        booked = Booked(outcome.trace, outcome.spent, outcome.queries, outcome.trained)
        if outcome.status == "done" and (reason := mismatch(booked, problem.oracle(run.world_seed), row.budget)):
            result.status, result.error = "rejected", f"ledger: {reason}"
        elif outcome.trace.proposals and outcome.status != TOO_SMALL:
            _score(result, outcome.trace, problem, run.world_seed, row.budget)
            if outcome.status == "done" and outcome.trace.delivery:
                _score_network(result, outcome.trace.delivery, outcome.trace.proposals[-1].arch, problem.judge, row.device)
        elif outcome.status == "done":
            result.status, result.error = "failed", "the method ended without proposing an architecture"
    except Exception as error:
        result.status, result.error = "failed", printable(f"what it proposed cannot be judged: {without_harness(error)}")
    return result


@lru_cache(maxsize=4)
def _problem(benchmark: str, search: str, judge: str, checksum: str) -> Problem:
    """Open a benchmark. One entry per checksum: a process may meet a benchmark on several tables, one after the other."""
    return registry.benchmark(benchmark).open(json.loads(search), json.loads(judge))


def open_problem(row: RowSpec) -> Problem:
    """Return the row's benchmark, opened once per process."""
    problem = _problem(row.benchmark, json.dumps(row.search), json.dumps(row.judge), row.checksum)
    if problem.checksum != row.checksum:
        raise UserError(f"the data of {row.benchmark} changed while it was being searched; start again")
    return problem


def checkpoint_file(folder: Path, run: RunSpec) -> File:
    """Return the checkpoint of a run."""
    return File(folder / f"{run.run_id}.ckpt", run.run_id)


def _score(result: Result, trace: Trace, problem: Problem, world: int, rule: Mapping[str, Any]) -> None:
    judge, space = problem.judge, problem.space
    last = trace.proposals[-1]
    result.arch = space.to_str(last.arch)
    judged = [judge.score(proposal.arch, world) for proposal in trace.proposals]
    result.scores = judged[-1]
    if rule["interpolate"] and rule["currency"] == "seconds" and trace.seconds and trace.seconds[-1] >= rule["limit"]:
        result.scores = _interpolate(trace, judged, rule["limit"], judge)
    result.trace = {
        "seconds": trace.seconds,
        "accuracy": array("f", trace.accuracy),  # to the fifth decimal: they are half of the store's size
        "proposal_queries": [proposal.queries for proposal in trace.proposals],
        "proposal_seconds": [proposal.seconds for proposal in trace.proposals],
        **{f"{target}/test": [scores[target]["test"] for scores in judged] for target in judged[0]},
    }
    if trace.probes:
        result.trace |= _probed(trace, judge, world)
    names = sorted({name for row in trace.scalars for name in row})
    for name in names:
        result.trace[f"log/{name}"] = [row.get(name, math.nan) for row in trace.scalars]


def _score_network(result: Result, delivery: Delivery, proposed: Arch, judge: Judge, device: str) -> None:
    """Add the test accuracy of the delivered network, its size and its digest. The network itself is not kept."""
    try:
        if flaw := delivery.flaw(proposed):
            raise ValueError(flaw)
        for target, scores in judge.score_network(delivery, device).items():
            result.scores[target] |= scores
    except ValueError as error:  # the delivery is wrong
        result.status, result.error = "failed", printable(f"the network that it delivered cannot be judged: {error}")
        return
    except Exception as error:  # such as a lack of memory: the cell is still the result of a whole search
        result.error = printable(f"the network that it delivered was not tested: {without_harness(error)}")
    digest = hashlib.sha256(delivery.weights).digest()
    result.trace |= {"delivered/bytes": [len(delivery.weights)], "delivered/sha256": list(digest)}


def _probed(trace: Trace, judge: Judge, world: int) -> dict[str, list[float]]:
    judged = [judge.score(probe.arch, world) for probe in trace.probes]
    numbers = zip(*(probe.arch for probe in trace.probes), strict=True)
    return {
        "probe/shared": [probe.shared for probe in trace.probes],
        "probe/shared_loss": [probe.loss for probe in trace.probes],
        **{f"probe/{target}": [scores[target]["test"] for scores in judged] for target in judged[0]},
        **{f"probe/at/{k}": list(map(float, column)) for k, column in enumerate(numbers)},
    }


def probed(trace: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """Return the architectures that a stored run probed."""
    columns: list[Any] = []
    while f"probe/at/{len(columns)}" in trace:
        columns.append(trace[f"probe/at/{len(columns)}"])
    return [tuple(int(number) for number in arch) for arch in zip(*columns, strict=True)]


def _interpolate(
    trace: Trace, judged: list[dict[str, dict[str, float]]], limit: float, judge: Judge
) -> dict[str, dict[str, float]]:
    """Return the scores at the limit, on the line through the incumbents after the two queries nearest to it (NATS-Bench).

    The search must have reached the limit. The rank of an interpolated accuracy is not defined: it is NaN.
    """
    nearest = sorted(range(len(trace.seconds)), key=lambda i: abs(trace.seconds[i] - limit))[:2]
    points = [(trace.seconds[i], _incumbent(trace.proposals, i + 1)) for i in nearest]
    if len(points) < 2 or points[0][0] == points[1][0] or None in (points[0][1], points[1][1]):
        return judged[-1]
    (t1, k1), (t2, k2) = points
    a, b = judged[k1 or 0], judged[k2 or 0]
    share = (limit - t1) / (t2 - t1)
    scores = {}
    for target in a:
        mixed = {metric: a[target][metric] + share * (b[target][metric] - a[target][metric]) for metric in ("valid", "test")}
        scores[target] = {**mixed, "regret": judge.optimum[target] - mixed["test"], "rank": math.nan}
    return scores


def _incumbent(proposals: list[Proposal], queries: int) -> int | None:
    """Return the position of the proposal in force after ``queries`` queries."""
    earlier = [k for k, proposal in enumerate(proposals) if proposal.queries <= queries]
    return earlier[-1] if earlier else None


@contextmanager
def wall_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`WallLimit` in the body after ``seconds`` of real time, and again every second until the body ends.

    It works in the main thread of a system with interval timers. Elsewhere the engine's deadline is the only one.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_: int, __: FrameType | None) -> None:
        raise WallLimit

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def without_harness(error: BaseException) -> str:
    """Return the traceback below ``execute``, which ends in the error."""
    below = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, below)).strip()
