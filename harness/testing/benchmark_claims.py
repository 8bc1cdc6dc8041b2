"""The contract of a benchmark with recorded values: its claims, checked on a problem that was opened under a protocol.

:class:`harness.testing.suites.benchmarks.BenchmarkContract` makes a test of each claim.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from harness import protocols
from harness.budget import Ledger
from harness.opening import opened
from harness.problem import Benchmark, MissingRecord, Problem
from harness.space import Arch, SearchSpace
from harness.testing.claims import Claim, problem_of, require, sentence_of
from harness.testing.reach import is_judge, reachable
from harness.view import SearchView

WORLDS = (1, 2**40 + 3)
SAMPLES = 50


def check(benchmark: Benchmark) -> Iterator[Claim]:
    """Yield each claim of the contract, and how the benchmark breaks it.

    Raises:
        UserError: the benchmark cannot be opened.
    """
    search, judge, protocol = _tables(benchmark)
    problem = opened(benchmark, search, judge)
    yield Claim(f"can be opened{f' under {protocol}' if protocol else ''} and has what the harness reads")
    archs = recorded(problem)
    require(bool(archs), "it has no record of any architecture that its space samples")
    for claim in (samples_are_members, strings_round_trip, mutations_are_neighbours):
        yield Claim(sentence_of(claim), problem_of(claim, problem.space, archs))
    if problem.oracle(WORLDS[0]) is None:
        yield Claim("its oracle: nothing can be looked up", checked=False)
    else:
        for rule in (queries_depend_on_what_is_asked, worlds_differ_if_drawn, costs_are_positive, none_is_the_last_fidelity):
            yield Claim(sentence_of(rule), problem_of(rule, problem, archs))
        yield Claim(sentence_of(less_training_costs_less), problem_of(less_training_costs_less, problem, archs[:5]))
        for rule in (judge_agrees_with_itself, view_leads_to_no_test_value):
            yield Claim(sentence_of(rule), problem_of(rule, problem, archs))
    if problem.training is not None:
        yield Claim("its training side: run a weight-sharing method on it, such as --methods rsps", checked=False)


def _tables(benchmark: Benchmark) -> tuple[Any, Any, str]:
    """Return the search table, the judge table and the name of a protocol that names the benchmark; empty without one."""
    candidates = [
        (part, rules) for rules in protocols.protocols().values() for part in rules.parts if benchmark.id in part.benchmarks
    ]
    part, rules = min(candidates, key=lambda pair: pair[0].kind != "multi-trial", default=(None, None))
    return (part.search, rules.judge, rules.name) if part and rules else ({}, {}, "")


def sampled(problem: Problem, n: int = SAMPLES) -> list[Arch]:
    """Return ``n`` architectures that the space samples."""
    rng = random.Random(5)
    return [problem.space.sample(rng) for _ in range(n)]


def recorded(problem: Problem, n: int = SAMPLES) -> list[Arch]:
    """Return up to ``n`` sampled architectures with a record; without an oracle, ``n`` sampled architectures."""
    oracle, archs = _oracle(problem, WORLDS[0]), []
    for arch in sampled(problem, 10 * n):
        with contextlib.suppress(MissingRecord):
            if oracle is not None:
                oracle.measure(arch, None, 0)
            archs.append(arch)
    return archs[:n]


def secret_values(problem: Problem, archs: Sequence[Arch]) -> set[float]:
    """Return the test accuracies of ``archs``, without those that equal a validation accuracy."""
    oracle = _oracle(problem, WORLDS[0])
    scores = [metrics for arch in archs for metrics in problem.judge.score(arch, WORLDS[0]).values()]
    valid = {metrics["valid"] for metrics in scores}
    if oracle is not None:
        valid |= {oracle.measure(arch, None, asked)[0] for arch in archs for asked in range(20)}
    return {value for value in (metrics["test"] for metrics in scores) if not math.isnan(value)} - valid


def samples_are_members(space: SearchSpace, archs: Sequence[Arch]) -> None:
    """its space contains what it samples, and nothing else."""
    for arch in archs:
        require(arch in space and hash(arch) == hash(tuple(arch)), f"it sampled {arch!r}, which it does not contain")
    for stranger in ((), (-1,) * len(archs[0]), tuple(space.cardinalities), "text", None):
        require(stranger not in space, f"it contains {stranger!r}")


def strings_round_trip(space: SearchSpace, archs: Sequence[Arch]) -> None:
    """its space reads what it writes."""
    for arch in archs:
        again = space.from_str(space.to_str(arch))
        require(again == arch, f"{arch!r} is written {space.to_str(arch)!r}, which is read as {again!r}")


def mutations_are_neighbours(space: SearchSpace, archs: Sequence[Arch]) -> None:
    """its space mutates an architecture to a neighbour or to itself, and neighbours are mutual."""
    for seed, arch in enumerate(archs):
        around = set(space.neighbors(arch))
        mutant = space.mutate(arch, random.Random(seed))
        require(mutant in around or mutant == arch, f"the mutant {mutant!r} of {arch!r} is no neighbour of it")
    for neighbour in around:
        mutual = neighbour in space and arch in set(space.neighbors(neighbour))
        require(mutual, f"{neighbour!r} is a neighbour of {arch!r}, not the reverse")


def queries_depend_on_what_is_asked(problem: Problem, archs: Sequence[Arch]) -> None:
    """a query depends on world, architecture, fidelity and count alone."""
    for world in WORLDS:
        first, again = _oracle(problem, world), _oracle(problem, world)
        forwards = [first.measure(arch, None, 0) for arch in archs]
        backwards = [again.measure(arch, None, 0) for arch in reversed(archs)]
        require(forwards == backwards[::-1], "in another order of queries it returns other values")


def worlds_differ_if_drawn(problem: Problem, archs: Sequence[Arch]) -> None:
    """worlds differ if records are drawn, and are equal otherwise."""
    a, b = ([_oracle(problem, world).measure(arch, None, 0)[0] for arch in archs] for world in WORLDS)
    verb = "differ" if a != b else "agree"
    require((a != b) == (problem.record == "drawn"), f"its record is {problem.record!r}, and two worlds {verb}")


def costs_are_positive(problem: Problem, archs: Sequence[Arch]) -> None:
    """accuracies are percentages, and costs are positive and finite."""
    oracle = _oracle(problem, 1)
    for arch in archs:
        accuracy, seconds, epochs, macs = oracle.measure(arch, None, 0)
        require(0 <= accuracy <= 100, f"the accuracy of {arch!r} is {accuracy}")
        require(
            0 < seconds < math.inf and epochs > 0 and macs >= 0, f"{arch!r} costs {seconds} s, {epochs} epochs, {macs} MACs"
        )


def none_is_the_last_fidelity(problem: Problem, archs: Sequence[Arch]) -> None:
    """fidelities ascend, and None means the last."""
    oracle = _oracle(problem, 1)
    require(problem.fidelities == oracle.fidelities == tuple(sorted(oracle.fidelities)), f"they are {problem.fidelities}")
    for arch in archs:
        last = oracle.measure(arch, oracle.fidelities[-1], 0)
        require(oracle.measure(arch, None, 0) == last, f"{arch!r} after None and after {oracle.fidelities[-1]} epochs differ")


def less_training_costs_less(problem: Problem, archs: Sequence[Arch]) -> None:
    """less training costs less."""
    oracle = _oracle(problem, 1)
    for arch in archs:
        costs = [oracle.measure(arch, fidelity, 0)[2] for fidelity in oracle.fidelities]
        require(costs == sorted(costs), f"the epochs of {arch!r} are {costs}")


def judge_agrees_with_itself(problem: Problem, archs: Sequence[Arch]) -> None:
    """the judge's regret is the distance to its optimum, and its first rank is the optimum."""
    judge = problem.judge
    for arch in archs:
        scores = judge.score(arch, WORLDS[0])
        require(set(scores) == set(judge.optimum), f"it scores {sorted(scores)}, and has optima of {sorted(judge.optimum)}")
        for target, metrics in scores.items():
            require(set(metrics) == {"valid", "test", "regret", "rank"}, f"the scores of {target} are {sorted(metrics)}")
            regret = judge.optimum[target] - metrics["test"]
            require(metrics["regret"] == regret >= 0, f"the regret of {arch!r} is {metrics['regret']}, and should be {regret}")
            require((metrics["rank"] == 1) == (regret == 0), f"{arch!r} has regret {regret} and rank {metrics['rank']}")


def view_leads_to_no_test_value(problem: Problem, archs: Sequence[Arch]) -> None:
    """no test value can be reached from the view of a search."""
    view = SearchView(problem.space, Ledger(), _oracle(problem, 1), seed=0)
    view.query(archs[0])
    reached = list(reachable(view))
    leaked = {value for value in reached if isinstance(value, float)} & secret_values(problem, archs)
    require(not leaked, f"the view leads to the test accuracies {sorted(leaked)[:3]}")
    require(not any(map(is_judge, reached)), "the view leads to the judge")


def _oracle(problem: Problem, world: int) -> Any:
    return problem.oracle(world)
