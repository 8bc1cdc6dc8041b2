"""Each method follows its specification, on problems with known solutions."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from typing import Literal

import numpy as np
import pytest

from benchmarks.nb201.space import EDGES, NB201Space
from harness import registry
from harness.budget import BudgetExhausted, Ledger
from harness.method import Method
from harness.problem import MissingRecord
from harness.space import Arch
from harness.testing.toy import ToyOracle, ToySpace
from methods.multi_trial.bohb import Bohb, CategoricalDensity
from methods.multi_trial.local_search import LocalSearch
from methods.multi_trial.regularized_evolution import RegularizedEvolution
from methods.multi_trial.reinforce import Reinforce
from tests.recorded import RecordedView


class Recorder(ToyOracle):
    """Records the queries."""

    def __init__(self) -> None:
        super().__init__(7)
        self.asked: list[tuple[Arch, int | None]] = []

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        self.asked.append((arch, fidelity))
        return super().measure(arch, fidelity, 0)


def searched(method: Method, queries: int, seed: int = 0) -> tuple[RecordedView, Recorder]:
    oracle = Recorder()
    view = RecordedView(ToySpace(), Ledger("queries", queries), oracle, seed, getattr(method, "proposes", "best_valid"))
    with pytest.raises(BudgetExhausted):
        method.search(view)
    return view, oracle


def test_the_mutation_changes_edge_1_0_three_times_as_often_as_an_edge_into_node_3() -> None:
    space, rng, n = NB201Space(), random.Random(0), 30_000
    arch = (0, 1, 2, 3, 4, 0)
    changed: Counter[int] = Counter()
    values: Counter[int] = Counter()
    for _ in range(n):
        child = space.mutate(arch, rng)
        (position,) = [i for i in range(6) if child[i] != arch[i]]
        changed[position] += 1
        values[child[position]] += 1
    for position, (target, _) in enumerate(EDGES):
        assert changed[position] / n == pytest.approx(1 / 3 / target, abs=0.01)
    assert min(values.values()) > 0


def test_evolution_children_are_neighbours_of_the_living() -> None:
    method = RegularizedEvolution(population=5, sample=2)
    _, oracle = searched(method, 60)
    asked = [arch for arch, _ in oracle.asked[:60]]
    space = ToySpace()
    for at in range(5, 60):
        alive = asked[at - 5 : at]
        assert any(asked[at] in set(space.neighbors(parent)) for parent in alive)


def test_a_tournament_of_everyone_climbs() -> None:
    view, _ = searched(RegularizedEvolution(population=10, sample=200), 200)
    assert sum(view.trace.proposals[-1].arch) >= sum(n - 1 for n in ToySpace.cardinalities) - 1


def test_reinforce_starts_uniform_and_ends_at_good_choices() -> None:
    _, slow = searched(Reinforce(lr=1e-9), 2000)
    firsts = Counter(arch[0] for arch, _ in slow.asked)
    assert all(abs(firsts[value] / 2000 - 1 / 4) < 0.05 for value in range(4))
    _, fast = searched(Reinforce(lr=0.05), 1500)
    late = [sum(arch) for arch, _ in fast.asked[-200:]]
    early = [sum(arch) for arch, _ in fast.asked[:200]]
    assert np.mean(late) > np.mean(early) + 1.0


def test_reinforce_is_the_published_update_step_by_step() -> None:
    """It makes the same choices as automatic differentiation of -sum log pi(a) (r - b) with torch's Adam."""
    import torch

    method = Reinforce(lr=0.05)
    view, oracle = searched(method, 300)
    rng = np.random.default_rng(view.seed("reinforce"))
    sizes = ToySpace.cardinalities
    draws = rng.standard_normal((len(sizes), max(sizes)))
    logits = [torch.tensor(1e-3 * draws[i, :n], requires_grad=True) for i, n in enumerate(sizes)]
    adam = torch.optim.Adam(logits, lr=0.05)
    numerator = denominator = 0.0
    for arch, _ in oracle.asked[:300]:
        uniform = rng.random((len(sizes), 1))[:, 0]
        policies = [torch.distributions.Categorical(logits=row) for row in logits]
        chosen = tuple(int((policy.probs.cumsum(0) <= u).sum()) for policy, u in zip(policies, uniform, strict=True))
        assert chosen == arch
        reward = ToyOracle(7).measure(arch, None, 0)[0]
        numerator, denominator = 0.9 * numerator + 0.1 * reward, 0.9 * denominator + 0.1
        log_likelihood = sum(policy.log_prob(torch.tensor(a)) for policy, a in zip(policies, arch, strict=True))
        adam.zero_grad()
        (-log_likelihood * (reward - numerator / denominator)).backward()
        adam.step()


