"""The schedules of Khodak et al.'s released code, and Hyperband's brackets as its paper prints them."""

from __future__ import annotations

import math

import pytest

from harness import registry
from methods.feature_maps.hyperband import Hyperband
from methods.feature_maps.sweep import Sweep
from methods.feature_maps.weight_sharing import WeightSharing

CIFAR10, IMDB = 100_000, 2**24


def row(name: str, space: str) -> Hyperband:
    """Return the method as the row ``name`` runs on ``space``."""
    info = registry.method("hyperband")
    method = registry.build(info, registry.settings(info, f"hyperband:{name}", space, {}, {}))
    assert isinstance(method, Hyperband)
    return method


def fast(**changes: str) -> WeightSharing:
    """Return the variant ``fast`` of weight sharing, with changed settings."""
    method = registry.build(registry.method("weight_sharing"), {**WeightSharing.variants["fast"], **changes})
    assert isinstance(method, WeightSharing)
    return method


def test_fast_weight_sharing_grows_by_the_square_root_of_two_and_ends_below_the_full_size() -> None:
    assert fast().schedule(256, CIFAR10) == [6251, 8839, 12501, 17678, 25001, 35356, 50001, 70711]


def test_the_papers_text_has_the_full_size_in_the_last_round() -> None:
    """D-35."""
    assert fast(full_in="last_round").schedule(256, CIFAR10) == [8839, 12501, 17678, 25001, 35356, 50001, 70711, 100_000]


def test_plain_weight_sharing_has_eight_rounds_of_all_features() -> None:
    assert WeightSharing().schedule(256, CIFAR10) == [CIFAR10] * 8
    assert [WeightSharing().rounds(pool) for pool in (2, 64, 65, 256, 257)] == [1, 6, 7, 8, 9]
    assert WeightSharing(keep=0.25).rounds(256) == 4


def test_successive_halving_on_cifar10_is_64_16_4_1() -> None:
    assert row("successive_halving", "random-fourier").plan(CIFAR10) == [[(64, 1563), (16, 6250), (4, 25_000), (1, CIFAR10)]]


def test_random_search_on_cifar10_trains_4_maps_at_full_size() -> None:
    assert row("random_search", "random-fourier").plan(CIFAR10) == [[(4, CIFAR10)]]


def test_successive_halving_on_imdb_is_18_9_4_2() -> None:
    plan = row("successive_halving", "bag-of-ngrams").plan(IMDB)
    assert plan == [[(18, 2**21), (9, 2**22), (4, 2**23), (2, IMDB)]]


def test_random_search_on_imdb_trains_18_maps_because_its_bracket_comes_twice() -> None:
    assert row("random_search", "bag-of-ngrams").plan(IMDB) == [[(9, IMDB)], [(9, IMDB)]]


@pytest.mark.parametrize(("space", "most"), [("random-fourier", 3), ("bag-of-ngrams", 8)])
def test_the_most_rungs_are_those_of_the_released_code(space: str, most: int) -> None:
    assert row("all_brackets", space).most_rungs == most


def released_plan(most: int, eta: int) -> list[list[int]]:
    """Return the maps of each rung by the loop of the released code, in units of a complete training."""
    plan = []
    for bracket in range(most, -1, -1):
        maps = (most + 1) * eta**bracket // (bracket + 1)
        halvings = 0
        while maps * (halvings + 1) > (most + 1) * eta**halvings:
            halvings += 1
        plan.append([maps // eta**i for i in range(halvings + 1)])
    return plan


@pytest.mark.parametrize(("space", "most", "eta"), [("random-fourier", 3, 4), ("bag-of-ngrams", 8, 2)])
def test_brackets_are_those_of_the_released_loop(space: str, most: int, eta: int) -> None:
    """D-81. On IMDb no bracket halves once, and the one without halving comes twice."""
    full = CIFAR10 if space == "random-fourier" else IMDB
    plan = row("all_brackets", space).plan(full)
    assert [[rung.maps for rung in rungs] for rungs in plan] == released_plan(most, eta)
    assert all(rungs[-1].features == full for rungs in plan)
    if space == "random-fourier":
        assert [[rung.maps for rung in rungs] for rungs in plan] == [[64, 16, 4, 1], [21, 5, 1], [8, 2], [4]]
    else:
        assert [len(rungs) - 1 for rungs in plan] == [8, 7, 6, 5, 4, 3, 2, 0, 0]


def test_the_papers_rule_rounds_up_and_halves_as_often_as_the_bracket_says() -> None:
    """D-81, ``rule=paper``."""
    plan = registry.build(registry.method("hyperband"), {"rule": "paper"})
    assert isinstance(plan, Hyperband)
    assert [[rung.maps for rung in rungs] for rungs in plan.plan(CIFAR10)] == [[64, 16, 4, 1], [22, 5, 1], [8, 2], [4]]
    imdb = Hyperband(eta=2, least=2**-8, rule="paper")
    assert [len(rungs) - 1 for rungs in imdb.plan(IMDB)] == list(range(8, -1, -1))


def test_hyperbands_algorithm_for_r_81_and_eta_3() -> None:
    """Li et al. 2018, Algorithm 1. (Their Table 1 rounds (s_max + 1) / (s + 1) down first: 81, 27, 9, 6, 5.)"""
    plan = Hyperband(eta=3, least=1 / 81, rule="paper").plan(81)
    assert plan == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


@pytest.mark.parametrize("eta", [2, 3, 4])
@pytest.mark.parametrize("features", [81, 500, CIFAR10])
def test_every_bracket_follows_the_formula(eta: int, features: int) -> None:
    search = Hyperband(eta=eta, least=0.01, halving=0, rule="paper")
    most = search.most_rungs
    assert eta**most <= 100 < eta ** (most + 1)
    for s, rungs in zip(range(most, -1, -1), search.plan(features), strict=True):
        first = math.ceil((most + 1) * eta**s / (s + 1))
        assert [rung.maps for rung in rungs] == [first // eta**i for i in range(s + 1)]
        assert [rung.features for rung in rungs] == [math.ceil(features / eta ** (s - i)) for i in range(s + 1)]


def test_figure_1_doubles_from_3125_to_100000_features_for_32_maps() -> None:
    sweep = Sweep()
    assert [math.ceil(share * CIFAR10) for share in sweep.sizes] == [3125 * 2**i for i in range(6)]
    assert sweep.maps == 32


def test_the_full_size_protocol_is_the_papers() -> None:
    from benchmarks.feature_maps.benchmark import PAPER
    from harness.protocols import protocol

    (part,) = protocol("feature-maps-2020").parts
    assert not part.search
    assert not part.settings
    assert protocol("feature-maps-2020").seeds == 10
    assert {name: (settings.features, settings.pool) for name, settings in PAPER.items() if name != "digits"} == {
        "cifar10": (CIFAR10, 256),
        "imdb": (IMDB, 256),
    }
