"""The space of recurrent cells: samples, neighbours, spellings, isomorphic cells and sizes."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.darts_rnn import cell as cells
from benchmarks.darts_rnn.cell import ACTIVATIONS, EDGE, EDGES, NODES, cell_of, inputs, surviving
from benchmarks.darts_rnn.model import LanguageModel
from benchmarks.darts_rnn.published import named, published
from benchmarks.darts_rnn.size import model_size
from benchmarks.darts_rnn.space import RnnSpace
from harness.errors import UserError
from harness.space import Arch, InvalidArchitecture
from harness.testing import benchmark_claims as claims

SINGLE, MIXED = RnnSpace(), RnnSpace("mixed")
seeds = st.integers(0, 2**32)


def mixed(seed: int) -> Arch:
    """Return a mixed cell with few edges, so that some of its nodes vanish."""
    rng = random.Random(seed)
    while (arch := tuple([rng.randrange(16) if rng.random() < 0.2 else 0 for _ in EDGES])) not in MIXED:
        pass
    return arch


def renumbered(arch: Arch, rng: random.Random) -> Arch:
    """Return the cell with its nodes in another order in which edges run forward."""
    places, rest = {0: 0}, list(range(1, NODES + 1))
    while rest:
        free = [node for node in rest if all(source in places for _, source in inputs(arch, node))]
        node = rng.choice(free)
        places[node] = len(places)
        rest.remove(node)
    nodes = {places[node]: [(f, places[source]) for f, source in inputs(arch, node)] for node in range(1, NODES + 1)}
    return cell_of([nodes[place] for place in range(1, NODES + 1)])


@given(seeds)
def test_spellings_and_neighbours(seed: int) -> None:
    rng = random.Random(seed)
    arch = SINGLE.sample(rng)
    assert arch in SINGLE and arch in MIXED
    claims.strings_round_trip(SINGLE, [arch])
    claims.strings_round_trip(MIXED, [mixed(seed)])
    around = list(SINGLE.neighbors(arch))
    assert len(around) == len(set(around)) == NODES * (len(ACTIVATIONS) - 1) + sum(range(NODES))
    assert SINGLE.mutate(arch, rng) in around
    assert all(other in SINGLE and arch in set(SINGLE.neighbors(other)) for other in rng.sample(around, 3))
    cell = mixed(seed)
    assert MIXED.mutate(cell, rng) in set(MIXED.neighbors(cell))
    assert all(other in MIXED and cell in set(MIXED.neighbors(other)) for other in rng.sample(list(MIXED.neighbors(cell)), 3))


@given(seeds)
def test_the_order_of_nodes_does_not_change_the_canonical_name(seed: int) -> None:
    rng = random.Random(seed)
    for arch in (SINGLE.sample(rng), mixed(seed)):
        other = renumbered(arch, rng)
        assert MIXED.canonical(arch) == MIXED.canonical(other)
        assert MIXED.canonical(MIXED.from_str(MIXED.canonical(arch))) == MIXED.canonical(arch)
        assert len(surviving(cells.canonical(arch))) == len(surviving(arch))


def test_canonical_names_are_quick_for_symmetric_cells() -> None:
    star = cell_of([[(0, 0)]] * NODES)
    pairs = cell_of([[(0, 0)], [(1, 1)], [(0, 0)], [(1, 3)], [(0, 0)], [(1, 5)], [(0, 0)], [(1, 7)]])
    started = time.perf_counter()
    assert cells.canonical(star) == star
    cells.canonical(pairs)
    cells.canonical((15,) * len(EDGES))
    assert time.perf_counter() - started < 2


def test_different_cells_have_different_canonical_names() -> None:
    shared = cell_of([[(0, 0)], [(1, 1)], [(1, 1)], *[[(2, 0)]] * 5])
    apart = cell_of([[(0, 0)], [(0, 0)], [(1, 1)], [(1, 2)], *[[(2, 0)]] * 4])
    assert SINGLE.canonical(shared) != SINGLE.canonical(apart)
    names = {SINGLE.canonical(SINGLE.sample(random.Random(seed))) for seed in range(200)}
    assert len(names) == 200


def test_single_path_cells_are_counted_and_drawn_uniformly() -> None:
    assert SINGLE.size == 2_642_411_520
    rng, n = random.Random(0), 4000
    drawn = [inputs(SINGLE.sample(rng), 8)[0] for _ in range(n)]
    for number in range(4):
        assert abs(sum(f == number for f, _ in drawn) / n - 1 / 4) < 0.03
    for source in range(8):
        assert abs(sum(start == source for _, start in drawn) / n - 1 / 8) < 0.03


def test_nodes_that_nothing_reaches_vanish() -> None:
    edges = [0] * len(EDGES)
    edges[EDGE[1, 0]], edges[EDGE[4, 3]], edges[EDGE[5, 1]] = 1, 2, 12
    cell = tuple(edges)
    assert surviving(cell) == (1, 5)
    assert cells.pruned(cell)[EDGE[4, 3]] == 0
    assert "concat=[1, 5]" in MIXED.to_str(cell)
    assert cell in MIXED and cell not in SINGLE
    assert (0,) * len(EDGES) not in MIXED


def test_published_cells_are_single_path_and_are_named_in_any_case() -> None:
    assert all(arch in SINGLE for arch in published().values())
    assert named("darts_v2") == published()["DARTS_V2"]
    assert SINGLE.to_str(named("DARTS_V1")).startswith("Genotype(recurrent=[('relu', 0), ('relu', 1), ('tanh', 2)")
    with pytest.raises(UserError, match=r"did you mean DARTS_V\d"):
        named("DARTS_V")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("'relu', 0", "'gelu', 0"), "no activation 'gelu'"),
        (("'tanh', 2", "'tanh', 3"), "predecessor 3 is not one of 0 to 2"),
        (("range(1, 9)", "range(2, 9)"), "the nodes that the cell inputs reach are"),
        (("('relu', 0), ", ""), "no list of 8 entries"),
        (("recurrent", "normal"), "it has no recurrent"),
        (("Genotype(", "print("), "not of the form"),
        (("('relu', 0)", "[('relu', 0), ('relu', 0)]"), "twice"),
        (("('relu', 0)", "5"), "no pair"),
    ],
)
def test_a_wrong_genotype_is_refused_with_the_reason(change: tuple[str, str], message: str) -> None:
    text = MIXED.to_str(named("DARTS_V1")).replace(*change, 1)
    with pytest.raises(InvalidArchitecture, match=message):
        MIXED.from_str(text)
    with pytest.raises(InvalidArchitecture, match="every node has one predecessor"):
        SINGLE.from_str(MIXED.to_str(mixed(1)))


@given(seeds)
def test_the_size_is_that_of_the_model(seed: int) -> None:
    for arch in (SINGLE.sample(random.Random(seed)), mixed(seed)):
        model = LanguageModel(50, 8, surviving(arch))
        assert model_size(arch, 8, 50).parameters == sum(value.numel() for value in model.parameters())