def test_the_policy_of_the_budget_keeps_or_drops_the_evaluation_that_crosses_the_limit_d74() -> None:
    """NAS-Bench-201's script of REINFORCE keeps it: policy ``allow_last``. Each query costs 120 s, so ten fit into 1 230 s."""
    queries, proposed = {}, {}
    for policy in ("refuse", "allow_last"):
        oracle = Recorder()
        view = RecordedView(ToySpace(), Ledger("seconds", 1230.0, policy), oracle, 0)
        with pytest.raises(BudgetExhausted):
            Reinforce().search(view)
        queries[policy], proposed[policy] = view.ledger.queries, [proposal.arch for proposal in view.trace.proposals]
        asked = [arch for arch, _ in oracle.asked]
    assert queries == {"refuse": 10, "allow_last": 11}
    assert proposed["refuse"] == proposed["allow_last"][: len(proposed["refuse"])]
    assert set(proposed["allow_last"]) - set(proposed["refuse"]) <= {asked[10]}


@pytest.mark.parametrize("move", ["first", "best"])
def test_local_search_evaluates_all_of_a_small_space_once(move: Literal["first", "best"]) -> None:
    oracle = Recorder()
    view = RecordedView(ToySpace(), Ledger("queries", 10_000), oracle, 0)
    LocalSearch(move=move).search(view)  # returns when it has evaluated all of the space
    archs = [arch for arch, _ in oracle.asked]
    assert len(archs) == len(set(archs)) == ToySpace().size
    best = max(archs, key=lambda arch: ToyOracle(7).measure(arch, None, 0)[0])
    assert view.trace.proposals[-1].arch == best


def local_search(variant: str) -> LocalSearch:
    """Return a variant of local search."""
    method = registry.build(registry.method("local_search"), LocalSearch.variants[variant])
    assert isinstance(method, LocalSearch)
    return method


@pytest.mark.parametrize(("variant", "starts", "move"), [("", 10, "first"), ("full_neighbourhood", 1, "best")])
@pytest.mark.parametrize("seed", range(5))
def test_local_search_climbs_as_the_code_and_as_the_paper_do_d73(variant: str, starts: int, move: str, seed: int) -> None:
    """Replay the queries of both sides of D-73: random starts, then unknown neighbours until none is better."""
    _, oracle = searched(local_search(variant), 60, seed)
    asked = iter([arch for arch, _ in oracle.asked])
    accuracy: dict[Arch, float] = {}
    climbs = 0

    def query() -> Arch:
        arch = next(asked)
        assert arch not in accuracy
        accuracy[arch] = ToyOracle(7).measure(arch, None, 0)[0]
        return arch

    with suppress(StopIteration):
        while True:
            climbs += 1
            current = max([query() for _ in range(starts)], key=accuracy.__getitem__)
            while True:
                unknown = {arch for arch in ToySpace().neighbors(current) if arch not in accuracy}
                better: list[Arch] = []
                while unknown and not (better and move == "first"):
                    near = query()
                    unknown.remove(near)
                    better += [near] if accuracy[near] > accuracy[current] else []
                if not better:
                    break
                current = max(better, key=accuracy.__getitem__)
    assert climbs > 1, "the search began again at a local optimum"


def bohb(variant: str) -> Bohb:
    """Return a variant of BOHB."""
    method = registry.build(registry.method("bohb"), Bohb.variants[variant])
    assert isinstance(method, Bohb)
    return method


def test_bohbs_rungs_and_brackets_are_the_papers() -> None:
    row = bohb("nb201_2020")
    assert row.rungs() == pytest.approx([200 / 9, 200 / 3, 200])
    assert [[n for _, n in row.bracket(i)] for i in range(4)] == [[9, 3, 1], [3, 1], [3], [9, 3, 1]]
    nats = bohb("nats_2021")
    assert [int(rung) for rung in nats.rungs()] == [1, 4, 12]


