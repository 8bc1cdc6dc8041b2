from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.budget import BudgetExhausted, Ledger
from harness.checkpoint import File
from harness.problem import MissingRecord
from harness.seeds import derive, mix
from harness.space import InvalidArchitecture, as_arch
from harness.testing.toy import ToyOracle, ToySpace
from tests.recorded import RecordedView


def view(limit: float = 1e9, proposes: str = "best_valid", seed: int = 0) -> RecordedView:
    return RecordedView(ToySpace(), Ledger("seconds", limit), ToyOracle(7), seed, proposes)


def test_the_incumbent_is_the_best_validation_so_far() -> None:
    searched = view()
    seen = []
    for _ in range(40):
        arch = searched.space.sample(searched.rng)
        seen.append((searched.query(arch).valid_accuracy, arch))
    for proposal in searched.trace.proposals:
        assert proposal.arch == max(seen[: proposal.queries], key=lambda pair: pair[0])[1]


def test_a_higher_fidelity_starts_a_new_incumbent_and_a_lower_one_never_counts() -> None:
    searched = view()
    good, bad = (3, 2, 1, 3), (0, 0, 0, 0)
    searched.query(good, 4)
    searched.query(bad, 12)
    assert searched.trace.proposals[-1].arch == bad
    searched.query(good, 4)
    assert searched.trace.proposals[-1].arch == bad
    searched.query(good)
    assert searched.trace.proposals[-1].arch == good


def test_a_method_that_proposes_itself_is_left_to_it() -> None:
    searched = view(proposes="self")
    searched.query((3, 2, 1, 3))
    assert searched.trace.proposals == []
    searched.propose((0, 0, 0, 0))
    assert searched.trace.proposals[-1].queries == 1


def test_a_refused_query_leaves_no_trace() -> None:
    searched = view(limit=250.0)
    searched.query((1, 1, 1, 1))
    searched.query((1, 1, 1, 1))
    with pytest.raises(BudgetExhausted):
        searched.query((3, 2, 1, 3))
    assert searched.budget.queries == len(searched.trace.seconds) == 2
    assert searched.trace.seconds[-1] == searched.budget.seconds == 240.0


@pytest.mark.parametrize("stranger", [(9, 9, 9, 9), (0,), "0-0-0-0", float("nan"), None])
def test_strangers_are_refused_by_name_and_cost_nothing(stranger: object) -> None:
    searched = view()
    for use in (searched.query, searched.propose):
        with pytest.raises(InvalidArchitecture, match=r"of toy|a tuple of ints"):
            use(stranger)  # type: ignore[arg-type]
    assert searched.budget.queries == 0


def test_a_missing_record_costs_nothing() -> None:
    searched = view()
    with pytest.raises(MissingRecord):
        searched.query((0, 0, 0, 0), 500)
    assert searched.budget.seconds == 0


def test_repeated_queries_draw_again_and_are_charged_again() -> None:
    searched = view()
    drawn = {searched.query((1, 1, 1, 1)).valid_accuracy for _ in range(30)}
    assert len(drawn) == 3
    assert searched.budget.queries == 30


def test_the_result_of_a_query_does_not_depend_on_other_queries() -> None:
    alone, busy = view(), view(seed=1)
    for _ in range(50):
        busy.query(busy.space.sample(busy.rng), 6)
    archs = [(3, 2, 1, 3), (0, 0, 0, 0), (1, 2, 0, 1)]
    assert [alone.query(arch) for arch in archs] == [busy.query(arch) for arch in archs]


def test_seeds_derive_from_every_axis_and_their_order() -> None:
    seeds = {derive("a", "b"), derive("b", "a"), derive("ab"), derive("a", 1), derive("a", "1"), derive("a", "b", 0)}
    assert len(seeds) == 6
    assert view(seed=1).seed("x") != view(seed=2).seed("x") != view(seed=2).seed("y")


def test_mix_spreads_neighbouring_keys() -> None:
    assert len({mix(key) for key in range(10_000)}) == 10_000
    shares = [sum(mix(key) % 3 == k for key in range(9_000)) / 9_000 for k in range(3)]
    assert all(abs(share - 1 / 3) < 0.02 for share in shares)


@given(st.lists(st.integers(0, 3), min_size=1))
def test_an_architecture_may_be_any_sequence_of_ints(numbers: list[int]) -> None:
    same = (tuple(numbers), numbers, np.array(numbers), tuple(np.array(numbers, np.uint8)), [np.int64(n) for n in numbers])
    for value in same:
        assert as_arch(value) == tuple(numbers)
        assert {type(n) for n in as_arch(value)} == {int}


@pytest.mark.parametrize(
    "value",
    [
        *("0-1-2", b"012", 3, None, {0, 1}, {0: 1}, (0, 1.0), [True, 0], [[0], [1]]),
        *(np.array([0.5]), np.array([True]), np.int64(3)),
    ],
)
def test_what_is_no_sequence_of_ints_is_no_architecture(value: object) -> None:
    with pytest.raises(InvalidArchitecture, match="is not an architecture: a tuple of ints"):
        as_arch(value)


@pytest.mark.parametrize("same", [[3, 2, 1, 3], np.array([3, 2, 1, 3]), (np.int64(3), np.int8(2), 1, 3)])
def test_a_search_may_name_architectures_by_any_sequence_of_ints(same: Any) -> None:
    searched, plain = view(), view()
    assert searched.query(same) == plain.query((3, 2, 1, 3))
    assert searched.query((3, 2, 1, 3)) == plain.query((3, 2, 1, 3))
    searched.propose(same)
    searched.probe(same, 50.0)
    archs = [*(proposal.arch for proposal in searched.trace.proposals), searched.trace.probes[0].arch]
    assert {*archs} == {(3, 2, 1, 3)} and {type(number) for arch in archs for number in arch} == {int}


@pytest.mark.parametrize("name", ["seconds", "epochs"])
def test_the_harness_alone_writes_the_moments_of_what_is_logged(name: str) -> None:
    searched = view()
    with pytest.raises(ValueError, match=name):
        searched.log(**{name: -7.0})
    assert searched.trace.scalars == []


def test_nothing_is_asked_after_the_end() -> None:
    searched = view(limit=130.0)
    searched.query((1, 1, 1, 1))
    for _ in range(3):
        with pytest.raises(BudgetExhausted):
            searched.query((3, 2, 1, 3))
    assert len(searched.books.queries) == 2  # the one that was booked, and the one that the budget refused


@pytest.mark.parametrize("killed_after", [1, 10, 25])
def test_a_resumed_search_asks_and_proposes_as_if_it_had_not_been_killed(killed_after: int, tmp_path: Path) -> None:
    rng = random.Random(3)
    queries = [(ToySpace().sample(rng), rng.choice([None, 4, 12])) for _ in range(20)] * 2  # each is asked twice

    def searched(checkpoint: File | None, until: int) -> RecordedView:
        mine = RecordedView(ToySpace(), Ledger(), ToyOracle(7), 0, checkpoint=checkpoint)
        first = int(mine.resume() or b"0")
        for number, query in enumerate(queries[first:until], start=first + 1):
            mine.query(*query)
            mine.checkpoint(str(number).encode())
        return mine

    uninterrupted = searched(None, len(queries))
    searched(File(tmp_path / "a.ckpt", "a"), killed_after)
    resumed = searched(File(tmp_path / "a.ckpt", "a"), len(queries))
    assert resumed.trace == uninterrupted.trace
    assert resumed.books.queries == uninterrupted.books.queries
