"""CoNAS, A.5: the Hamming distance between two random codes with 15 of 140 switches on, by our random cells of that size."""

from __future__ import annotations

import random

import numpy as np

from benchmarks.darts.cell import OPS
from benchmarks.darts.space import DartsSpace
from methods.one_shot.parts.operations import FIVE

PAIRS = 10_000
PRINTED, PRINTED_STD = 27.58, 1.82
"""The paper prints 27.58 ± 1.82, of 100 000 pairs."""


def test_random_cells_of_fifteen_operations_are_the_distance_apart_that_the_hypergeometric_distribution_says() -> None:
    """Two sets of 15 among 140 share 15 * 15 / 140 on average; the printed mean is 35 standard errors away from that."""
    space, rng = DartsSpace("mixed"), random.Random(0)
    pairs = [[space.sample_operations(rng, 15, FIVE) for _ in range(2)] for _ in range(PAIRS)]
    distances = np.array([sum((a ^ b).bit_count() for a, b in zip(*pair, strict=True)) for pair in pairs])
    shared, n, switches = 15 * 15 / 140, 15, 140
    mean = 2 * (n - shared)
    std = 2 * (shared * (1 - n / switches) * (switches - n) / (switches - 1)) ** 0.5
    assert round(mean, 2) == 26.79 and round(std, 2) == 2.27
    assert abs(distances.mean() - mean) < 4 * std / PAIRS**0.5
    assert abs(distances.std() - std) < 0.06
    assert abs(distances.mean() - PRINTED) > 30 * std / PAIRS**0.5
    assert distances.std() - PRINTED_STD > 20 * std / (2 * PAIRS) ** 0.5


def test_every_switch_of_the_five_operations_is_on_equally_often() -> None:
    space, rng = DartsSpace("mixed"), random.Random(1)
    counts = np.zeros((28, len(OPS)))
    for _ in range(5_000):
        arch = space.sample_operations(rng, 15, FIVE)
        counts += [[edge >> op & 1 for op in range(len(OPS))] for edge in arch]
    permitted = [OPS.index(name) for name in FIVE["normal"]]
    assert counts.sum() == counts[:, permitted].sum() == 15 * 5_000
    expected = 5_000 * 15 / 140
    assert np.abs(counts[:, permitted] - expected).max() < 5 * expected**0.5