def test_bohb_promotes_the_best_and_pays_for_promotions() -> None:
    _, oracle = searched(bohb("nats_2021"), 13)
    first, second, third = oracle.asked[:9], oracle.asked[9:12], oracle.asked[12:13]
    assert [fidelity for _, fidelity in oracle.asked[:13]] == [1] * 9 + [4] * 3 + [12]

    def rank(runs: list[tuple[Arch, int | None]], k: int) -> set[Arch]:
        return {arch for arch, _ in sorted(runs, key=lambda query: -ToyOracle(7).measure(query[0], query[1], 0)[0])[:k]}

    assert {arch for arch, _ in second} == rank(first, 3)
    assert {arch for arch, _ in third} == rank(second, 1)


def test_bohbs_first_row_ignores_the_rung_and_proposes_top_rung_runs_only_once_there_is_one() -> None:
    view, oracle = searched(bohb("nb201_2020"), 60)
    assert {fidelity for _, fidelity in oracle.asked} == {None}
    top = set()
    at, method = 0, Bohb()
    for iteration in range(50):
        for rung, count in method.bracket(iteration):
            if rung == 200:
                top |= set(range(at + 1, at + count + 1))
            at += count
    early = [proposal for proposal in view.trace.proposals if proposal.queries < min(top)]
    assert {proposal.queries for proposal in view.trace.proposals[len(early) :]} <= top
    accuracies = view.trace.accuracy[: min(top) - 1]
    leaders = [k for k, accuracy in enumerate(accuracies, 1) if accuracy > max(accuracies[: k - 1], default=-1.0)]
    assert [proposal.queries for proposal in early] == leaders, "the best run seen, from the first query on"


def reference_density(data: np.ndarray, x: tuple[int, ...], floor: float) -> float:
    """Return the kernel density term by term, as its documentation defines it."""
    n, d = data.shape
    total = 0.0
    for row in data:
        product = 1.0
        for j in range(d):
            h = max(1.06 * np.std(data[:, j]) * n ** (-1 / (4 + d)), floor)
            k = len(set(data[:, j].tolist()))
            product *= 1 - h if row[j] == x[j] else h / (k - 1)
        total += product
    return float(total / n)


def test_the_density_is_the_product_of_aitchison_aitken_kernels() -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(0, 5, (20, 6))
    density = CategoricalDensity(data, 0.3, [5] * 6)
    archs = [tuple(x) for x in rng.integers(0, 5, (30, 6)).tolist()]
    assert density.at(archs) == pytest.approx([reference_density(data, x, 0.3) for x in archs])


def test_bandwidths_are_clipped_below_and_not_above() -> None:
    spread = np.tile([[0], [4]], (10, 1))
    density = CategoricalDensity(spread, 0.3, [5])
    assert density.widths[0] > 1
    assert density.at([(0,)]) == pytest.approx([(1 - density.widths[0] + density.widths[0]) / 2])
    constant = CategoricalDensity(np.zeros((10, 1), int), 0.3, [2])
    assert constant.widths == [0.3]
    assert constant.at([(0,), (1,)]) == [pytest.approx(0.7), np.inf]


def test_bohb_concentrates_where_good_runs_are() -> None:
    _, oracle = searched(bohb("nb201_2020"), 260)
    early = np.mean([sum(arch) for arch, _ in oracle.asked[:40]])
    late = np.mean([sum(arch) for arch, _ in oracle.asked[-60:]])
    assert late > early


@pytest.mark.parametrize("records", [3, 60])
def test_local_search_ends_once_it_knows_every_record_of_a_sparse_table(records: int) -> None:
    space = NB201Space()
    known = {space.at(number) for number in range(0, space.size, space.size // records)}

    class Sparse(ToyOracle):
        def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
            if arch not in known:
                raise MissingRecord("no record")
            return 50.0 + sum(arch), 1.0, 1.0, 1.0

    view = RecordedView(space, Ledger("queries", 10_000), Sparse(7), 0)
    local_search("").search(view)
    assert 1 <= len(view.trace.accuracy) <= len(known)
    known.clear()
    with pytest.raises(MissingRecord):
        local_search("").search(RecordedView(space, Ledger("queries", 10_000), Sparse(7), 0))
