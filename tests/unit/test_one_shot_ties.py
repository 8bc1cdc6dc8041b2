"""Equal scores are decided by the method's seed: no option is preferred because it comes first (D-52)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.darts import supernet as darts
from benchmarks.darts.cell import EDGES, INPUTS, STATES
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.supernet import SearchMacro
from benchmarks.nb1shot1.supernet import Supernet as NB1Shot1Supernet
from benchmarks.nb201.supernet import Supernet as NB201Supernet
from harness.weight_sharing import Supernet, ranked
from methods.one_shot.parts.search import Search
from tests import made_darts, made_nb1shot1_search, made_search
from tests.made_nb1shot1_search import small

__all__ = ["small"]

SEEDS = 900
NETS: dict[str, Supernet] = {
    "nb201": NB201Supernet(made_search.MACRO),
    "nb1shot1": NB1Shot1Supernet(NB1Shot1Space(2), SearchMacro(width=4, channels=1, stacks=1, depth=1)),
    "darts": darts.Supernet(made_darts.MACRO),
    "darts with edges": darts.Supernet(made_darts.MACRO, edges=True),
}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(0, 2**32))
def test_an_order_is_by_score_and_contains_every_position(scores: list[int], seed: int) -> None:
    order = ranked(scores, random.Random(seed))
    assert sorted(order) == list(range(len(scores)))
    assert [scores[position] for position in order] == sorted(scores, reverse=True)


def test_equal_scores_are_in_every_order_equally_often() -> None:
    orders = Counter(tuple(ranked([1.0, 2.0, 1.0, 1.0], random.Random(seed))) for seed in range(6 * 200))
    assert len(orders) == 6 and all(order[0] == 1 for order in orders)
    assert all(abs(count - 200) < 60 for count in orders.values())


def equal(net: Supernet) -> list[torch.Tensor]:
    return [torch.full((decision.rows, len(decision.options)), 1 / len(decision.options)) for decision in net.decisions]


def taken(net: Supernet, arch: Any) -> list[tuple[Any, ...]]:
    """Return what an architecture takes from each row: for the DARTS space, the operation and the inputs of nodes."""
    if not isinstance(net, darts.Supernet):
        return [row for decision in net.active_for(arch) for row in decision]
    kinds = (arch[: len(EDGES)], arch[len(EDGES) :])
    inputs = [
        tuple(source for edge, (target, source) in zip(kind, EDGES, strict=True) if edge and target == node)
        for kind in kinds
        for node in range(INPUTS, STATES)
    ]
    return [(kind[0],) for kind in kinds if kind[0]] + inputs


@pytest.mark.parametrize("name", NETS)
def test_over_seeds_equal_scores_give_every_choice_about_equally_often(name: str) -> None:
    """In the DARTS space an operation is seen only if its edge is taken; all other choices are seen in each architecture."""
    net = NETS[name]
    archs = [net.derive(equal(net), random.Random(seed)) for seed in range(SEEDS)]
    if name.startswith("darts"):
        operations = Counter(edge for arch in archs for edge in arch if edge)
        assert len(operations) == 7
        assert max(operations.values()) < 1.15 * min(operations.values())
        archs = [tuple(bool(edge) for edge in arch) for arch in archs]
        rows: Sequence[Sequence[Any]] = [
            [
                tuple(arch[kind * len(EDGES) + edge] for edge, (target, _) in enumerate(EDGES) if target == node)
                for arch in archs
            ]
            for kind in (0, 1)
            for node in range(INPUTS, STATES)
        ]
    else:
        rows = list(zip(*(taken(net, arch) for arch in archs), strict=True))
    for row in rows:
        counts = Counter(row)
        expected = SEEDS / len(counts)
        assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values()), counts
    assert len(rows) == {"nb201": 6, "nb1shot1": 4 + 1 + 3}.get(name, 8)


@pytest.mark.parametrize("name", NETS)
@given(data=st.data())
def test_a_higher_score_always_wins(name: str, data: st.DataObject) -> None:
    """Scores with many ties; raising one option of a row above all others always selects it."""
    net = NETS[name]
    level = st.integers(1, 3)
    scores = [
        torch.tensor([[data.draw(level) for _ in decision.options] for _ in range(decision.rows)], dtype=torch.float)
        for decision in net.decisions
    ]
    number = data.draw(st.integers(0, len(scores) - 1))
    row = data.draw(st.integers(0, net.decisions[number].rows - 1))
    options = net.decisions[number].options
    option = data.draw(st.integers(int(options[0] == "none"), len(options) - 1))
    scores[number][row, option] = 100.0
    for seed in range(5):
        assert option in net.active_for(net.derive(scores, random.Random(seed)))[number][row]


@pytest.mark.usefixtures("small")
def test_the_method_seed_decides_and_a_search_decides_always_alike() -> None:
    def derived(seed: int) -> list[Any]:
        view = made_nb1shot1_search.view(seed=seed)
        search = Search(view, made_nb1shot1_search.method("gaea_darts:bilevel"))
        return [search.derive(equal(search.net)) for _ in range(2)]

    cells = [derived(seed) for seed in range(30)]
    assert all(first == second for first, second in cells)
    assert len({first for first, _ in cells}) > 25
    assert derived(3) == cells[3]


@pytest.mark.usefixtures("small")
def test_epochs_without_a_step_of_the_architecture_propose_a_cell_of_the_seed() -> None:
    """GAEA starts at equal weights. The first of everything is one of the best cells of the space (conv3x3, inputs 0 and 1)."""
    first = set()
    for seed in range(6):
        view = made_nb1shot1_search.view(seed=seed)
        made_nb1shot1_search.search("gaea_pc_darts", view, epochs=2, warmup=1)
        proposals = {proposal.arch for proposal in view.trace.proposals}
        assert len(proposals) == 1, "nothing has moved"
        first |= proposals
    assert len(first) == 6
